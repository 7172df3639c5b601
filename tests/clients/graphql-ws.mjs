// graphql-ws: everything over one WebSocket.
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { ASK, HEAR, SAY, converse, dataOf, heard, said, scene, socketUrl } from "./gonggu.mjs";

const client = createClient({
  url: socketUrl,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${scene.token}` },
});

async function once(query, variables) {
  for await (const answer of client.iterate({ query, variables })) return dataOf(answer);
}

await converse({
  ask: () => once(ASK),
  say: () => once(SAY, said),
  hear: (hear, error) =>
    client.subscribe(
      { query: HEAR, variables: heard },
      { next: (answer) => hear(dataOf(answer)), error, complete: () => error("complete") },
    ),
});
await client.dispose();
