// Light or dark: as the system has it, until somebody switches; then as this browser keeps it.

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let scheme = ["light", "dark"].includes(remembered("scheme")) ? remembered("scheme") : ""; // "" is the system's

const isDark = () => (scheme ? scheme === "dark" : systemIsDark.matches);

function showScheme() {
  if (scheme) document.documentElement.dataset.scheme = scheme;
  else delete document.documentElement.dataset.scheme;
  byId("scheme").setAttribute("aria-pressed", String(isDark()));
}

/** The other one; where that is the system's, the page follows the system again. */
function switchScheme() {
  const dark = !isDark();
  scheme = dark === systemIsDark.matches ? "" : dark ? "dark" : "light";
  remember("scheme", scheme);
  showScheme();
}

showScheme();
systemIsDark.addEventListener("change", showScheme);
