// Starts GraphiQL with the examples, and the bar above it.

import { Session } from "./session.js";
import { text, translate } from "./text.js";

const { React, ReactDOM, GraphiQL } = window;
const byId = (id) => document.getElementById(id);

function notify(message) {
  byId("notice").textContent = message ?? "";
  byId("notice").hidden = !message;
}

/** Fill in the times of an example: {{in 24 h}} is a full hour, a day from now. */
function withTimes(variables) {
  return variables.replace(/\{\{in (\d+) h\}\}/g, (_, hours) => {
    const time = new Date(Date.now() + hours * 3_600_000);
    time.setMinutes(0, 0, 0);
    return time.toISOString();
  });
}

function makeFetcher(session, url) {
  const socketUrl = new URL(url, location.href);
  socketUrl.protocol = socketUrl.protocol.replace("http", "ws");
  const fetcher = GraphiQL.createFetcher({
    url,
    subscriptionUrl: socketUrl.href,
    // GraphiQL copies this object for each new socket: the getter answers with the token of that moment.
    wsConnectionParams: {
      get authorization() {
        return session.authorization;
      },
    },
    enableIncrementalDelivery: false,
    fetch: (to, options) => {
      const headers = new Headers(options.headers);
      headers.set("accept", "application/graphql-response+json, application/json;q=0.9");
      if (session.authorization && !headers.has("authorization")) {
        headers.set("authorization", session.authorization);
      }
      return fetch(to, { ...options, headers });
    },
  });
  return async (...operation) => {
    await session.renew();
    return fetcher(...operation);
  };
}

/** Show GraphiQL, and answer with a way to start it again with nothing but the examples. */
function showEditor(fetcher, examples) {
  const container = byId("graphiql");
  let root;
  const show = () => {
    const defaultTabs = examples.map(({ query, variables }) => ({ query, variables: withTimes(variables) }));
    // GraphiQL forgets the variables of the first default tab; a stored tab it remembers.
    const isStored = localStorage.getItem("graphiql:tabState") !== null;
    const variables = isStored ? undefined : defaultTabs[0]?.variables;
    const options = { fetcher, defaultTabs, variables, defaultQuery: "", defaultEditorToolsVisibility: "variables" };
    root = ReactDOM.createRoot(container);
    root.render(React.createElement(GraphiQL, options, React.createElement(GraphiQL.Logo, null, "GraphiQL")));
  };
  show();
  return () => {
    root.unmount();
    for (const key of ["tabState", "query", "variables", "operationName"]) {
      localStorage.removeItem(`graphiql:${key}`);
    }
    show();
  };
}

function showPerson(session) {
  const form = byId("sign-in");
  const show = () => {
    form.hidden = Boolean(session.nickname);
    byId("signed-in").hidden = !session.nickname;
    byId("nickname").textContent = session.nickname ?? "";
  };
  const attempt = async (element, action) => {
    notify();
    element.disabled = true;
    try {
      await action();
    } catch (error) {
      notify(error.message);
    } finally {
      element.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(form.querySelector("button"), async () => {
      await session.signIn(form.email.value, form.password.value);
      form.reset();
      byId("sign-out").focus();
    });
  });
  byId("sign-out").addEventListener("click", ({ target }) => attempt(target, () => session.signOut()));
  session.addEventListener("change", show);
  show();
}

async function start() {
  translate();
  // The menus of GraphiQL add a style element; this is what makes the content policy accept it.
  window.__webpack_nonce__ = document.querySelector("meta[property=csp-nonce]").nonce;
  const response = await fetch(new URL("../config.json", import.meta.url));
  const { graphqlPath, examples } = await response.json();
  const session = new Session(graphqlPath);
  showPerson(session);
  await session.restore();
  const reopen = showEditor(makeFetcher(session, graphqlPath), examples);
  byId("restore").addEventListener("click", () => {
    if (confirm(text.restoreSure)) reopen();
  });
}

start().catch((error) => notify(`${text.broken} ${error.message}`));
