// Requests to the API of this server, with what it asks for.

// The server says where it is, seen from the page.
const BASE = new URL(document.documentElement.dataset.api, document.baseURI);

// Only of this tab, and only until it is closed.
const STORED = "proctor-credentials";

// Longer than API Gateway waits for a function, in milliseconds.
const PATIENCE = 35000;

let csrf = null;

/** An answer that is no success, in words for people. */
export class Failure extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** Returns the key or `user:password` of this tab, or null. */
export function credentials() {
  return sessionStorage.getItem(STORED);
}

/** Takes a key or `user:password` for this tab; null forgets it. */
export function setCredentials(text) {
  csrf = null;
  if (text === null) {
    sessionStorage.removeItem(STORED);
  } else {
    sessionStorage.setItem(STORED, text);
  }
}

/** Says whether `id` is the id of the key of this tab. */
export function isOwnKey(id) {
  return (credentials() ?? "").startsWith(`proctor_${id.replaceAll("-", "")}_`);
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);

async function ask(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (failure) {
    // A server that protects from forged requests says so in answer to the first write.
    if (failure.status !== 403 || !/CSRF/.test(failure.message)) {
      throw failure;
    }
    const client = crypto.randomUUID();
    const { token } = await send("GET", `csrf-token?client=${client}`);
    csrf = { "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client };
    return send(method, path, body);
  }
}

async function send(method, path, body) {
  const headers = { Accept: "application/json", ...authorization(), ...(method === "GET" ? {} : csrf) };
  const request = { method, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) };
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), request);
  } catch {
    throw new Failure(0, "The server can't be reached.");
  }
  const content = await read(answer);
  if (!answer.ok) {
    throw new Failure(answer.status, words(answer.status, content));
  }
  return content;
}

function authorization() {
  const text = credentials();
  if (text === null) {
    return {};
  }
  if (text.startsWith("proctor_")) {
    return { Authorization: `Bearer ${text}` };
  }
  const bytes = new TextEncoder().encode(text);
  return { Authorization: `Basic ${btoa(String.fromCharCode(...bytes))}` };
}

async function read(answer) {
  const text = await answer.text();
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function words(status, content) {
  if (status === 401) {
    return "This server asks for a key or a password.";
  }
  const invalid = [content?.exception_detail, content?.detail].find(Array.isArray)?.[0];
  if (invalid?.msg) {
    return `${invalid.loc?.at(-1) ?? "The request"}: ${invalid.msg}.`;
  }
  const told = content?.detail ?? content?.exception_message;
  if (typeof told === "string") {
    return told.endsWith(".") ? told : `${told}.`;
  }
  return `The server answered with the status ${status}.`;
}
