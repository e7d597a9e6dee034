// What is printed: the listed findings, one on half a page, each with its decision.

/** Makes the sheets for paper; ready when their pictures are. */
function layOut() {
  fill(byId("paper"), shownEntries.map(sheetOf));
  return Promise.all([...byId("paper").querySelectorAll("img")].map((image) => image.decode().catch(() => null)));
}

function sheetOf(entry) {
  const decision = decisionOf(entry);
  const pictures = entry.pictures.filter(({ picture }) => picture !== null).slice(0, 2).map(({ picture }) => pictureAt(picture));
  return h("article", { class: `sheet ${entry.verdict}` },
    h("h3", {}, h("span", { class: "rank" }, String(entry.rank)), entry.name ? foreign(entry.name) : say("no_id"),
      entry.item_no !== null && h("span", { class: "item" }, say("item", { n: entry.item_no })),
      entry.risk !== null && h("span", { class: "risk" }, `${say("risk")} ${chance(entry.risk)}`)),
    h("div", { class: "sheet-why" }, h("span", { class: "badge" }, verdictName(entry.verdict)), " ",
      h("span", { class: "why" }, spoken(entry.why)), listedAs(entry)),
    h("div", { class: "sheet-pictures" }, pictures.map((picture) => h("img", { src: picture.uri, alt: "", decoding: "sync" }))),
    comparison(entry),
    h("p", { class: "sheet-more" }, moreOf(entry, entry.images_total - pictures.length)),
    keptColumns(entry),
    h("p", { class: "sheet-decision" }, h("b", {}, `${say("decision")}: `), decisionWords(decision),
      decision?.note && [" · ", foreign(decision.note)]));
}

/** In a line: how many pictures are not on the paper, and the rulings by their ids. */
function moreOf(entry, left) {
  const rulings = entry.precedents.map((one, index) =>
    [index ? " · " : `${say("rulings")}: `, `${dotted(one.hs_code)} `, foreign(one.case_id), ` (${one.similarity.toFixed(2)})`]);
  return [left > 0 && `${say("not_printed", { n: left })}. `, rulings];
}

/** Prints once the pictures are there. */
async function printPage() {
  finishNote();
  await layOut();
  print();
}
