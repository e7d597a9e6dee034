// Two desks' decisions become one list: what agrees is taken, what does not is chosen one by one.

/** Takes the decisions of files; those that contradict ours are listed for a choice. */
async function importFiles(files) {
  const problems = [];
  const conflicts = [];
  let taken = 0;
  for (const file of files) {
    try {
      const read = parseDecisions(await file.text());
      refresh();
      const { fresh, against } = compared(read);
      if (fresh.length) change(fresh.map((decision) => [keyOf(decision), decision]));
      taken += fresh.length;
      conflicts.push(...against);
    } catch (error) {
      problems.push(`${file.name}: ${error.message}`);
    }
  }
  const words = [say("imported", { n: taken, conflicts: conflicts.length }), ...problems].join(" ");
  fill(byId("import-words"), words);
  announce(words);
  if (openEntry) showDecision(openEntry);
  if (conflicts.length) showConflicts(conflicts);
}

/** Which decisions are new to us, and which stand against ours. */
function compared(read) {
  const fresh = new Map();
  const against = [];
  for (const theirs of read) {
    const key = keyOf(theirs);
    const ours = fresh.get(key) ?? decisions.get(key);
    if (ours?.decision === undefined) fresh.set(key, { ...theirs, note: theirs.note || ours?.note || "" });
    else if (contradict(ours, theirs)) against.push({ key, ours, theirs });
  }
  return { fresh: [...fresh.values()], against };
}

const contradict = (one, other) => one.decision !== other.decision || one.correct_code !== other.correct_code || one.note !== other.note;

function showConflicts(conflicts) {
  byId("exchange").close();
  fill(byId("conflict-lines"), conflicts.map((conflict, place) => {
    const entry = entryOf.get(conflict.key);
    const id = entry?.name ?? conflict.theirs.declaration_id ?? say("no_id");
    return h("fieldset", {}, h("legend", {}, foreign(id.slice(0, 120)), ...itemOf(conflict.theirs)),
      choiceOf(place, "ours", conflict.ours, true), choiceOf(place, "theirs", conflict.theirs, false));
  }));
  byId("conflicts").onsubmit = () => settle(conflicts);
  byId("conflicts").showModal();
}

const itemOf = ({ item_no }) => (item_no === null ? [] : [` ${say("item", { n: item_no })}`]);

function choiceOf(place, side, decision, chosen) {
  const who = officerOf(decision) || say(side === "ours" ? "this_desk" : "other_desk");
  return h("label", {}, h("input", { type: "radio", name: `conflict-${place}`, value: side, checked: chosen }), " ",
    foreign(decisionWords(decision)), decision.note && [" · ", foreign(decision.note)],
    h("span", { class: "quiet" }, " ", foreign(who.slice(0, 120)), ` ${decision.decided_at.slice(0, 16).replace("T", " ")}`));
}

/** Takes theirs where the officer chose so, as one step that can be undone. */
function settle(conflicts) {
  refresh();
  const form = new FormData(byId("conflict-form"));
  const theirs = conflicts.filter((_, place) => form.get(`conflict-${place}`) === "theirs");
  if (theirs.length) change(theirs.map(({ key, theirs: decision }) => [key, decision]));
  if (openEntry) showDecision(openEntry);
  announce(say("settled", { n: conflicts.length, theirs: theirs.length }));
}
