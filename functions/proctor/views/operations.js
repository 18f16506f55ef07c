// Operations on many flow runs: how far they are, and a button that stops one.

import { get, remove } from "./api.js";
import { badge, cards, confirmed, element, facts, pages, setText, time } from "./page.js";

const KINDS = { RUNNING: "warn", COMPLETED: "good", STOPPED: "", FAILED: "bad" };

function name(operation) {
  return operation.kind === "delete_flow_runs" ? "Delete flow runs" : `Set flow runs to ${operation.state_type}`;
}

function status(operation) {
  const isStopping = operation.status === "RUNNING" && operation.stopped;
  return isStopping ? "stopping" : operation.status.toLowerCase();
}

function reasons(operation) {
  const failures = operation.failures.map((failure) => `${failure.flow_run_id}: ${failure.reason}`);
  return [...(operation.given_up ?? []), ...failures].join("\n");
}

function card(operation, { act }) {
  // Two may have begun in the same second.
  const title = `${name(operation)}, begun ${time(operation.created)}, ${operation.id.slice(-8)}`;
  const state = badge();
  const bar = element("progress", { max: 1, "aria-label": `Progress: ${title}` });
  const parts = element("p", { className: "soft" });
  const { list, set } = facts("Begun", "Ended", "Matched", "Done", "Refused", "Failed", "Id");
  const why = element("pre", { tabIndex: 0, role: "group", "aria-label": `Reasons: ${title}` });
  const details = element("details", {}, element("summary", { textContent: "Why some failed" }), why);
  const stop = element("button", { type: "button", textContent: "Stop", "aria-label": `Stop: ${title}` });
  stop.onclick = async () => {
    const explanation = "What is done stays done. The flow runs that are left are not treated.";
    if (await confirmed("Stop the operation?", explanation, "Stop the operation")) {
      await act(() => remove(`operations/${operation.id}`), "The operation is asked to stop.");
    }
  };
  const head = element("div", { className: "head" }, element("h3", { textContent: name(operation) }), state.made);
  return {
    made: element("li", { className: "card" }, head, bar, parts, list, details, stop),
    update(now) {
      state.set(status(now), KINDS[now.status]);
      bar.max = Math.max(1, now.parts);
      bar.value = now.finished_parts;
      setText(parts, `${now.finished_parts} of ${now.parts} parts of the search are finished.`);
      set("Begun", time(now.created));
      set("Ended", time(now.finished));
      set("Matched", `${now.matched}`);
      set("Done", `${now.done}`);
      set("Refused", `${now.refused}`);
      set("Failed", `${now.failed}`);
      set("Id", now.id);
      setText(why, reasons(now));
      details.hidden = why.textContent === "";
      stop.hidden = now.status !== "RUNNING" || Boolean(now.stopped);
    },
  };
}

export const operations = {
  id: "operations",
  title: "Bulk operations",
  explanation:
    "Operations on many flow runs that go on by themselves. How many flow runs match is known at the end; until then, "
    + "the bar shows how much was looked through. An operation is listed for 30 days.",
  start(place, context) {
    const paged = pages(20, context.refresh);
    const list = cards((operation) => card(operation, context), "There were no bulk operations in the last 30 days.");
    place.append(list.made, paged.made);
    return async () => {
      const found = await get(`operations?${paged.query()}`);
      return () => list.update(paged.shown(found));
    };
  },
};
