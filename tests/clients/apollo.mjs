// @apollo/client: queries and mutations by HttpLink, subscriptions by GraphQLWsLink, or in parts by HttpLink.
//
//   node apollo.mjs SCENE websocket|multipart
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { ASK, HEAR, SAY, converse, dataOf, heard, said, scene, socketUrl } from "./gonggu.mjs";

const authorization = `Bearer ${scene.token}`;
const http = new HttpLink({ uri: scene.url, headers: { authorization } });
const socket = createClient({
  url: socketUrl,
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
});
const isForSocket = ({ operationType }) =>
  operationType === OperationTypeNode.SUBSCRIPTION && process.argv[3] === "websocket";
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.split(isForSocket, new GraphQLWsLink(socket), http),
});

await converse({
  ask: async () => dataOf(await client.query({ query: gql(ASK) })),
  say: async () => dataOf(await client.mutate({ mutation: gql(SAY), variables: said })),
  hear: (hear, error) =>
    client
      .subscribe({ query: gql(HEAR), variables: heard })
      .subscribe({ next: (answer) => hear(dataOf(answer)), error, complete: () => error("complete") }),
});
client.stop();
process.exit();
