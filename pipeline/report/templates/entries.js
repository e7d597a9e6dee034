// The findings of this page, and the nomenclature.

const nomenclature = new Map(Object.entries(embedded("nomenclature")));
const entries = night.entries;

/** What is the same finding in every file of this run: its source row. */
const keyOf = ({ source_file, source_row_group, source_row }) => JSON.stringify([source_file, source_row_group, source_row]);

const entryOf = new Map(); // by key
const linked = new Map(); // by permalink
const declarations = new Map(); // by id, its lines on this page
const elsewhere = new Map(Object.entries(night.elsewhere)); // by id, its lines that are not
for (const entry of entries) {
  entry.key = keyOf(entry);
  entryOf.set(entry.key, entry);
  entry.link = permalink(entry);
  linked.set(entry.link, entry);
  entry.searched = [entry.name, entry.declaration_id, entry.importer, entry.declared, entry.written, entry.recommended[0]?.hs_code]
    .filter(Boolean).join("\n").toLowerCase();
  if (entry.declaration_id !== null) {
    declarations.set(entry.declaration_id, [...(declarations.get(entry.declaration_id) ?? []), entry]);
  }
}

/** `#declaration/item`, or the source row where there is no id or another finding has the same one. */
function permalink(entry) {
  const own = `#${encodeURIComponent((entry.declaration_id ?? "").replace(/\p{Cs}/gu, "\ufffd"))}/${entry.item_no ?? ""}`;
  if (entry.declaration_id?.trim() && !linked.has(own)) return own;
  const file = encodeURIComponent(fileName(entry));
  return `#row/${file}/${entry.source_row_group}/${entry.source_row}`;
}

function fileName(entry) {
  return entry.source_file.slice(entry.source_file.lastIndexOf("/") + 1);
}

/** The first six digits that were declared; null where there are fewer. */
const declaredSubheading = ({ declared }) => (declared?.length >= 6 ? declared.slice(0, 6) : null);

/** What a code stands for, of national ones what their subheading stands for. */
const described = (digits) => nomenclature.get(digits.slice(0, 6)) ?? null;

const subheadings = [...nomenclature.keys()].filter((digits) => digits.length === 6).sort();

/** A written code without what stands between its digits, full-width digits made plain. */
const digitsOf = (written) => written.normalize("NFKC").replace(/[\s.·-]/g, "");
