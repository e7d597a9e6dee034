// The rulings that the pictures are most like, for the recommended and for the declared code.

/** With their pictures where the page has any, else as a table. */
function precedents(entry) {
  if (!entry.precedents.length) return null;
  return entry.precedents.some((ruling) => ruling.picture !== null) ? rulingCards(entry.precedents) : rulingTable(entry.precedents);
}

function rulingCards(rulings) {
  const withPicture = rulings.filter(({ picture }) => picture !== null);
  const openOne = (ruling) => openPictures(withPicture.map((one) => () => rulingPicture(one)), withPicture.indexOf(ruling));
  return h("section", { class: "rulings" }, h("h3", {}, say("rulings")), h("ol", {}, rulings.map((ruling) => h("li", {},
    ruling.picture === null ? h("span", { class: "no-picture", "aria-hidden": "true" }, "–")
      : h("button", { type: "button", onclick: () => openOne(ruling) }, rulingPicture(ruling)),
    h("b", {}, dotted(ruling.hs_code)), h("span", { class: "likeness" }, ruling.similarity.toFixed(2)),
    h("span", { class: "what" }, foreign(ruling.case_id))))));
}

function rulingPicture(ruling) {
  const { uri, width, height } = pictureAt(ruling.picture);
  return h("img", { src: uri, width, height, alt: say("ruling_picture", { id: visible(ruling.case_id) }), decoding: "async" });
}

function rulingTable(rulings) {
  const lines = rulings.map((ruling) => h("tr", {},
    h("th", { scope: "row" }, dotted(ruling.hs_code)),
    h("td", {}, foreign(ruling.case_id)),
    h("td", { class: "chance" }, bar(Math.max(0, ruling.similarity)), h("span", {}, ruling.similarity.toFixed(2)))));
  const head = ["code", "ruling", "similarity"].map((name) => h("th", { scope: "col" }, h("span", { class: "hidden" }, say(name))));
  return h("table", { class: "codes rulings" }, h("caption", {}, say("rulings")), h("thead", {}, h("tr", {}, head)), h("tbody", {}, lines));
}
