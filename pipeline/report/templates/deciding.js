// The form below the open case: three answers, the correct code checked while typing, a note.

const MOST_SUGGESTIONS = 5;

/** Shows what was decided of a finding. */
function showDecision(entry) {
  const decision = decisionOf(entry);
  for (const button of document.querySelectorAll("#answers button")) {
    button.setAttribute("aria-pressed", String(button.value === decision?.decision));
  }
  byId("correct").hidden = decision?.decision !== "wrong";
  byId("correct-code").value = decision?.correct_code ? dotted(decision.correct_code) : "";
  byId("note").value = decision?.note ?? "";
  checkCode();
  fill(byId("keeping"), kept ? "" : say("not_kept"));
}

/** What the officer answers: the declared code is wrong, right, or cannot be told. */
function answer(decision, correctCode = null) {
  if (!openEntry) return;
  decide(openEntry, decision, decision === "wrong" ? correctCode ?? decisionOf(openEntry)?.correct_code ?? null : null);
  if (decision === "wrong" && correctCode === null) {
    byId("correct-code").focus();
    byId("correct-code").select();
  }
}

/** The n-th recommended code is the correct one. */
function answerRecommended(place) {
  const code = openEntry?.recommended[place]?.hs_code;
  if (!code || code.length < 6 || code.slice(0, 6) === declaredSubheading(openEntry)) return;
  answer("wrong", code.slice(0, 6));
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

/** The field was typed in: a whole code is a decision at once. */
function codeTyped() {
  const code = checkCode();
  const decided = decisionOf(openEntry)?.correct_code ?? null;
  if (code !== decided) quietly(() => decide(openEntry, "wrong", code));
}

let quiet = false;

/** Without writing the form anew under the officer's hands. */
function quietly(act) {
  quiet = true;
  act();
  quiet = false;
}

function finishNote() {
  if (openEntry) quietly(() => annotate(openEntry, byId("note").value));
}

/** Opens the next finding of the list that nothing was decided of. */
function openNextUndecided() {
  finishNote();
  const from = shownEntries.indexOf(openEntry);
  const next = [...shownEntries.slice(from + 1), ...shownEntries.slice(0, Math.max(from, 0))].find((entry) => !isDecided(entry));
  document.activeElement?.blur();
  if (next) choose(next);
  else announce(say("all_decided"));
}

/** Takes back the last step and shows the finding that it was about. */
function takeBack() {
  finishNote();
  const entry = undo();
  if (entry) choose(entry);
  announce(entry ? say("undone") : say("nothing_to_undo"));
}
