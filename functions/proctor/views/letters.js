// Dead letters: work that failed for good, for somebody to have it tried again or to delete it.

import { get, post, remove } from "./api.js";
import { badge, cards, confirmed, element, facts, pages, setText, time } from "./page.js";

const KINDS = { message: "Message to the job runner", change: "Change in the table's stream" };

function card(letter, { act }) {
  // Two may have been put aside in the same second.
  const title = `${KINDS[letter.kind]}, put aside ${time(letter.created)}, ${letter.id.slice(-8)}`;
  const state = badge();
  const reason = element("p");
  const { list, set } = facts("Put aside", "Failed last", "Id");
  const content = element("pre", { tabIndex: 0, role: "group", "aria-label": `Content: ${title}` });
  const details = element("details", {}, element("summary", { textContent: "What it was about" }), content);
  const again = element("button", { type: "button", textContent: "Try again", "aria-label": `Try again: ${title}` });
  again.onclick = () => {
    const done = "It is tried again. If it succeeds, it disappears from this list.";
    return act(() => post(`dead_letters/${letter.id}/redrive`), done);
  };
  const forget = element("button", { type: "button", textContent: "Delete", "aria-label": `Delete: ${title}` });
  forget.onclick = async () => {
    const explanation = "What the work was about is forgotten, and nobody can have it tried again.";
    if (await confirmed("Delete the dead letter?", explanation, "Delete it")) {
      await act(() => remove(`dead_letters/${letter.id}`), "The dead letter is deleted.");
    }
  };
  const head = element("div", { className: "head" }, element("h3", { textContent: KINDS[letter.kind] }), state.made);
  const buttons = element("p", { className: "buttons" }, again, forget);
  return {
    made: element("li", { className: "card" }, head, reason, list, details, buttons),
    update(now) {
      state.set(now.redrive ? "is tried again" : "waits for you", now.redrive ? "warn" : "bad");
      setText(reason, now.reason);
      set("Put aside", time(now.created));
      set("Failed last", time(now.updated));
      set("Id", now.id);
      setText(content, JSON.stringify(now.content, null, 2));
    },
  };
}

export const letters = {
  id: "dead-letters",
  title: "Dead letters",
  explanation:
    "Background work that failed for good. It keeps nothing else waiting, and stays here until somebody decides.",
  start(place, context) {
    // Each may be as large as an item of the table.
    const paged = pages(10, context.refresh);
    const list = cards((letter) => card(letter, context), "There are no dead letters.");
    place.append(list.made, paged.made);
    return async () => {
      const found = await get(`dead_letters?${paged.query()}`);
      return () => list.update(paged.shown(found));
    };
  },
};
