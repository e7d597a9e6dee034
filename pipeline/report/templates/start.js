// Puts the page together and listens.

function speak(chosen) {
  language = chosen;
  remember("language", chosen);
  translate();
  rows.clear();
  fillFilters();
  fillHelp();
  listEntries();
  showProgress();
  const entry = openEntry;
  if (entry) {
    finishNote();
    choose(entry, false);
  }
}

/** The finding that the address asks for. */
function openLinked() {
  const entry = linked.get(location.hash);
  if (!entry) return false;
  if (!shownEntries.includes(entry)) clearFilters();
  if (entry !== openEntry) choose(entry);
  showCase();
  return true;
}

function clearFilters() {
  byId("search").value = "";
  byId("undecided").checked = false;
  for (const name of Object.keys(FILTERS)) byId(`filter-${name}`).value = "";
  listEntries();
}

/** A list that changed keeps its open finding, or opens its first. */
function relist() {
  finishNote();
  listEntries();
  if (shownEntries.length && !shownEntries.includes(openEntry)) choose(shownEntries[0]);
  else if (openEntry) rowOf(openEntry).firstElementChild.setAttribute("aria-current", "true");
}

const OPENERS = { exchange: openExchange, help: () => openDialog("help") };

function listen() {
  byId("search").addEventListener("input", relist);
  for (const id of ["sort", "undecided", ...Object.keys(FILTERS).map((name) => `filter-${name}`)]) byId(id).addEventListener("change", relist);
  byId("clear").addEventListener("click", () => { clearFilters(); relist(); });
  byId("rows").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) act(event, () => choose(linked.get(link.getAttribute("href")), false));
  });
  byId("list").addEventListener("scroll", showRows, { passive: true });
  addEventListener("resize", showRows);
  for (const button of document.querySelectorAll("#answers button")) button.addEventListener("click", () => answer(button.value));
  byId("correct-code").addEventListener("input", codeTyped);
  byId("note").addEventListener("change", finishNote);
  byId("note").addEventListener("input", warnOfNote);
  for (const button of document.querySelectorAll("[data-opens]")) button.addEventListener("click", OPENERS[button.dataset.opens]);
  for (const button of document.querySelectorAll("[data-closes]")) button.addEventListener("click", () => byId(button.dataset.closes).close());
  for (const button of document.querySelectorAll("[data-export]")) button.addEventListener("click", () => exportAs(button.dataset.export));
  for (const button of document.querySelectorAll("#languages button")) button.addEventListener("click", () => speak(button.value));
  byId("undo").addEventListener("click", takeBack);
  byId("scheme").addEventListener("click", switchScheme);
  byId("print").addEventListener("click", printPage);
  byId("next-undecided").addEventListener("click", openNextUndecided);
  byId("import").addEventListener("change", async (event) => {
    await importFiles([...event.target.files]);
    event.target.value = ""; // the same file again is a change, too
  });
  byId("officer").addEventListener("input", (event) => remember("officer", event.target.value.trim()));
  byId("letters").checked = remembered("letters") !== "off";
  byId("letters").addEventListener("change", (event) => remember("letters", event.target.checked ? "on" : "off"));
  byId("full-before").addEventListener("click", () => stepFull(-1));
  byId("full-next").addEventListener("click", () => stepFull(1));
  byId("full-in").addEventListener("click", () => zoomFull(full.zoom * 1.5));
  byId("full-out").addEventListener("click", () => zoomFull(full.zoom / 1.5));
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", openLinked);
  addEventListener("beforeprint", layOut);
  addEventListener("pagehide", finishNote);
  addEventListener("storage", refresh); // another tab of this page has decided
  watchers.push(showProgress, () => {
    if (openEntry && !quiet) showDecision(openEntry);
    else if (openEntry) fill(byId("keeping"), kept ? "" : say("not_kept"));
  });
}

byId("officer").value = officer();
document.documentElement.classList.add("working");
listen();
speak(language);
// The pictures stand further down in the file; the first finding is opened when they are read.
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", openFirst);
else openFirst();

function openFirst() {
  if (!openLinked() && shownEntries.length) choose(shownEntries[0]);
}
