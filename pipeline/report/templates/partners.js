// Who else uses a picture of the open case.

/** Other declarations with the same picture, or nearly; and that pictures which all the world uses tell nothing. */
function partners(entry) {
  return [
    entry.partners.length > 0 && h("section", { class: "others" }, h("h3", {}, say("partners")),
      h("ul", {}, entry.partners.map((one) => h("li", {}, partner(one))))),
    entry.stock_pictures > 0 && h("p", { class: "quiet" }, say("stock_pictures", { n: entry.stock_pictures })),
  ];
}

/** The finding of this page that such a declaration is; null where it is not here, or cannot be told. */
function partnerHere(one) {
  if (one.run_date !== night.run_date || !one.name) return null;
  const same = entries.filter((entry) => ["name", "item_no", "declared"].every((name) => entry[name] === one[name]));
  return same.length === 1 ? same[0] : null;
}

function partner(one) {
  const here = partnerHere(one);
  const elsewhere = () => [one.name ? foreign(one.name) : say("no_id"), itemWords(one, " "), ` · ${codeWords(one.declared)}`];
  return [`${one.run_date} · `, here ? lineHere(here) : elsewhere(),
    one.importer && [` · ${say("importer")} `, foreign(one.importer)],
    ` · ${one.same_file ? say("same_file") : say("nearly_same", { n: one.distance })}`];
}
