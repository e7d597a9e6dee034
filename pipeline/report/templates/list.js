// The list: searched, filtered and sorted; a row is a link to its finding. Only rows in sight are in the page.

const FILTERS = {
  office: (entry) => entry.office,
  chapter: (entry) => entry.declared?.slice(0, 2) ?? null,
  verdict: (entry) => entry.verdict,
  reason: (entry) => entry.reason,
};
const ORDERS = {
  rank: (one, other) => one.rank - other.rank,
  risk: (one, other) => (other.risk ?? -1) - (one.risk ?? -1),
  revenue: (one, other) => (other.revenue ?? -1) - (one.revenue ?? -1),
  importer: (one, other) => (one.importer ?? "\uffff").localeCompare(other.importer ?? "\uffff"),
};
const NONE = "(none)";
const ROW_HEIGHT = 58; // pixels, as the style has it
const BEYOND = 8; // rows ready above and below those in sight

const rows = new Map(); // entry → its row
let shownEntries = entries;

/** Fills the choices of the filters with what the findings have. */
function fillFilters() {
  for (const [name, valueOf] of Object.entries(FILTERS)) {
    const select = byId(`filter-${name}`);
    const before = select.value;
    const counts = new Map();
    for (const entry of entries) counts.set(valueOf(entry) ?? NONE, (counts.get(valueOf(entry) ?? NONE) ?? 0) + 1);
    const values = [...counts.keys()].sort((one, other) => one.localeCompare(other));
    fill(select, h("option", { value: "" }, say("all")), values.map((value) =>
      h("option", { value }, `${valueWords(name, value)} (${counts.get(value)})`)));
    select.value = before;
    select.closest("label").hidden = counts.size < 2;
  }
}

function valueWords(name, value) {
  if (value === NONE) return say("none");
  if (name === "verdict") return verdictName(value);
  if (name === "chapter") return `${value} ${(described(value) ?? "").slice(0, 40)}`;
  return name === "reason" ? value.replaceAll("_", " ") : value;
}

/** Lists what the search and the filters leave, in the chosen order. */
function listEntries() {
  const wanted = byId("search").value.trim().toLowerCase();
  const code = wanted.replace(/[\s.-]/g, "");
  const undecidedOnly = byId("undecided").checked;
  const chosen = Object.entries(FILTERS).map(([name, valueOf]) => [valueOf, byId(`filter-${name}`).value]).filter(([, value]) => value);
  shownEntries = entries.filter((entry) =>
    (!wanted || entry.searched.includes(wanted) || (/^\d+$/.test(code) && entry.searched.includes(code)))
    && chosen.every(([valueOf, value]) => (valueOf(entry) ?? NONE) === value)
    && !(undecidedOnly && isDecided(entry)));
  if (byId("sort").value !== "rank") shownEntries.sort(ORDERS[byId("sort").value]);
  byId("rows").style.height = `${shownEntries.length * ROW_HEIGHT}px`;
  showRows();
  fill(byId("shown-count"), say("shown_of", { n: shownEntries.length, of: entries.length }));
  byId("no-match").hidden = shownEntries.length > 0;
  byId("filters-on").hidden = chosen.length === 0;
}

/** Puts the rows in sight into the page, and that of the open finding, which may have the focus. */
function showRows() {
  const list = byId("list");
  const first = Math.max(Math.floor(list.scrollTop / ROW_HEIGHT) - BEYOND, 0);
  const last = Math.min(Math.ceil((list.scrollTop + list.clientHeight) / ROW_HEIGHT) + BEYOND, shownEntries.length);
  const places = Array.from({ length: Math.max(last - first, 0) }, (_, index) => first + index);
  const open = shownEntries.indexOf(openEntry);
  if (open >= 0 && open < first) places.unshift(open);
  if (open >= last) places.push(open);
  const wanted = places.map(rowAt);
  const there = [...byId("rows").children];
  if (wanted.length !== there.length || wanted.some((row, index) => row !== there[index])) {
    const focused = document.activeElement;
    byId("rows").replaceChildren(...wanted);
    if (byId("rows").contains(focused)) focused.focus({ preventScroll: true });
  }
}

function rowAt(place) {
  const row = rowOf(shownEntries[place]);
  row.style.top = `${place * ROW_HEIGHT}px`;
  row.setAttribute("aria-posinset", String(place + 1));
  row.setAttribute("aria-setsize", String(shownEntries.length));
  return row;
}

function rowOf(entry) {
  if (!rows.has(entry)) rows.set(entry, makeRow(entry));
  return rows.get(entry);
}

function makeRow(entry) {
  return h("li", { class: entry.verdict }, h("a", { href: entry.link, tabindex: "-1" },
    h("span", { class: "row-name" }, h("span", { class: "rank" }, String(entry.rank)), entry.name ? foreign(entry.name) : say("no_id")),
    h("span", { class: "row-risk" }, entry.risk === null ? "–" : chance(entry.risk)),
    h("span", { class: "row-codes" }, codesOf(entry)),
    h("span", { class: "row-decision" }, rowMark(entry))));
}

function rowMark(entry) {
  const decision = decisionOf(entry);
  const name = decision && markName(decision);
  return name ? h("span", { class: `mark ${decision.decision ?? "cannot_tell"}` }, say(`mark_${name}`)) : "";
}

function markName(decision) {
  if (decision.decision === undefined) return decision.note ? "note" : null;
  if (decision.decision !== "wrong" || decision.correct_code) return decision.decision;
  return isUnfinished(decision) ? "wrong_unfinished" : "wrong_open";
}

/** Opens a finding and shows where it stands in the list. */
function choose(entry, scroll = true) {
  const before = rows.get(openEntry);
  open(entry);
  const link = before?.firstElementChild;
  link?.removeAttribute("aria-current");
  link?.setAttribute("tabindex", "-1");
  if (entry === null) return;
  const row = rowOf(entry);
  row.firstElementChild.setAttribute("aria-current", "true");
  row.firstElementChild.setAttribute("tabindex", "0");
  const place = shownEntries.indexOf(entry);
  if (scroll && place >= 0) intoView(place);
  showRows();
  keepNear([entry, ...shownEntries.slice(Math.max(place - NEAR, 0), place + NEAR + 1)]);
}

/** Scrolls the list alone, as little as need be: the page stays where it is. */
function intoView(place) {
  const list = byId("list");
  const [top, bottom] = [place * ROW_HEIGHT, (place + 1) * ROW_HEIGHT];
  if (top < list.scrollTop) list.scrollTop = top;
  else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
}

/** Opens the finding that stands so many rows further down. */
function step(by) {
  if (!shownEntries.length) return;
  const place = shownEntries.indexOf(openEntry);
  const next = place < 0 ? 0 : Math.min(Math.max(place + by, 0), shownEntries.length - 1);
  const inList = byId("list").contains(document.activeElement);
  choose(shownEntries[next]);
  showCase();
  if (inList) rowOf(openEntry).firstElementChild.focus({ preventScroll: true });
}

/** What changed is marked in its rows, and the count of what is left. */
function showProgress(keys = []) {
  for (const key of keys) {
    const row = rows.get(entryOf.get(key));
    if (row) fill(row.querySelector(".row-decision"), rowMark(entryOf.get(key)));
  }
  const count = decidedCount();
  fill(byId("progress-words"), say("progress", { n: count, of: entries.length, left: entries.length - count }));
  byId("progress-bar").max = Math.max(entries.length, 1);
  byId("progress-bar").value = count;
}

/** Says something to those who hear the page, and shows it for a while. */
function announce(words) {
  fill(byId("announcement"), words);
  for (const passing of byId("announcement").getAnimations()) {
    passing.currentTime = 0; // else what is said later would stay as gone as what was said first
    passing.play();
  }
}
