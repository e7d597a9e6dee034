// What the page says, in the language that is chosen, and numbers as people read them.

const night = embedded("night");
const LANGUAGES = Object.keys(night.words);

/** The browser's storage, which some browsers refuse to pages from a file: then null. */
const storage = (() => {
  try {
    localStorage.setItem("hs-audit", "here");
    return localStorage;
  } catch {
    return null;
  }
})();

function remembered(name) {
  return storage?.getItem(`hs-audit ${name}`) ?? null;
}

/** Whether it could be kept. */
function remember(name, value) {
  try {
    storage?.setItem(`hs-audit ${name}`, value);
    return storage !== null;
  } catch {
    return false; // full
  }
}

let language = LANGUAGES.includes(remembered("language")) ? remembered("language") : "en";

/** A sentence of the catalogue, its places filled: `say("left", {n: 3})`; of `one|others` the first where n is 1. */
function say(name, values = {}) {
  const [one, others = one] = (night.words[language].page[name] ?? name).split("|");
  const sentence = values.n === 1 ? one : others;
  return sentence.replace(/\{(\w+)\}/g, (place, key) => (key in values ? String(values[key]) : place));
}

const levelName = (level) => night.words[language].levels[level];
const verdictName = (verdict) => night.words[language].verdicts[verdict];

/** Of what stands in all languages, that of the chosen one. */
const spoken = (words) => words?.[language] ?? null;

/** A share as people read it; a probability is never none and never certain. */
function chance(probability) {
  if (probability < 0.001) return "<0.1%";
  return probability > 0.999 ? ">99.9%" : `${(100 * probability).toFixed(1)}%`;
}

const rounded = (amount) => new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(amount);

/** Digits as people write a code: 8708.29.0000. */
function dotted(digits) {
  return [digits.slice(0, 4), digits.slice(4, 6), digits.slice(6)].filter(Boolean).join(".");
}

/** Says what stands in the page itself in the chosen language. */
function translate() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  for (const element of document.querySelectorAll("[data-hint]")) element.setAttribute("placeholder", say(element.dataset.hint));
  for (const element of document.querySelectorAll("[data-language]")) element.hidden = element.dataset.language !== language;
  for (const button of document.querySelectorAll("#languages button")) {
    button.setAttribute("aria-pressed", String(button.value === language));
  }
}
