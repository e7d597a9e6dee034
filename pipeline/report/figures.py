"""The night in figures, as the page shows them below the worklist: manifest → lines of tables."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hs.codes import HSCode
from hs.html import amount, percent, sentence
from hs.nomenclature import description
from hs.pictures.decoding import PictureStatus
from hs.verdicts import VERDICT_OF, Reason, Verdict
from hs.words import LANGUAGES, catalogue, counted_words, explain, file_words, picture_words, verdict_words


@dataclass(frozen=True)
class Figure:
    """A line of a table.

    Attributes:
        name: stable and short, such as `low_confidence`.
        words: what it means.
        count: how many.
        share: of all that the table counts, 0 to 1.
    """

    name: str
    words: str
    count: int
    share: float


@dataclass(frozen=True)
class Group:
    """A verdict and the reasons that led to it."""

    verdict: Figure
    reasons: list[Figure]


@dataclass(frozen=True)
class Chapter:
    """How much of a declared chapter could be judged."""

    code: str
    description: str
    declarations: int
    judged: int
    differs: int


@dataclass(frozen=True)
class Lies:
    """How planted codes of one kind fared; shares with their intervals, as text."""

    words: str
    planted: int
    found: str
    flagged_as_declared: str
    told_apart: str


@dataclass(frozen=True)
class Moved:
    """How far something lies from earlier nights; numbers as text.

    Attributes:
        words: what is compared.
        psi: population stability index.
        chance: what chance alone hardly exceeds.
        beyond: whether it is exceeded.
        distance: Jensen-Shannon's.
        most: what of it moved most, as the manifest names it.
        shares: of that, earlier and now.
    """

    words: str
    psi: str
    chance: str
    beyond: bool
    distance: str
    most: str
    shares: str


@dataclass(frozen=True)
class Cost:
    """What the night cost; amounts as text.

    Attributes:
        night: in all.
        a_million: of a million declarations like its own; None where it has none.
        parts: of each what is measured and assumed, how much was used, the price of one, and the cost.
    """

    night: str
    a_million: str | None
    parts: list[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Overview:
    """A night in figures, in one language.

    Attributes:
        language: of the words.
        title: which night.
        lead: the night in a sentence.
        groups: the verdicts with their reasons.
        pictures: what became of them.
        chapters: the declared ones.
        unread: name of each file of which something is missing, and what.
        lies: the self-test, a line for each kind that was planted.
        withheld: why there is no worklist, if so.
        drift: how far the night lies from earlier ones, a line for each thing that is compared.
        cost: of the night; None where the configuration has no prices.
    """

    language: str
    title: str
    lead: str
    groups: list[Group]
    pictures: list[Figure]
    chapters: list[Chapter]
    unread: list[tuple[str, str]]
    lies: list[Lies]
    withheld: str | None
    drift: list[Moved]
    cost: Cost | None

    def say(self, name: str, **values: object) -> str:
        """A sentence of `[figures]`, its gaps filled; what strangers wrote stays text."""
        return sentence(catalogue(self.language)["figures"][name], **values)

    def counted(self, count: int, noun: str) -> str:
        """A number and its noun."""
        return counted_words(count, noun, self.language)


_DAYS = {"en": "{day.day} {day:%B %Y}", "ko": "{day.year}년 {day.month}월 {day.day}일"}


def overviews(manifest: dict[str, Any]) -> list[Overview]:
    """The night in each language, English first."""
    return [
        Overview(
            language,
            catalogue(language)["page"]["title"].format(
                day=_DAYS[language].format(day=date.fromisoformat(manifest["run_date"]))
            ),
            _lead(manifest, language),
            _groups(manifest, language),
            _pictures(manifest, language),
            _chapters(manifest, language),
            _unread_files(manifest, language),
            _lies(manifest, language),
            _withheld(manifest, language),
            _drift(manifest, language),
            _cost(manifest, language),
        )
        for language in LANGUAGES
    ]


def _lead(manifest: dict[str, Any], language: str) -> str:
    words, count, verdicts = catalogue(language)["page"], manifest["rows"]["findings"], manifest["verdicts"]
    return words["lead" if count else "no_declarations"].format(
        declarations=counted_words(count, "declaration", language),
        differs=f"{verdicts.get(Verdict.DIFFERS, 0):,}",
        unjudged=f"{verdicts.get(Verdict.CANNOT_JUDGE, 0):,}",
    )


def _groups(manifest: dict[str, Any], language: str) -> list[Group]:
    """The verdicts, those to open first at the top, each with its reasons."""
    total = manifest["rows"]["findings"]
    found = []
    for verdict in (Verdict.DIFFERS, Verdict.UNSURE, Verdict.AGREES, Verdict.CANNOT_JUDGE):
        counts = {reason: manifest["reasons"].get(reason, 0) for reason in Reason if VERDICT_OF[reason] is verdict}
        reasons = [
            _figure(reason, explain(reason, language=language), count, total)
            for reason, count in counts.items()
            if count
        ]
        words, count = verdict_words(verdict, language), manifest["verdicts"].get(verdict, 0)
        found.append(Group(_figure(verdict, words, count, total), reasons))
    return found


def _pictures(manifest: dict[str, Any], language: str) -> list[Figure]:
    """What became of the pictures, those that were read first."""
    counts = manifest["pictures"]
    ordered = sorted(counts.items(), key=lambda entry: (entry[0] != PictureStatus.OK, -entry[1]))
    total = sum(counts.values())
    return [_figure(status, picture_words(status, None, language), count, total) for status, count in ordered]


def _lies(manifest: dict[str, Any], language: str) -> list[Lies]:
    words = catalogue(language)["figures"]
    kinds = manifest.get("selftest", {}).get("kinds", {})  # an older run has none
    return [
        Lies(
            words[f"planted_{name}"],
            kind["planted"],
            *(_with_interval(kind[what]) for what in ("recall", "false_alarms", "told_apart")),
        )
        for name, kind in kinds.items()
        if kind["planted"]
    ]


def _with_interval(rate: dict[str, Any]) -> str:
    low, high = map(percent, rate["interval"])
    return f"{percent(rate['share'])} ({low}–{high})"


def _withheld(manifest: dict[str, Any], language: str) -> str | None:
    selftest = manifest.get("selftest", {})
    if not selftest.get("withheld"):
        return None
    kind = selftest["kinds"][selftest["expected"]]
    told, least = kind["told_apart"], percent(selftest["min_recall"])
    values = {"of": f"{kind['planted']:,}", "told": f"{told['count']:,}", "share": percent(told["share"])}
    return sentence(catalogue(language)["figures"]["withheld"], **values, least=least)


def _drift(manifest: dict[str, Any], language: str) -> list[Moved]:
    words = catalogue(language)["figures"]
    shifts = manifest.get("drift", {}).get("shifts", {})  # an older run has none
    return [
        Moved(
            words[f"drift_{name}"],
            f"{shift['psi']:.3f}",
            f"{shift['chance']:.3f}",
            shift["psi"] > shift["chance"],
            f"{shift['jensen_shannon']:.3f}",
            shift["moved"],
            f"{percent(shift['was'])} → {percent(shift['now'])}",
        )
        for name, shift in shifts.items()
    ]


def _cost(manifest: dict[str, Any], language: str) -> Cost | None:
    cost = manifest.get("cost")
    if cost is None:
        return None
    words, currency = catalogue(language)["figures"], cost["currency"]

    def money(value: float | None) -> str:
        return "–" if value is None else f"{amount(value)} {currency}"

    parts = [
        (
            words[f"cost_{part['how']}"],
            "–" if part["amount"] is None else words[f"used_{name}"].format(n=amount(part["amount"], decimals=3)),
            f"{part['price']:g} {currency}",
            money(part["cost"]),
        )
        for name, part in cost["parts"].items()
    ]
    return Cost(money(cost["night"]), None if cost["a_million"] is None else money(cost["a_million"]), parts)


def _figure(name: str, words: str, count: int, total: int) -> Figure:
    return Figure(str(name), words, count, count / max(total, 1))


def _chapters(manifest: dict[str, Any], language: str) -> list[Chapter]:
    """The declared chapters, as the manifest orders them."""
    words = catalogue(language)
    unknown, no_code = words["page"]["not_in_nomenclature"], words["figures"]["no_code"]
    return [
        Chapter(
            code,
            (description(HSCode(code)) or unknown) if code.isdecimal() else no_code,
            counts.get("declarations", 0),
            counts.get("judged", 0),
            counts.get("differs", 0),
        )
        for code, counts in manifest["coverage_by_chapter"].items()
    ]


def _unread_files(manifest: dict[str, Any], language: str) -> list[tuple[str, str]]:
    words, files = catalogue(language)["figures"], []
    for file in manifest["inputs"]:
        name = Path(file["path"]).name
        rows = counted_words(file["rows"] or 0, "row", language)
        if "unreadable" in file:
            form = words["unread_whole_file" if file["rows"] is None else "unread_file"]
            files.append((name, form.format(why=file_words(file["unreadable"], language), rows=rows)))
        elif file["in_dead_letters"]:
            files.append((name, words["unread_part"].format(n=f"{file['in_dead_letters']:,}", rows=rows)))
    return files
