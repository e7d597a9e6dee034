// Every key and what it does; letters do nothing while somebody writes, or where they are switched off.

const KEYS = [
  ["j", "key_next", () => step(1)],
  ["k", "key_before", () => step(-1)],
  ["ArrowDown ArrowUp", "key_scroll", (key) => scrollOrStep(key === "ArrowUp" ? -1 : 1)],
  ["PageDown PageUp Space", "key_page", (key, { shiftKey }) => scrollCase(key === "PageUp" || shiftKey ? -pageHeight() : pageHeight())],
  ["Home", "key_first", () => step(-entries.length)],
  ["End", "key_last", () => step(entries.length)],
  ["n", "key_undecided", openNextUndecided],
  ["ArrowRight", "key_picture", () => openEntry && showPicture(shownPicture + 1)],
  ["ArrowLeft", "key_picture_before", () => openEntry && showPicture(shownPicture - 1)],
  ["f", "key_full", () => openEntry && picturesOf(openEntry).length && openFull(openEntry)],
  ["w", "key_wrong", inSight(() => answer("wrong"))],
  ["1 2 3 4 5", "key_recommended", inSight((key) => answerRecommended(Number(key) - 1))],
  ["r", "key_right", inSight(() => answer("right"))],
  ["c", "key_cannot_tell", inSight(() => answer("cannot_tell"))],
  ["m", "key_note", () => byId("note").focus()],
  ["u", "key_undo", takeBack],
  ["/", "key_search", () => byId("search").focus()],
  ["s", "key_sort", () => byId("sort").focus()],
  ["t", "key_filter", openFilters],
  ["o", "key_open_only", () => byId("undecided").click()],
  ["e", "key_export", openExchange],
  ["p", "key_print", printPage],
  ["d", "key_dark", switchScheme],
  ["?", "key_help", () => openDialog("help")],
];
const IN_FULL = [
  ["ArrowRight", () => (full.zoom > 1 ? panFull(80, 0) : stepFull(1))],
  ["ArrowLeft", () => (full.zoom > 1 ? panFull(-80, 0) : stepFull(-1))],
  ["ArrowDown", () => panFull(0, 80)],
  ["ArrowUp", () => panFull(0, -80)],
  ["+ =", () => zoomFull(full.zoom * 1.5)],
  ["-", () => zoomFull(full.zoom / 1.5)],
  ["0", () => zoomFull(1)],
  ["f", () => byId("full").close()],
];

/** A decision is taken of a case that can be seen; else the case is shown first. */
function inSight(decideNow) {
  return (key) => {
    if (!openEntry || isCaseInSight()) return decideNow(key);
    showCase();
    announce(say("case_shown"));
  };
}

const scrollOrStep = (by) => (byId("list").contains(document.activeElement) ? step(by) : scrollCase(60 * by));
const pageHeight = () => byId("case-body").clientHeight * 0.9;
const scrollCase = (by) => byId("case-body").scrollBy({ top: by, behavior: "instant" });

function openDialog(id) {
  if (!byId(id).open) byId(id).showModal();
  byId(id).querySelector("[data-focus]")?.focus(); // `autofocus` would count when the page loads, too
}

function openFilters() {
  byId("filters").open = true;
  byId("filters").querySelector("label:not([hidden]) select")?.focus();
}

const isWriting = (target) => target.matches?.("input:not([type=checkbox]):not([type=radio]):not([type=file]), textarea, select") ?? false;

/** The key, or that of a Latin keyboard in its place where another script is switched on: Hangul, Cyrillic. */
function keyOfPress({ key, code, shiftKey }) {
  if (key === " ") return "Space";
  if (key !== "Process" && !/^(?!\p{Script=Latin})\p{L}$/u.test(key)) return key.length === 1 ? key.toLowerCase() : key;
  const [, plain] = /^(?:Key|Digit|Numpad)([A-Z0-9])$/.exec(code) ?? [];
  return plain?.toLowerCase() ?? { Slash: shiftKey ? "?" : "/", Equal: "=", Minus: "-" }[code] ?? key;
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isWriting(event.target)) return pressedWriting(event);
  const key = keyOfPress(event);
  if (byId("full").open) return pressedIn(IN_FULL, event, key);
  if (document.querySelector("dialog[open]")) return;
  if (key === "Enter" && !event.target.closest?.("button, a, summary")) return act(event, openNextUndecided);
  if (key.length === 1 && !byId("letters").checked && key !== "?") return;
  if (isScrolling(key) && isElsewhere(event.target, key)) return;
  pressedIn(KEYS, event, key);
}

const isScrolling = (key) => /^(Arrow|Page|Home$|End$|Space$)/.test(key);

/** Whether such a key belongs to what has the focus, or to the page around the case. */
function isElsewhere(target, key) {
  if (key === "Space" && target.closest?.("button, a, summary, input")) return true;
  if (/^(Page|Space)/.test(key) && !isCaseInSight()) return true;
  return Boolean(target.closest?.("#overview, header"));
}

function pressedIn(table, event, key) {
  const row = table.find(([keys]) => keys.split(" ").includes(key));
  if (row) act(event, () => row.at(-1)(key, event));
}

function act(event, action) {
  event.preventDefault();
  action(event);
}

/** Enter ends the answer and goes on, or exports; Escape gives the keys back to the list. */
function pressedWriting(event) {
  if (event.isComposing || event.keyCode === 229) return; // a Korean syllable is not done yet
  const { target, key } = event;
  if (key === "Enter" && !event.shiftKey && target.closest("#decision")) act(event, finish);
  if (key === "Enter" && target === byId("officer")) act(event, () => exportAs("json"));
  if (key === "Escape") act(event, () => leave(target));
}

function leave(field) {
  finishNote();
  field.closest("dialog")?.close();
  if (byId("case").contains(field)) focusCase();
  else field.blur(); // in a closed dialog, too, where it would take the next key
}

/** What the overlay lists. */
function fillHelp() {
  const others = [["Enter", "key_enter"], ["Escape", "key_escape"], ["+ -", "key_zoom"]];
  fill(byId("help-keys"), [...KEYS, ...others].map(([keys, words]) => h("div", {},
    h("dt", {}, keys.split(" ").flatMap((key) => [h("kbd", {}, keyName(key)), " "])), h("dd", {}, say(words)))));
}

const keyName = (key) => ({ ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", PageDown: "PgDn", PageUp: "PgUp", "-": "−" })[key] ?? key;
