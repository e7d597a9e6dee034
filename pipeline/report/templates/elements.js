// Elements: whatever is text becomes text, never markup, and shows what hides in it.

const HIDDEN = new RegExp(
  "[\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff" +
    "\\ufff9-\\ufffb\\u{e0000}-\\u{e0fff}\\p{Cs}]", "gu");
const LONGEST_TEXT = 2000;

/** A text with its hidden characters named: U+202E would show 0180 as 0810. */
function visible(text) {
  const cut = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  return cut.replace(HIDDEN, (char) => `[U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

const byId = (id) => document.getElementById(id);

/** An element. Attributes that are null or false are left out, `on…` are listeners, children that are null are none. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  fill(element, ...children);
  return element;
}

/** Puts children in the place of what an element holds. */
function fill(element, ...children) {
  const wanted = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...wanted.map((child) => (child instanceof Node ? child : visible(String(child)))));
}

/** A stranger's text: its direction of writing stays its own. */
const foreign = (text) => h("bdi", {}, text);

/** A bar whose length is a probability, 0 to 1. */
function bar(probability, kind = "") {
  const inner = h("i");
  inner.style.width = `${(100 * probability).toFixed(2)}%`; // by script: the policy allows no style attribute
  return h("span", { class: `bar ${kind}`, "aria-hidden": "true" }, inner);
}

/** What a block of JSON in the page holds. */
const embedded = (id) => JSON.parse(byId(id).textContent);
