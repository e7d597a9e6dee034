// Every key and what it does; letters do nothing while somebody writes, or where they are switched off.

const KEYS = [
  ["j ArrowDown", "key_next", () => step(1)],
  ["k ArrowUp", "key_before", () => step(-1)],
  ["Home", "key_first", () => step(-entries.length)],
  ["End", "key_last", () => step(entries.length)],
  ["n", "key_undecided", openNextUndecided],
  ["ArrowRight", "key_picture", () => openEntry && showPicture(shownPicture + 1)],
  ["ArrowLeft", "key_picture_before", () => openEntry && showPicture(shownPicture - 1)],
  ["f", "key_full", () => openEntry && picturesOf(openEntry).length && openFull(openEntry, shownPicture)],
  ["w", "key_wrong", () => answer("wrong")],
  ["1 2 3 4 5", "key_recommended", (event) => answerRecommended(Number(event.key) - 1)],
  ["r", "key_right", () => answer("right")],
  ["c", "key_cannot_tell", () => answer("cannot_tell")],
  ["m", "key_note", () => byId("note").focus()],
  ["u", "key_undo", takeBack],
  ["/", "key_search", () => byId("search").focus()],
  ["s", "key_sort", () => byId("sort").focus()],
  ["t", "key_filter", openFilters],
  ["o", "key_open_only", () => byId("undecided").click()],
  ["e", "key_export", () => openDialog("exchange")],
  ["p", "key_print", printPage],
  ["d", "key_dark", switchScheme],
  ["?", "key_help", () => openDialog("help")],
];
const IN_FULL = [
  ["ArrowRight", () => stepFull(1)],
  ["ArrowLeft", () => stepFull(-1)],
  ["+ =", () => zoomFull(full.zoom * 1.5)],
  ["-", () => zoomFull(full.zoom / 1.5)],
  ["0", () => zoomFull(1)],
  ["f", () => byId("full").close()],
];

function openDialog(id) {
  if (!byId(id).open) byId(id).showModal();
}

function openFilters() {
  byId("filters").open = true;
  byId("filters").querySelector("label:not([hidden]) select")?.focus();
}

const isWriting = (target) => target.matches?.("input:not([type=checkbox]):not([type=radio]):not([type=file]), textarea, select") ?? false;

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target === byId("correct-code") || event.target === byId("note")) return pressedInForm(event);
  if (isWriting(event.target)) return leaveOn(event);
  if (byId("full").open) return pressedIn(IN_FULL, event, (row) => row[1]);
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Enter" && !event.target.closest?.("button, a, summary")) return act(event, openNextUndecided);
  if (event.key.length === 1 && !byId("letters").checked && event.key !== "?") return;
  if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") {
    if (event.target.closest?.("#overview, header")) return; // there they scroll
  }
  pressedIn(KEYS, event, (row) => row[2]);
}

function pressedIn(table, event, actOf) {
  const row = table.find(([keys]) => keys.split(" ").includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (row) act(event, actOf(row));
}

function act(event, action) {
  event.preventDefault();
  action(event);
}

/** Enter ends the answer and goes on; Escape gives the keys back to the list. */
function pressedInForm(event) {
  if (event.isComposing) return; // a Korean syllable is not done yet
  if (event.key === "Enter" && !event.shiftKey) act(event, openNextUndecided);
  if (event.key === "Escape") leaveOn(event);
}

function leaveOn(event) {
  if (event.key !== "Escape") return;
  finishNote();
  act(event, () => event.target.blur());
}

/** What the overlay lists. */
function fillHelp() {
  const others = [["Enter", "key_enter"], ["Escape", "key_escape"], ["+ -", "key_zoom"]];
  fill(byId("help-keys"), [...KEYS, ...others].map(([keys, words]) => h("div", {},
    h("dt", {}, keys.split(" ").flatMap((key) => [h("kbd", {}, keyName(key)), " "])), h("dd", {}, say(words)))));
}

const keyName = (key) => ({ ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc", "-": "−" })[key] ?? key;
