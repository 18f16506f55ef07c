// Which view is shown, when it is brought up to date, and signing in.

import { Failure, credentials, get, setCredentials } from "./api.js";
import { keys } from "./keys.js";
import { lag } from "./lag.js";
import { letters } from "./letters.js";
import { operations } from "./operations.js";
import { element, setText } from "./page.js";

const VIEWS = [operations, letters, lag, keys];

// How long a view stays as it is, in milliseconds.
const INTERVAL = 5000;

const place = (id) => document.getElementById(id);
const links = new Map(VIEWS.map((view) => [view, element("a", { href: `#${view.id}`, textContent: view.title })]));

/** The view that is shown. Each showing is an object of its own, so that a late answer is known to be another's. */
let shown = null;
let timer = null;

/** Whether something that somebody asked for is being done: a second click is no second key. */
let isBusy = false;

/** Whether the problem that is told is one of bringing a view up to date, so that it ends when that succeeds. */
let isOutdated = false;

function show(view) {
  clearTimeout(timer);
  for (const [other, link] of links) {
    if (other === view) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  document.title = `${view.title} – Proctor`;
  setText(place("title"), view.title);
  setText(place("explanation"), view.explanation);
  for (const id of ["problem", "news", "updated"]) {
    setText(place(id), "");
  }
  const content = element("div");
  const showing = { content };
  showing.load = view.start(content, { act, refresh: () => refresh(showing) });
  shown = showing;
  isOutdated = false;
  place("view").replaceChildren(content);
  return refresh(showing);
}

/** Brings what is shown up to date, now and again after a while, unless nobody sees it or may see it. */
async function refresh(showing) {
  clearTimeout(timer);
  const turn = (showing.turn = {});
  let goesOn = true;
  try {
    const update = await showing.load();
    if (showing !== shown || showing.turn !== turn) {
      return;
    }
    update();
    if (isOutdated) {
      isOutdated = false;
      setText(place("problem"), "");
    }
    setText(place("updated"), `Updated at ${new Date().toLocaleTimeString()}.`);
  } catch (failure) {
    if (showing !== shown || showing.turn !== turn) {
      return;
    }
    goesOn = tell(failure);
  }
  if (goesOn && !document.hidden) {
    timer = setTimeout(() => refresh(showing), INTERVAL);
  }
}

/** Tells of a failure to bring a view up to date; returns whether it is worth another try. */
function tell(failure) {
  if (!(failure instanceof Failure)) {
    throw failure;
  }
  if (failure.status === 401) {
    askToSignIn();
  }
  if (failure.status === 403) {
    const refusal = element("p", { className: "refusal", textContent: failure.message });
    shown.content.replaceChildren(refusal);
  }
  isOutdated = true;
  setText(place("problem"), failure.status === 403 ? "You may not see this." : failure.message);
  return failure.status !== 401 && failure.status !== 403;
}

/** Does what somebody asked for, tells how it went, and returns the answer, or nothing if it failed. */
async function act(work, done) {
  if (isBusy) {
    return null;
  }
  isBusy = true;
  isOutdated = false;
  setText(place("news"), "");
  setText(place("problem"), "");
  try {
    const answer = await work();
    setText(place("news"), done);
    refresh(shown);
    return answer ?? true;
  } catch (failure) {
    if (!(failure instanceof Failure)) {
      throw failure;
    }
    setText(place("problem"), failure.message);
    if (failure.status === 401) {
      askToSignIn();
    }
    return null;
  } finally {
    isBusy = false;
  }
}

function showSignedIn() {
  const button = place("sign-in-or-out");
  button.hidden = false;
  setText(button, credentials() === null ? "Sign in" : "Sign out");
}

function askToSignIn() {
  showSignedIn();
  const dialog = place("sign-in");
  setText(place("sign-in-problem"), credentials() === null ? "" : "The server does not accept this any more.");
  if (!dialog.open) {
    dialog.showModal();
  }
}

function prepareSignIn() {
  const dialog = place("sign-in");
  const input = place("credentials");
  dialog.querySelector("button[value=cancel]").onclick = () => dialog.close();
  dialog.onclose = () => {
    input.value = "";
  };
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    const before = credentials();
    setCredentials(input.value.trim());
    try {
      await get("hello");
    } catch (failure) {
      setCredentials(before);
      const isWrong = failure.status === 401;
      setText(place("sign-in-problem"), isWrong ? "The server does not know this key or password." : failure.message);
      input.focus();
      return;
    }
    dialog.close();
    showSignedIn();
    await show(current());
  };
  place("sign-in-or-out").onclick = async () => {
    if (credentials() === null) {
      askToSignIn();
    } else {
      setCredentials(null);
      await show(current());
      showSignedIn();
      setText(place("news"), "The key or password is forgotten.");
    }
  };
}

function current() {
  return VIEWS.find((view) => `#${view.id}` === location.hash) ?? VIEWS[0];
}

addEventListener("hashchange", () => {
  if (location.hash === "#content") {
    place("content").focus();
    return;
  }
  show(current());
  place("title").focus();
});

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && shown !== null) {
    refresh(shown);
  }
});

place("views").append(...[...links.values()].map((link) => element("li", {}, link)));
prepareSignIn();
if (credentials() !== null) {
  showSignedIn();
}
show(current());
