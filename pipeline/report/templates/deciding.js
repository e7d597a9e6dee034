// The form below the open case: three answers, the correct code checked while typing, a note.

const MOST_SUGGESTIONS = 5;

/** Shows what was decided of a finding. */
function showDecision(entry) {
  const decision = decisionOf(entry);
  for (const button of document.querySelectorAll("#answers button")) {
    button.setAttribute("aria-pressed", String(button.value === decision?.decision));
  }
  byId("correct").hidden = decision?.decision !== "wrong";
  byId("correct-code").value = decision?.correct_code ? dotted(decision.correct_code) : decision?.typed ?? "";
  const note = byId("note");
  if (note.value === note.defaultValue) note.value = note.defaultValue = decision?.note ?? "";
  checkCode();
  warnOfNote();
  fill(byId("keeping"), kept ? "" : say("not_kept"));
}

/** What the officer answers: the declared code is wrong, right, or cannot be told. */
function answer(decision, correctCode = null) {
  if (!openEntry) return;
  if (decision === "wrong" && correctCode === null) decideWrong();
  else decide(openEntry, decision, correctCode);
  if (decision === "wrong" && correctCode === null) {
    byId("correct-code").focus();
    byId("correct-code").select();
  }
}

/** Wrong, with the code that stands there, or with what was typed of one. */
function decideWrong() {
  const { correct_code = null, typed = "" } = decisionOf(openEntry) ?? {};
  decide(openEntry, "wrong", correct_code, typed);
}

/** The n-th recommended code is the correct one. */
function answerRecommended(place) {
  if (!openEntry) return;
  const code = openEntry.recommended[place]?.hs_code.slice(0, 6) ?? "";
  if (code.length < 6) announce(say("no_recommended", { n: place + 1 }));
  else if (code === declaredSubheading(openEntry)) announce(say("recommended_declared", { code: dotted(code) }));
  else answer("wrong", code);
}

/** A written code as six digits that the nomenclature has and that were not declared; else null and why. */
function checked(written) {
  const digits = digitsOf(written);
  if (!digits) return [null, say("code_open")];
  if (!/^\d+$/.test(digits)) return [null, say("code_digits")];
  if (digits.length < 6) return [null, described(digits) ?? say("code_short", { n: 6 - digits.length })];
  const code = digits.slice(0, 6);
  if (digits.length > 6 || !nomenclature.has(code)) return [null, say("code_unknown", { code: dotted(digits) })];
  if (code === declaredSubheading(openEntry)) return [null, say("code_declared")];
  return [code, described(code)];
}

/** Says what the code is that stands in the field, and offers those that begin with it. */
function checkCode() {
  if (!openEntry) return null;
  const field = byId("correct-code");
  const digits = digitsOf(field.value);
  const [code, words] = checked(field.value);
  fill(byId("correct-words"), words);
  const invalid = code === null && digits.length > 0 && (digits.length >= 6 || !/^\d+$/.test(digits));
  field.setAttribute("aria-invalid", String(invalid));
  const offered = /^\d{2,5}$/.test(digits) ? subheadings.filter((one) => one.startsWith(digits) && one !== declaredSubheading(openEntry)).slice(0, MOST_SUGGESTIONS) : [];
  fill(byId("suggestions"), offered.map((one) => h("li", {}, h("button", { type: "button", onclick: () => answer("wrong", one) },
    h("b", {}, dotted(one)), ` ${described(one)}`))));
  return code;
}

/** The field was typed in: a whole code is a decision at once, anything else is kept as what it is. */
function codeTyped() {
  const code = checkCode();
  quietly(() => decide(openEntry, "wrong", code, code ? "" : byId("correct-code").value.trim()));
}

/** The form is done, if what stands in it is a code or nothing. */
function finish() {
  if (!isUnfinished(decisionOf(openEntry))) return openNextUndecided();
  byId("correct-code").focus();
  byId("correct-code").setAttribute("aria-invalid", "true");
  announce(say("code_unfinished"));
}

let quiet = false;

/** Without writing the form anew under the officer's hands. */
function quietly(act) {
  quiet = true;
  act();
  quiet = false;
}

/** Keeps the note, where it was written in: what another tab wrote stays else. */
function finishNote() {
  const note = byId("note");
  if (!openEntry || note.value === note.defaultValue) return;
  note.defaultValue = note.value;
  quietly(() => annotate(openEntry, note.value));
}

/** A note is handed over with a decision alone. */
function warnOfNote() {
  fill(byId("note-words"), openEntry && byId("note").value && !isDecided(openEntry) && say("note_alone"));
}

/** Opens the next finding of the list that nothing was decided of. */
function openNextUndecided() {
  finishNote();
  const from = shownEntries.indexOf(openEntry);
  const next = [...shownEntries.slice(from + 1), ...shownEntries.slice(0, Math.max(from, 0))].find((entry) => !isDecided(entry));
  if (next) choose(next);
  else announce(say("all_decided"));
  focusCase();
  showCase();
}

/** Takes back the last step, shows the finding that it was about, and says what stands now. */
function takeBack() {
  finishNote();
  const before = decisionWords(openEntry && decisionOf(openEntry));
  const step = undo(openEntry);
  const entry = entryOf.get(step[0]?.[0]);
  const words = takenBack(step, entry === openEntry && before);
  if (entry) {
    choose(entry);
    showCase();
  }
  announce(words);
}

function takenBack(step, before) {
  if (!step.length) return say("nothing_to_undo");
  const [[key, decision]] = step;
  const entry = entryOf.get(key);
  if (step.length > 1 || !entry) return say("undone_many", { n: step.length });
  const id = [entry.name ?? say("no_id"), itemWords(entry)].filter(Boolean).join(" ");
  const words = decisionWords(decision);
  return say(words === before ? "undone_note" : "undone", { id, decision: words });
}
