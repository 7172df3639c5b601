// graphql-sse in its distinct connections mode: each operation is a stream of its own.
import { createClient } from "graphql-sse";
import { ASK, HEAR, SAY, converse, dataOf, heard, said, scene } from "./gonggu.mjs";

const client = createClient({ url: scene.url, headers: { authorization: `Bearer ${scene.token}` } });

async function once(query, variables) {
  const answers = [];
  for await (const answer of client.iterate({ query, variables })) answers.push(dataOf(answer));
  if (answers.length !== 1) throw new Error(`${answers.length} answers`);
  return answers[0];
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
client.dispose();
