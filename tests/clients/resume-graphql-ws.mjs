// graphql-ws whose token ends: it refreshes and goes on behind the last message that it has.
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { HEAR, dataOf, heard, scene, socketUrl, tell } from "./gonggu.mjs";

const REFRESH = `mutation Refresh($token: String!) {
  refreshTokens(input: {refreshToken: $token}) {
    __typename ... on Tokens { accessToken refreshToken } ... on Error { code }
  }
}`;

let { token, refreshToken } = scene;
let isOver = false;

async function refreshed() {
  const response = await fetch(scene.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: REFRESH, variables: { token: refreshToken } }),
  });
  const { refreshTokens } = dataOf(await response.json());
  tell("refreshed", refreshTokens.__typename);
  token = refreshTokens.accessToken;
  refreshToken = refreshTokens.refreshToken;
}

const client = createClient({
  url: socketUrl,
  webSocketImpl: WebSocket,
  retryAttempts: 100,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  connectionParams: async () => {
    if (isOver) await refreshed();
    isOver = false;
    return { authorization: `Bearer ${token}` };
  },
  on: {
    closed: (event) => {
      isOver = event.code === 4403;
      tell("closed", event.code);
    },
  },
});

await new Promise((resolve, reject) => {
  client.subscribe(
    // The client sends its variables again whenever it has connected again.
    { query: HEAR, variables: heard },
    {
      next: (answer) => {
        const { number, text } = dataOf(answer).chatMessages;
        heard.after = number;
        tell("heard", { number, text });
        if (text === scene.last) resolve();
      },
      error: reject,
      complete: () => reject(new Error("complete")),
    },
  );
});
await client.dispose();
