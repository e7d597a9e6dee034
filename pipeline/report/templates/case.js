// The open case: why, pictures, codes side by side, other lines, what is passed through.

const MOST_LINES = 20;
let openEntry = null;
let shownPicture = 0;

/** Opens a finding. */
function open(entry) {
  const changed = entry !== openEntry;
  if (changed) finishNote();
  openEntry = entry;
  if (changed) shownPicture = 0;
  byId("case").hidden = entry === null;
  byId("nothing-open").hidden = entry !== null;
  if (entry === null) return;
  const hadFocus = byId("case-body").contains(document.activeElement);
  fill(byId("case-body"), caseHead(entry), h("div", { class: "pictures-side" }, casePictures(entry), precedents(entry)),
    h("div", { class: "codes-side" }, comparison(entry), recommendations(entry)),
    partners(entry), otherLines(entry), keptColumns(entry), sourceOf(entry));
  if (changed) {
    announce(""); // what was said of the one before
    byId("case-body").scrollTop = 0;
    history.replaceState(null, "", entry.link);
  }
  if (hadFocus) focusCase();
  showDecision(entry);
}

const focusCase = () => byId("case").focus({ preventScroll: true });

/** Brings the top of the open case into the window, and the top of the page where both have room. */
function showCase() {
  for (const id of ["top", "case"]) {
    const title = byId("case-title")?.getBoundingClientRect();
    if (title && (title.top < 0 || !isCaseInSight())) byId(id).scrollIntoView({ behavior: "instant" });
  }
}

/** Whether enough of the open case is in the window to decide it: a third of the window. */
function isCaseInSight() {
  const { top, bottom } = byId("case").getBoundingClientRect();
  return Math.min(bottom, innerHeight) - Math.max(top, 0) >= innerHeight / 3;
}

function caseHead(entry) {
  return h("header", { class: `case-head ${entry.verdict}` },
    h("h2", { id: "case-title" }, h("span", { class: "rank" }, String(entry.rank)), entry.name ? foreign(entry.name) : say("no_id"),
      entry.item_no !== null && h("span", { class: "item" }, say("item", { n: entry.item_no }))),
    h("p", { class: "badges" },
      entry.risk !== null && h("span", { class: "risk" }, `${say("risk")} `, h("b", {}, chance(entry.risk))),
      h("span", { class: "badge" }, verdictName(entry.verdict)),
      entry.drawn && h("span", { class: "badge plain" }, say("drawn")),
      h("a", { class: "link", href: entry.link }, say("permalink"))),
    h("p", { class: "why" }, spoken(entry.why)),
    listedAs(entry));
}

/** By what a finding is in the list, and what else is to be said of it first. */
function listedAs(entry) {
  const forPicture = entry.listed === "shares_picture";
  return [
    entry.listed && h("p", { class: forPicture ? "warning" : "listed" }, say(`listed_${entry.listed}`)),
    entry.looks_unknown && h("p", { class: "warning" }, say("looks_unknown")),
    entry.shares_picture && !forPicture && h("p", { class: "warning" }, say("shares_picture")),
  ];
}

function casePictures(entry) {
  const pictures = picturesOf(entry);
  if (!pictures.length) return h("div", { class: "pictures" }, h("p", { class: "words" }, say("no_picture")));
  const left = entry.images_total - pictures.length;
  return h("div", { class: "pictures" },
    h("button", { id: "picture", type: "button", "aria-label": say("open_full"), onclick: () => openFull(entry) },
      pictureOf(entry, shownPicture)),
    pictures.length > 1 && h("ol", { id: "strip" }, pictures.map((picture, index) => h("li", {},
      h("button", { type: "button", "aria-label": say("picture_place", { n: index + 1, of: pictures.length }),
        "aria-pressed": String(index === shownPicture), onclick: () => showPicture(index) },
      picture.uri ? h("img", { src: picture.uri, alt: "" }) : "–")))),
    left > 0 && h("p", { class: "quiet" }, say("more_pictures", { n: left })));
}

/** Shows another picture of the open finding. */
function showPicture(index) {
  const count = picturesOf(openEntry).length;
  if (!count) return;
  shownPicture = (index + count) % count;
  fill(byId("picture"), pictureOf(openEntry, shownPicture));
  byId("strip")?.querySelectorAll("button").forEach((button, place) => {
    button.setAttribute("aria-pressed", String(place === shownPicture));
  });
}

/** The other lines of the declaration, on this page or not, and other findings of the same case. */
function otherLines(entry) {
  const same = (declarations.get(entry.declaration_id) ?? []).filter((other) => other !== entry);
  const others = elsewhere.get(entry.declaration_id) ?? { first: [], count: 0 };
  const named = [entry, ...same, ...entry.partners.map(partnerHere)];
  const alike = entries.filter((other) => other.case === entry.case && !named.includes(other));
  return [
    lines("same_declaration", [...same.map(lineHere), ...others.first.map(lineElsewhere)], same.length + others.count),
    lines("same_case", alike.map(lineHere), alike.length),
  ];
}

function lines(name, found, count) {
  if (!count) return null;
  const shown = found.slice(0, MOST_LINES);
  return h("section", { class: "others" }, h("h3", {}, say(name)), h("ul", {}, shown.map((line) => h("li", {}, line))),
    count > shown.length && h("p", { class: "quiet" }, say("more_lines", { n: count - shown.length })));
}

function lineHere(other) {
  return [h("a", { href: other.link }, other.name ? foreign(other.name) : say("no_id")), itemWords(other, " "),
    ` · ${codesOf(other)} · ${verdictName(other.verdict)} · ${decisionWords(decisionOf(other))}`];
}

function lineElsewhere(other) {
  const codes = codeWords(other.declared, other.recommended);
  return [itemWords(other) ?? "–", ` · ${codes} · ${verdictName(other.verdict)} · ${say("not_here")}`];
}

const itemWords = (line, before = "") => (line.item_no === null ? null : `${before}${say("item", { n: line.item_no })}`);

/** Declared and recommended in a few characters. */
const codesOf = (entry) => codeWords(entry.declared, entry.recommended[0]?.hs_code);

function codeWords(declared, best) {
  return [declared ? dotted(declared) : "–", best && dotted(best)].filter(Boolean).join(" → ");
}

function keptColumns(entry) {
  if (!entry.kept.length) return null;
  return h("dl", { class: "kept" }, entry.kept.map(([label, value]) => h("div", {}, h("dt", {}, foreign(spoken(label))), h("dd", {}, foreign(value)))));
}

function sourceOf(entry) {
  const place = say("source", { group: entry.source_row_group, row: entry.source_row });
  return h("p", { class: "source" }, foreign(fileName(entry)), `, ${place}`);
}
