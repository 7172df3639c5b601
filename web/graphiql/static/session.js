// Who is signed in. The tokens live as long as this browser tab, in its sessionStorage, and are renewed before
// an operation for which they would be too old.

import { text } from "./text.js";

const TOKENS = `__typename
  ... on Tokens { accessToken accessTokenExpiresAt refreshToken user { nickname } }
  ... on Error { code message }`;
const SIGN_IN = `mutation SignIn($email: String!, $password: String!) {
  signIn(input: { email: $email, password: $password }) { ${TOKENS} }
}`;
const REFRESH = `mutation RefreshTokens($token: String!) {
  refreshTokens(input: { refreshToken: $token }) { ${TOKENS} }
}`;
const SIGN_OUT = "mutation SignOut { signOut(input: {}) { __typename ... on Error { message } } }";

const KEY = "gonggu:session";
const TAB = "gonggu:tab";
const EARLY_MS = 30_000;

/** Emits "change" when somebody signs in or out. */
export class Session extends EventTarget {
  #url;
  #tokens = null;
  #renewal = null;

  constructor(url) {
    super();
    this.#url = url;
  }

  /** Take up what this tab had before it was reloaded. */
  async restore() {
    const stored = sessionStorage.getItem(KEY);
    if (stored && (await isOurs())) this.#keep(JSON.parse(stored));
    else if (stored) this.#keep(null);
    else await isOurs();
  }

  get nickname() {
    return this.#tokens?.nickname;
  }

  /** The value of the header, undefined when nobody is signed in. */
  get authorization() {
    return this.#tokens ? `Bearer ${this.#tokens.access}` : undefined;
  }

  async signIn(email, password) {
    const { answer, now } = await this.#ask(SIGN_IN, { email, password });
    this.#keep(accepted(answer.signIn, now));
  }

  async signOut() {
    const authorization = this.authorization;
    this.#keep(null); // whatever the server says: the person wants to be gone
    await this.#ask(SIGN_OUT, {}, authorization);
  }

  /** Make sure that the access token lasts for another operation. Fails when the session has ended. */
  async renew() {
    if (!this.#tokens || Date.now() < this.#tokens.renewAt) return;
    // A refresh token works once: two operations at the same time must share one renewal.
    this.#renewal ??= this.#refresh().finally(() => (this.#renewal = null));
    await this.#renewal;
  }

  async #refresh() {
    const before = this.#tokens;
    const { answer, now } = await this.#ask(REFRESH, { token: before.refresh });
    if (this.#tokens !== before) return; // signed out meanwhile
    try {
      this.#keep(accepted(answer.refreshTokens, now));
    } catch {
      this.#keep(null);
      throw new Error(text.ended);
    }
  }

  #keep(tokens) {
    this.#tokens = tokens;
    if (tokens) sessionStorage.setItem(KEY, JSON.stringify(tokens));
    else sessionStorage.removeItem(KEY);
    this.dispatchEvent(new Event("change"));
  }

  async #ask(query, variables, authorization) {
    let response, body;
    try {
      response = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json", ...(authorization && { authorization }) },
        body: JSON.stringify({ query, variables }),
      });
      body = await response.json();
    } catch {
      throw new Error(text.unreachable);
    }
    if (body.errors?.length) throw new Error(body.errors[0].message);
    // The server's clock, because it is the one that the tokens expire by.
    return { answer: body.data, now: Date.parse(response.headers.get("date")) || Date.now() };
  }
}

/** The tokens of an answer, as we keep them. Throws the refusal's message. */
function accepted(result, now) {
  if (result.__typename !== "Tokens") throw new Error(result.message);
  const lifetime = Date.parse(result.accessTokenExpiresAt) - now;
  return {
    access: result.accessToken,
    refresh: result.refreshToken,
    nickname: result.user.nickname,
    renewAt: Date.now() + lifetime - Math.min(EARLY_MS, lifetime / 2),
  };
}

/**
 * Whether the stored session belongs to this tab alone. Duplicating a tab copies its storage, and two tabs that
 * renew with one refresh token look like a thief to the server: the copy starts signed out instead.
 */
async function isOurs() {
  if (!navigator.locks) return true; // plain HTTP from another machine
  const holds = (name, signal) =>
    new Promise((resolve) => {
      const untilWeAreGone = () => (resolve(true), new Promise(() => {}));
      navigator.locks.request(name, { signal }, untilWeAreGone).catch(() => resolve(false));
    });
  const tab = sessionStorage.getItem(TAB);
  // A page that is being reloaded may take a moment to let go.
  if (tab && (await holds(tab, AbortSignal.timeout(500)))) return true;
  const fresh = `${TAB}:${crypto.randomUUID()}`;
  sessionStorage.setItem(TAB, fresh);
  await holds(fresh);
  return !tab;
}
