// @urql/core: queries and mutations by fetchExchange, subscriptions by graphql-ws, or by fetchExchange too.
//
//   node urql.mjs SCENE websocket|event-stream
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { ASK, HEAR, SAY, converse, dataOf, heard, said, scene, socketUrl, tell } from "./gonggu.mjs";

const authorization = `Bearer ${scene.token}`;
const socket = createClient({
  url: socketUrl,
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
});
const bySocket = subscriptionExchange({
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  }),
});
const isForSocket = process.argv[3] === "websocket";

/** fetch, which tells of the media types that urql asks for and gets. */
async function fetchAndTell(url, options) {
  const response = await fetch(url, options);
  tell("accepted", options.headers.accept);
  tell("got", response.headers.get("content-type"));
  return response;
}

const client = new Client({
  url: scene.url,
  exchanges: isForSocket ? [bySocket, fetchExchange] : [fetchExchange],
  fetch: fetchAndTell,
  fetchOptions: { headers: { authorization } },
  fetchSubscriptions: !isForSocket,
  preferGetMethod: false,
});

await converse({
  ask: async () => dataOf(await client.query(ASK, {})),
  say: async () => dataOf(await client.mutation(SAY, said)),
  hear: (hear) => client.subscription(HEAR, heard).subscribe((answer) => hear(dataOf(answer))),
});
process.exit();
