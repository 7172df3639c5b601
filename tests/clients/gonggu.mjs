// What every client asks, says and hears, and how it tells the test: one line of JSON for each thing.
//
//   node CLIENT.mjs '{"url": "http://127.0.0.1:8000/graphql", "token": "…", "partyId": "…", "last": "bye"}'

/** Where the server is, who the client is, the party it talks in, and after which text it leaves. */
export const scene = JSON.parse(process.argv[2]);

export const socketUrl = scene.url.replace("http", "ws");

export const ASK = "query Ask { viewer { user { nickname } } }";

export const SAY = `mutation Say($input: SendChatMessageInput!) {
  sendChatMessage(input: $input) { __typename ... on ChatMessage { number text } ... on Error { code } }
}`;

export const HEAR = `subscription Hear($partyId: ID!, $after: Int) {
  chatMessages(partyId: $partyId, after: $after) { number text }
}`;

export const said = { input: { partyId: scene.partyId, text: "안녕하세요" } };

export const heard = { partyId: scene.partyId, after: 0 };

export function tell(what, value) {
  console.log(JSON.stringify({ [what]: value }));
}

/** Tell of an answer to each of the three; what hears calls `hear` with the data of each answer. */
export async function converse({ ask, say, hear }) {
  tell("asked", (await ask()).viewer.user.nickname);
  tell("said", (await say()).sendChatMessage.text);
  await new Promise((resolve, reject) => {
    hear((data) => {
      const { number, text } = data.chatMessages;
      tell("heard", { number, text });
      if (text === scene.last) resolve();
    }, reject);
  });
}

/** The data of an answer; clients that don't throw on errors give both. */
export function dataOf({ data, error, errors }) {
  if (error || errors) throw new Error(JSON.stringify(error ?? errors));
  return data;
}
