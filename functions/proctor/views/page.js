// The parts that the views are made of. Text is always set as text, so nothing that is stored becomes markup.

/** Makes an element with properties, `data-` and `aria-` attributes, and children. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.includes("-") || property === "role") {
      made.setAttribute(property, value);
    } else {
      made[property] = value;
    }
  }
  made.append(...children);
  return made;
}

/** Sets a text only where it differs, so that a selection and a screen reader's place stay. */
export function setText(place, text) {
  if (place.textContent !== text) {
    place.textContent = text;
  }
}

/** Makes a list of named values; returns it with a function that sets one of them. */
export function facts(...names) {
  const values = new Map(names.map((name) => [name, element("dd")]));
  const rows = [...values].map(([name, value]) => element("div", {}, element("dt", { textContent: name }), value));
  return { list: element("dl", {}, ...rows), set: (name, text) => setText(values.get(name), text) };
}

/** Makes a badge; returns it with a function that sets its text and kind. */
export function badge() {
  const made = element("span", { className: "badge" });
  const set = (text, kind = "") => {
    setText(made, text);
    made.className = `badge ${kind}`.trim();
  };
  return { made, set };
}

/** Makes a list of cards that keeps the card of an item between updates, and with it the focus. */
export function cards(make, emptyText) {
  const list = element("ul", { className: "cards" });
  const empty = element("p", { textContent: emptyText, hidden: true });
  const known = new Map();
  const update = (items) => {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, card] of known) {
      if (!ids.has(id)) {
        card.made.remove();
        known.delete(id);
      }
    }
    items.forEach((item, place) => {
      let card = known.get(item.id);
      if (card === undefined) {
        card = make(item);
        known.set(item.id, card);
      }
      card.update(item);
      if (list.children[place] !== card.made) {
        list.insertBefore(card.made, list.children[place] ?? null);
      }
    });
    empty.hidden = items.length > 0;
    list.hidden = items.length === 0;
    if (focused !== null && (!focused.isConnected || focused.hidden)) {
      document.getElementById("title").focus();
    }
  };
  return { made: element("div", {}, list, empty), update };
}

/** Makes the pages of a list: which one is shown, and buttons for the next and the last. */
export function pages(size, changed) {
  let offset = 0;
  const newer = element("button", { type: "button", textContent: "Newer", onclick: () => go(-size) });
  const older = element("button", { type: "button", textContent: "Older", onclick: () => go(size) });
  const made = element("p", { className: "buttons", hidden: true }, newer, older);
  function go(by) {
    offset = Math.max(0, offset + by);
    changed();
  }
  return {
    made,
    /** Asks for one more than is shown, which tells whether there are older ones. */
    query: () => `offset=${offset}&limit=${size + 1}`,
    shown(items) {
      newer.disabled = offset === 0;
      older.disabled = items.length <= size;
      made.hidden = newer.disabled && older.disabled;
      return items.slice(0, size);
    },
  };
}

/** Shows a time as people write it where this page is read. */
export function time(text) {
  return text ? new Date(text).toLocaleString() : "–";
}

/** Shows a number of seconds in the unit that suits it. */
export function duration(seconds) {
  for (const [unit, length] of [["days", 86400], ["hours", 3600], ["minutes", 60]]) {
    if (seconds >= 2 * length) {
      return `${Math.round(seconds / length)} ${unit}`;
    }
  }
  return seconds < 10 ? `${seconds.toFixed(1)} seconds` : `${Math.round(seconds)} seconds`;
}

/** Asks before something is done that can't be undone; resolves to whether it is to be done. */
export function confirmed(title, explanation, action) {
  const dialog = document.getElementById("confirm");
  const [cancel, go] = dialog.querySelectorAll("button");
  setText(dialog.querySelector("h2"), title);
  setText(document.getElementById("confirm-explanation"), explanation);
  setText(go, action);
  return new Promise((resolve) => {
    dialog.returnValue = "cancel";
    cancel.onclick = () => dialog.close("cancel");
    go.onclick = () => dialog.close("do");
    dialog.onclose = () => resolve(dialog.returnValue === "do");
    dialog.showModal();
  });
}
