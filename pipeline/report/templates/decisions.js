// What the officer decided: kept by finding in the form in which a decisions file holds it, undone step by step.

const SAVED = `decisions ${night.run_id}`;
const decisions = new Map(); // key of the finding → decision
const undone = []; // what stood before each step: [[key, decision or undefined], …]
const watchers = []; // called after every change
let kept = true; // whether the browser keeps them

for (const decision of savedDecisions()) decisions.set(keyOf(decision), decision);

function savedDecisions() {
  try {
    return JSON.parse(remembered(SAVED) ?? "[]");
  } catch {
    return [];
  }
}

/** What was decided of a finding; undefined where nothing was. */
const decisionOf = (entry) => decisions.get(entry.key);
const isDecided = (entry) => decisions.get(entry.key)?.decision !== undefined;
const decidedCount = () => entries.filter(isDecided).length;

/** A decision on a finding of this page: `wrong` with a code or null, `right` or `cannot_tell`. */
function decide(entry, decision, correctCode = null) {
  const before = decisionOf(entry);
  if (before?.decision === decision && before.correct_code === correctCode) return;
  change([[entry.key, { ...about(entry), note: before?.note ?? "", decision, correct_code: correctCode }]]);
}

/** A note beside the decision; without one it waits for it. */
function annotate(entry, note) {
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
function change(made) {
  undone.push(made.map(([key]) => [key, decisions.get(key)]));
  apply(made);
}

/** Takes the last step back; the finding that it was about, or null. */
function undo() {
  const step = undone.pop();
  if (!step) return null;
  apply(step);
  return entryOf.get(step[0][0]) ?? null;
}

function apply(made) {
  for (const [key, decision] of made) {
    if (decision === undefined) decisions.delete(key);
    else decisions.set(key, decision);
  }
  kept = remember(SAVED, JSON.stringify([...decisions.values()]));
  for (const watcher of watchers) watcher(made.map(([key]) => key));
}

/** A decision in few words. */
function decisionWords(decision) {
  if (decision?.decision === undefined) return say("undecided");
  if (decision.decision !== "wrong") return say(decision.decision);
  return decision.correct_code ? say("wrong_correct", { code: dotted(decision.correct_code) }) : say("wrong");
}
