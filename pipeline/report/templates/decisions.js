// What the officer decided: kept by finding in the form in which a decisions file holds it, undone step by step.

const SAVED = `decisions ${night.run_id}`;
const decisions = new Map(); // key of the finding → decision
let undone = []; // what stood before each step: [[key, decision or undefined], …]
const watchers = []; // called after every change
let kept = true; // whether the browser keeps them
let known = null; // what it keeps, as it was read or written last

refresh();

/** Takes over what another tab of this page has kept meanwhile. */
function refresh() {
  const stored = remembered(SAVED);
  if (!kept || stored === null || stored === known) return;
  known = stored;
  const theirs = new Map(parsed(stored).map((decision) => [keyOf(decision), decision]));
  const changed = [...new Set([...decisions.keys(), ...theirs.keys()])]
    .filter((key) => JSON.stringify(decisions.get(key)) !== JSON.stringify(theirs.get(key)));
  undone = undone.filter((step) => !step.some(([key]) => changed.includes(key)));
  put(changed.map((key) => [key, theirs.get(key)]));
  tell(changed);
}

function parsed(stored) {
  try {
    return JSON.parse(stored);
  } catch {
    return [...decisions.values()]; // what cannot be read changes nothing
  }
}

/** What was decided of a finding; undefined where nothing was. */
const decisionOf = (entry) => decisions.get(entry.key);
const isDecided = (entry) => decisions.get(entry.key)?.decision !== undefined;
const decidedCount = () => entries.filter(isDecided).length;

/** Whether what was typed as the correct code is none, or not yet. */
const isUnfinished = (decision) => decision?.decision === "wrong" && !decision.correct_code && Boolean(decision.typed);

/** A decision on a finding of this page: `wrong` with a code, or null and what was typed, `right` or `cannot_tell`. */
function decide(entry, decision, correctCode = null, typed = "") {
  refresh();
  const before = decisionOf(entry);
  const isSame = before?.decision === decision && before.correct_code === correctCode;
  if (isSame && (before.typed ?? "") === typed) return;
  const made = [[entry.key, { ...about(entry), note: before?.note ?? "", decision, correct_code: correctCode, typed }]];
  if (isSame) apply(made); // to type on is no step of its own
  else change(made, [[entry.key, correctCode && before ? { ...before, typed: "" } : before]]);
}

/** A note beside the decision; without one it waits for it. */
function annotate(entry, note) {
  refresh();
  const before = decisionOf(entry);
  if ((before?.note ?? "") !== note) change([[entry.key, { ...about(entry), ...before, note, decided_at: now() }]]);
}

function about(entry) {
  return {
    source_file: entry.source_file, source_row_group: entry.source_row_group, source_row: entry.source_row,
    declaration_id: entry.declaration_id, item_no: entry.item_no, decided_at: now(), officer: null,
    shown: {
      declared_hs6: declaredSubheading(entry),
      verdict: entry.verdict, reason: entry.reason, recommended: entry.recommended,
    },
  };
}

/** Who works at this desk; a decision without an officer is theirs. */
const officer = () => remembered("officer") ?? "";
const officerOf = (decision) => decision.officer ?? officer();

/** This moment with the zone of this desk, ISO 8601. */
function now() {
  const moment = new Date();
  const offset = -moment.getTimezoneOffset();
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`;
  return new Date(moment.getTime() + offset * 60000).toISOString().slice(0, 19) + zone;
}

/** Makes some decisions at once, as one step of what can be undone. */
function change(made, before = made.map(([key]) => [key, decisions.get(key)])) {
  undone.push(before);
  apply(made);
}

/** Takes back what was decided of the open finding before the page was opened, else the last step: what stands again. */
function undo(entry) {
  refresh();
  const isOld = entry && isDecided(entry) && !undone.some((step) => step.some(([key]) => key === entry.key));
  const step = isOld ? [[entry.key, noteOf(entry)]] : undone.pop() ?? [];
  if (isOld) change(step);
  else if (step.length) apply(step);
  return step;
}

/** What is left of a decision that is taken back. */
function noteOf(entry) {
  const { note } = decisionOf(entry);
  return note ? { ...about(entry), note } : undefined;
}

function apply(made) {
  refresh();
  put(made);
  const written = JSON.stringify([...decisions.values()]);
  kept = remember(SAVED, written);
  if (kept) known = written;
  tell(made.map(([key]) => key));
}

function put(made) {
  for (const [key, decision] of made) {
    if (decision === undefined) decisions.delete(key);
    else decisions.set(key, decision);
  }
}

function tell(keys) {
  for (const watcher of watchers) watcher(keys);
}

/** A decision in few words. */
function decisionWords(decision) {
  if (decision?.decision === undefined) return say("undecided");
  if (decision.decision !== "wrong") return say(decision.decision);
  return decision.correct_code ? say("wrong_correct", { code: dotted(decision.correct_code) }) : say("wrong_open");
}
