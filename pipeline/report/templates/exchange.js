// Decisions leave as a file and come back from one: JSON or CSV, checked line by line before anything is taken.

const FORMAT = "hs-audit decisions";
const CSV_COLUMNS = ["run_id", "attempt_id", "run_date", "officer", "source_file", "source_row_group", "source_row",
  "declaration_id", "item_no", "decision", "correct_code", "note", "decided_at"];
const ANSWERS = ["wrong", "right", "cannot_tell"];

/** What was decided; a note without a decision is none yet. */
const decided = () => [...decisions.values()].filter((decision) => decision.decision !== undefined);

function asJson() {
  const names = [...new Set(decided().map(officerOf))].filter(Boolean);
  const written = decided().map((decision) => ({
    source_file: decision.source_file, source_row_group: decision.source_row_group, source_row: decision.source_row,
    declaration_id: decision.declaration_id || null, item_no: decision.item_no, decision: decision.decision,
    correct_code: decision.correct_code, note: decision.note, decided_at: decision.decided_at, shown: decision.shown,
  }));
  return JSON.stringify({
    format: FORMAT, version: 1, run_id: night.run_id, attempt_id: night.attempt_id, run_date: night.run_date,
    model: night.model, officer: names.join("; "), exported_at: now(), decisions: written,
  }, null, 1);
}

function asCsv() {
  const lines = decided().map((decision) => CSV_COLUMNS.map((name) => ({ ...night, ...decision, officer: officerOf(decision) })[name]));
  return `\ufeff${[CSV_COLUMNS, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("")}`;
}

const cell = (value) => `"${neutralised(String(value ?? "")).replaceAll('"', '""')}"`;

const SEEN_THROUGH = /^(?:[ ,;|'"\u115f\u1160\u3164\uffa0]|[\p{C}\p{M}\p{Z}])+/u;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Text that no spreadsheet runs and that stays in its cell, as the worklist's own cells are. */
function neutralised(text) {
  const begin = [...text.replace(SEEN_THROUGH, "")];
  const runs = begin.length > 1 && "=+-@".includes(begin[0].normalize("NFKC"));
  return (runs ? "'" : "") + text.replace(UNPRINTABLE, escaped);
}

function escaped(char) {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[char];
  if (short) return short;
  const code = char.codePointAt(0).toString(16);
  if (code.length <= 2) return `\\x${code.padStart(2, "0")}`;
  return code.length <= 4 ? `\\u${code.padStart(4, "0")}` : `\\U${code.padStart(8, "0")}`;
}

/** What will be handed over, and what will not. */
function summary() {
  const wrong = decided().filter(({ decision, correct_code }) => decision === "wrong" && !correct_code);
  const counts = {
    to_hand_over: decided().length, open_codes: wrong.length, unfinished_codes: wrong.filter(isUnfinished).length,
    notes_alone: [...decisions.values()].filter(({ decision, note }) => decision === undefined && note).length,
  };
  return Object.entries(counts).filter(([name, n]) => n || name === "to_hand_over").map(([name, n]) => say(name, { n })).join(" ");
}

/** Opens the dialog in which decisions leave and come. */
function openExchange() {
  finishNote();
  refresh();
  fill(byId("export-words"), summary());
  fill(byId("import-words"));
  byId("officer").setAttribute("aria-invalid", "false");
  openDialog("exchange");
}

/** Hands the decisions over as a download, in somebody's name. */
function exportAs(kind) {
  const field = byId("officer");
  field.setAttribute("aria-invalid", String(!officer()));
  if (!officer()) {
    fill(byId("export-words"), say("name_missing"));
    field.focus();
    return;
  }
  const file = `decisions_${night.run_date}_${now().slice(0, 19).replace(/[:T]/g, "-")}.${kind}`;
  const [content, type] = kind === "csv" ? [asCsv(), "text/csv"] : [asJson(), "application/json"];
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: file }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
  fill(byId("export-words"), say("exported", { n: decided().length, file }));
}

/** The decisions of a file; an error whose message is a sentence where they cannot be taken. */
function parseDecisions(text) {
  const plain = text.replace(/^\ufeff/, "");
  const found = plain.trimStart().startsWith("{") ? fromJson(plain) : fromCsv(plain);
  return found.map((decision, index) => checkedDecision(decision, index + 1));
}

function fromJson(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error(say("file_not_json"));
  }
  if (file.format !== FORMAT || file.version !== 1 || !Array.isArray(file.decisions)) throw new Error(say("file_no_decisions"));
  refuseOtherRun(file.run_id);
  return file.decisions.map((decision) => ({ ...decision, officer: String(file.officer ?? "") }));
}

function fromCsv(text) {
  const [header, ...lines] = csvRows(text);
  if (CSV_COLUMNS.some((name, place) => header?.[place] !== name)) throw new Error(say("file_no_decisions"));
  return lines.map((line) => {
    const read = Object.fromEntries(CSV_COLUMNS.map((name, place) => [name, line[place] ?? ""]));
    refuseOtherRun(read.run_id);
    const source = { source_file: read.source_file, source_row_group: Number(read.source_row_group), source_row: Number(read.source_row) };
    const entry = entryOf.get(keyOf(source));
    if (!entry) throw new Error(say("file_not_here", { id: read.declaration_id }));
    const correct = read.correct_code ? digitsOf(read.correct_code.replace(/^'/, "")) : null;
    return { ...about(entry), officer: read.officer, decision: read.decision, correct_code: correct, note: read.note, decided_at: read.decided_at };
  });
}

function refuseOtherRun(run) {
  if (run !== night.run_id) throw new Error(say("file_other_run", { run: String(run).slice(0, 80) }));
}

/** The rows of a CSV text (RFC 4180), each a list of cells. */
function csvRows(text) {
  const found = [];
  let row = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|$)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (row.length > 1 || row[0]) found.push(row);
    row = [];
  }
  return found;
}

/** A decision of a file as one of ours: only what belongs to it, each of its kind. */
function checkedDecision(decision, place) {
  const { source_file, source_row_group, source_row, correct_code = null, note = "", decided_at } = decision ?? {};
  const fits = typeof source_file === "string" && Number.isSafeInteger(source_row_group) && Number.isSafeInteger(source_row)
    && ANSWERS.includes(decision.decision) && typeof note === "string" && !Number.isNaN(Date.parse(decided_at))
    && (correct_code === null || (decision.decision === "wrong" && typeof correct_code === "string" && nomenclature.has(correct_code) && correct_code.length === 6));
  if (!fits) throw new Error(say("file_bad_line", { n: place }));
  const known = entryOf.get(keyOf(decision));
  const declared = known ? declaredSubheading(known) : decision.shown?.declared_hs6;
  if (correct_code !== null && correct_code === declared) throw new Error(say("file_declared", { n: place, code: dotted(correct_code) }));
  return {
    source_file, source_row_group, source_row, declaration_id: known?.declaration_id ?? textOr(decision.declaration_id),
    item_no: known?.item_no ?? (Number.isSafeInteger(decision.item_no) ? decision.item_no : null),
    decision: decision.decision, correct_code, note: note.slice(0, LONGEST_TEXT), decided_at, officer: decision.officer,
    shown: known ? about(known).shown : decision.shown ?? null,
  };
}

const textOr = (value) => (typeof value === "string" ? value : null);
