// API keys: who may call, and what they may do.

import { get, isOwnKey, post } from "./api.js";
import { badge, cards, confirmed, element, facts, pages, time } from "./page.js";

const KINDS = { active: "good", expired: "", revoked: "bad" };
const ROLES = [
  ["read-only", "read-only: reads everything but secrets"],
  ["worker", "worker: also runs flows"],
  ["admin", "admin: everything"],
];
const DAY = 86400;
const LIFETIMES = [
  ["90 days", 90 * DAY],
  ["1 day", DAY],
  ["7 days", 7 * DAY],
  ["30 days", 30 * DAY],
  ["1 year", 365 * DAY],
];

function card(key, { act }) {
  const state = badge();
  const { list, set } = facts("Starts with", "Role", "Made", "Ends");
  const label = `Revoke: ${key.name}, ${key.prefix}`;
  const revoke = element("button", { type: "button", textContent: "Revoke", "aria-label": label });
  revoke.onclick = async () => {
    const own = isOwnKey(key.id) ? " It is the key that this page uses." : "";
    const explanation = `Who uses ${key.name} is refused, within 30 seconds and for good.${own}`;
    if (await confirmed("Revoke the key?", explanation, "Revoke the key")) {
      await act(() => post(`api_keys/${key.id}/revoke`), `The key ${key.name} is revoked.`);
    }
  };
  const head = element("div", { className: "head" }, element("h3", { textContent: key.name }), state.made);
  return {
    made: element("li", { className: "card" }, head, list, revoke),
    update(now) {
      state.set(now.status, KINDS[now.status]);
      set("Starts with", now.prefix);
      set("Role", now.role);
      set("Made", time(now.created));
      set("Ends", now.revoked ? time(now.revoked) : now.expiration ? time(now.expiration) : "never");
      revoke.hidden = now.status !== "active";
    },
  };
}

function select(id, options) {
  const made = options.map(([value, text]) => element("option", { value, textContent: text }));
  return element("select", { id }, ...made);
}

function form({ act }) {
  const name = element("input", { id: "key-name", required: true, maxLength: 200, autocomplete: "off" });
  const role = select("key-role", ROLES);
  const lifetimes = LIFETIMES.map(([text, seconds]) => [String(seconds), text]);
  const lifetime = select("key-lifetime", [...lifetimes, ["", "until it is revoked"]]);
  const label = (text, input) => element("label", { htmlFor: input.id, textContent: text });
  const field = (text, input) => element("div", {}, label(text, input), input);
  const submit = element("button", { type: "submit", className: "main", textContent: "Make a key" });
  const made = element("form", { className: "row", "aria-label": "Make a key" });
  made.append(field("Name", name), field("Role", role), field("Works for", lifetime), submit);
  made.onsubmit = async (event) => {
    event.preventDefault();
    const expires = lifetime.value === "" ? null : Number(lifetime.value);
    const wanted = { name: name.value.trim(), role: role.value, expires_in: expires };
    const key = await act(() => post("api_keys", wanted), `The key ${wanted.name} is made.`);
    if (key) {
      made.reset();
      show(key.key);
    }
  };
  return made;
}

/** Shows a new key until the dialog is closed, and nowhere after that. */
function show(text) {
  const dialog = document.getElementById("new-key");
  const input = document.getElementById("new-key-text");
  const news = document.getElementById("new-key-news");
  const [copy, close] = dialog.querySelectorAll("button");
  input.value = text;
  news.textContent = "";
  copy.onclick = async () => {
    input.select();
    try {
      await navigator.clipboard.writeText(text);
      news.textContent = "The key is copied.";
    } catch {
      news.textContent = "The browser does not let this page copy. The key is selected: copy it yourself.";
    }
  };
  close.onclick = () => dialog.close();
  dialog.onclose = () => {
    input.value = "";
  };
  dialog.showModal();
  input.select();
}

export const keys = {
  id: "keys",
  title: "API keys",
  explanation: "Where the server asks for keys, each key has a role. A key that is over is listed for 90 days.",
  start(place, context) {
    const paged = pages(50, context.refresh);
    const list = cards((key) => card(key, context), "There are no keys.");
    place.append(form(context), list.made, paged.made);
    return async () => {
      const found = await get(`api_keys?${paged.query()}`);
      return () => list.update(paged.shown(found));
    };
  },
};
