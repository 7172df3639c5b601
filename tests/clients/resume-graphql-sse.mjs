// graphql-sse whose connection breaks: it comes back with the id of the last event, as a browser does.
import { createClient } from "graphql-sse";
import { dataOf, scene, tell } from "./gonggu.mjs";

const NOTIFICATIONS = "subscription { notifications(after: 0) { number kind } }";

let last = null;
const client = createClient({
  url: scene.url,
  retryAttempts: 100,
  retry: () => new Promise((resolve) => setTimeout(resolve, 50)),
  headers: () => ({
    authorization: `Bearer ${scene.token}`,
    ...(last === null ? {} : { "last-event-id": String(last) }),
  }),
  on: { connected: (isRetry) => tell("connected", isRetry) },
});

for await (const answer of client.iterate({ query: NOTIFICATIONS })) {
  const { number, kind } = dataOf(answer).notifications;
  last = number;
  tell("notified", { number, kind });
  if (number === scene.last) break;
}
client.dispose();
