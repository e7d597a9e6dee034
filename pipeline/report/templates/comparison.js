// The declared code beside the recommended one, level by level; levels that are the same stand in one line.

const LEVELS = [2, 4, 6, 8, 10];

/** A code with the digits from which on another one parts from it set off. */
function partedCode(digits, from) {
  const written = dotted(digits);
  if (from === null) return h("span", { class: "code" }, written);
  const place = from - 2 + [4, 6].filter((level) => from > level).length;
  const rest = written.slice(place);
  return h("span", { class: "code" }, written.slice(0, place), rest && h("mark", {}, rest));
}

/** The first level at which two codes part; null where one goes on from the other. */
function partsAt(one, other) {
  return LEVELS.find((level) => level <= Math.min(one.length, other.length)
    && one.slice(0, level) !== other.slice(0, level)) ?? null;
}

/** Declared and recommended side by side. */
function comparison(entry) {
  const best = entry.recommended[0]?.hs_code ?? null;
  const from = entry.declared && best ? partsAt(entry.declared, best) : null;
  const chances = new Map(entry.levels);
  return h("section", { class: "comparison", "aria-label": say("comparison") },
    h("div", { class: "side" },
      h("h3", {}, say("declared")),
      entry.declared ? partedCode(entry.declared, from) : h("span", { class: "code" }, say(entry.written === null ? "no_code" : "unreadable_code")),
      writtenAs(entry)),
    h("div", { class: "side" },
      h("h3", {}, say("recommended")),
      best ? [partedCode(best, from), h("p", { class: "written" }, chance(entry.recommended[0].probability))]
        : h("span", { class: "code none" }, say("no_recommendation"))),
    levelsOf(entry.declared, best, from, chances));
}

function writtenAs(entry) {
  if (entry.written === null || (entry.declared && entry.written === dotted(entry.declared))) return null;
  const repair = spoken(entry.repair);
  return h("p", { class: "written" }, `${say("written")} `, foreign(entry.written), repair && `: ${repair}`);
}

function levelsOf(declared, best, from, chances) {
  const deepest = Math.max(declared?.length ?? 0, best?.length ?? 0);
  const rows = [];
  const same = LEVELS.filter((level) => level <= Math.min(declared?.length ?? 0, best?.length ?? 0) && (from === null || level < from));
  if (same.length) {
    const level = same.at(-1);
    const code = declared.slice(0, level);
    rows.push(h("p", { class: "same" }, ...chanceOf(chances, level), `${say("same_until", { level: levelName(level) })} `,
      h("b", {}, dotted(code)), ` ${described(code) ?? ""}`));
  }
  for (const level of LEVELS) {
    if (level > deepest || level > 6 || same.includes(level)) continue;
    rows.push(h("div", { class: "level" }, levelCell(declared, level, chances), levelCell(best, level)));
  }
  return h("div", { class: "levels" }, rows);
}

function levelCell(digits, level, chances = null) {
  if (!digits || digits.length < level) return h("div", { class: "cell" });
  const code = digits.slice(0, level);
  return h("div", { class: "cell" },
    ...(chances ? chanceOf(chances, level) : []),
    h("span", { class: "quiet" }, levelName(level)), " ", h("b", {}, dotted(code)),
    h("span", { class: "what" }, described(code) ?? say("not_in_nomenclature")));
}

function chanceOf(chances, level) {
  if (!chances.has(level)) return [];
  const probability = chances.get(level);
  return [h("span", { class: "chance" }, bar(probability, "declared"), h("span", {}, chance(probability)))];
}

/** The recommended codes with bars, as a table. */
function recommendations(entry) {
  if (!entry.recommended.length) return null;
  const lines = entry.recommended.map((best, index) => h("tr", {},
    h("th", { scope: "row" }, h("kbd", { "aria-hidden": "true" }, String(index + 1)), dotted(best.hs_code)),
    h("td", {}, described(best.hs_code) ?? say("not_in_nomenclature")),
    h("td", { class: "chance" }, bar(best.probability), h("span", {}, chance(best.probability)))));
  const head = ["code", "goods", "probability"].map((name) => h("th", { scope: "col" }, h("span", { class: "hidden" }, say(name))));
  return h("table", { class: "codes" }, h("caption", {}, say("speaks_for")), h("thead", {}, h("tr", {}, head)), h("tbody", {}, lines));
}
