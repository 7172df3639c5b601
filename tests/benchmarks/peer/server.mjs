// The chat as mercurius serves it, with its Redis emitter and its JIT: what the live benchmarks compare with.
// No database and no check of who may read: a message gets its number from memory and is published.

//   node server.mjs --port 4000 --redis-url redis://127.0.0.1:6379
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import Fastify from "fastify";
import mercurius from "mercurius";
import redisEmitter from "mqemitter-redis";

const BACKLOG = 4096; // as long as Gonggu's

const schema = `
  type User { id: ID! nickname: String! }
  type Message { id: ID! number: Int! kind: String! sender: User text: String! sentAt: String! }
  input SendChatMessageInput { partyId: ID! text: String! clientKey: String }
  type Query { version: String! }
  type Mutation { sendChatMessage(input: SendChatMessageInput!): Message! }
  type Subscription { chatMessages(partyId: ID!): Message! }
`;

const lastNumbers = new Map();

const topicOf = (partyId) => `chat:${partyId}`;

function next(partyId) {
  const number = (lastNumbers.get(partyId) ?? 0) + 1;
  lastNumbers.set(partyId, number);
  return number;
}

const resolvers = {
  Query: { version: () => "1" },
  Mutation: {
    async sendChatMessage(_, { input: { partyId, text } }, { pubsub, sender }) {
      const sentAt = new Date().toISOString();
      const message = { id: randomUUID(), number: next(partyId), kind: "CHAT", sender, text, sentAt };
      await pubsub.publish({ topic: topicOf(partyId), payload: { chatMessages: message } });
      return message;
    },
  },
  Subscription: {
    chatMessages: { subscribe: (_, { partyId }, { pubsub }) => pubsub.subscribe(topicOf(partyId)) },
  },
};

// Whoever shows a token is somebody; Gonggu looks further. A sender is as long as one of Gonggu's.
function senderOf(authorization) {
  const token = authorization?.replace(/^Bearer /, "");
  return token && { id: token.slice(-50), nickname: "이웃 12" };
}

function onConnect({ payload }) {
  const sender = senderOf(payload?.authorization);
  return sender ? { sender } : false;
}

const { values } = parseArgs({ options: { port: { type: "string" }, "redis-url": { type: "string" } } });
if (!values.port || !values["redis-url"]) {
  console.error("usage: node server.mjs --port PORT --redis-url URL");
  process.exit(2);
}

const app = Fastify();
app.register(mercurius, {
  schema,
  resolvers,
  jit: 1,
  context: ({ headers }) => ({ sender: senderOf(headers.authorization) }),
  subscription: {
    emitter: redisEmitter({ connectionString: values["redis-url"] }),
    fullWsTransport: true, // mutations on the socket too
    onConnect,
  },
});
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => app.close().then(() => process.exit(0)));
await app.listen({ port: Number(values.port), host: "127.0.0.1", backlog: BACKLOG });
