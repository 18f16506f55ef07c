// How far the consumers of the table's stream and of the queue are behind.

import { get } from "./api.js";
import { duration, element, facts, setText, time } from "./page.js";

function part(title, ...names) {
  const { list, set } = facts(...names);
  const unknown = element("p", { className: "soft" });
  const made = element("section", { className: "card" }, element("h3", { textContent: title }), list, unknown);
  return {
    made,
    update(values, reason) {
      list.hidden = Boolean(reason);
      setText(unknown, reason ? `Not known: ${reason}.` : "");
      unknown.hidden = !reason;
      names.forEach((name, place) => set(name, values[place]));
    },
  };
}

export const lag = {
  id: "lag",
  title: "Background lag",
  explanation:
    "What follows from a write (events, recorded task runs, removals) is done later, by the consumers of the table's "
    + "stream and of the queue. The stream is measured by a change that this page makes, at most every ten seconds.",
  start(place) {
    const stream = part("Stream", "Behind", "Measured");
    const queue = part("Queue", "Waiting messages", "In hand", "Not yet due");
    place.append(stream.made, queue.made);
    return async () => {
      const found = await get("consumers/lag");
      return () => {
        const { behind_seconds: behind, is_at_least: isAtLeast, measured, unknown } = found.stream;
        const text = `${isAtLeast ? "at least " : ""}${duration(behind ?? 0)}`;
        stream.update([text, isAtLeast ? "still waits" : time(measured)], unknown);
        const { waiting, in_hand: inHand, delayed } = found.queue;
        queue.update([waiting, inHand, delayed].map(String), found.queue.unknown);
      };
    };
  },
};
