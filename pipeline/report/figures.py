"""The night in figures, as the page shows them below the worklist: manifest → lines of tables."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from hs.codes import HSCode
from hs.nomenclature import description
from hs.pictures.decoding import PictureStatus
from hs.text import counted
from hs.verdicts import VERDICT_OF, Reason, Verdict
from hs.words import LANGUAGES, catalogue, explain, file_words, picture_words, verdict_words


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
class Head:
    """What stands above the worklist, in one language.

    Attributes:
        language: of the words.
        title: which night.
        lead: the night in a sentence.
        figures: what leads to them.
    """

    language: str
    title: str
    lead: str
    figures: str


_DAYS = {"en": "{day.day} {day:%B %Y}", "ko": "{day.year}년 {day.month}월 {day.day}일"}


def heads(manifest: dict[str, Any]) -> list[Head]:
    """The head of the page in each language, English first."""
    day, count, verdicts = date.fromisoformat(manifest["run_date"]), manifest["rows"]["findings"], manifest["verdicts"]
    found = []
    for language in LANGUAGES:
        words = catalogue(language)["page"]
        lead = words["lead" if count else "no_declarations"].format(
            declarations=counted(count, "declaration") if language == "en" else f"{count:,}",
            differs=f"{verdicts.get(Verdict.DIFFERS, 0):,}",
            unjudged=f"{verdicts.get(Verdict.CANNOT_JUDGE, 0):,}",
        )
        found.append(Head(language, words["title"].format(day=_DAYS[language].format(day=day)), lead, words["figures"]))
    return found


def groups(manifest: dict[str, Any]) -> list[Group]:
    """The verdicts, those to open first at the top, each with its reasons."""
    total = manifest["rows"]["findings"]
    found = []
    for verdict in (Verdict.DIFFERS, Verdict.UNSURE, Verdict.AGREES, Verdict.CANNOT_JUDGE):
        counts = {reason: manifest["reasons"].get(reason, 0) for reason in Reason if VERDICT_OF[reason] is verdict}
        reasons = [_figure(reason, explain(reason), count, total) for reason, count in counts.items() if count]
        found.append(
            Group(_figure(verdict, verdict_words(verdict), manifest["verdicts"].get(verdict, 0), total), reasons)
        )
    return found


def picture_counts(manifest: dict[str, Any]) -> list[Figure]:
    """What became of the pictures, those that were read first."""
    counts = manifest["pictures"]
    ordered = sorted(counts.items(), key=lambda entry: (entry[0] != PictureStatus.OK, -entry[1]))
    return [_figure(status, picture_words(status), count, sum(counts.values())) for status, count in ordered]


def _figure(name: str, words: str, count: int, total: int) -> Figure:
    return Figure(str(name), words, count, count / max(total, 1))


def chapters(manifest: dict[str, Any]) -> list[Chapter]:
    """The declared chapters, as the manifest orders them."""
    return [
        Chapter(
            code,
            (description(HSCode(code)) or "not in the nomenclature") if code.isdecimal() else "no code could be read",
            counts.get("declarations", 0),
            counts.get("judged", 0),
            counts.get("differs", 0),
        )
        for code, counts in manifest["coverage_by_chapter"].items()
    ]


def unread_files(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name of each file of which something is missing, and what."""
    files = []
    for file in manifest["inputs"]:
        name = Path(file["path"]).name
        if "unreadable" in file:
            rows = "an unknown number of rows" if file["rows"] is None else counted(file["rows"], "row")
            files.append((name, f"{file_words(file['unreadable'])}: {rows} not read"))
        elif file["in_dead_letters"]:
            files.append((name, f"{file['in_dead_letters']:,} of {counted(file['rows'], 'row')} not read"))
    return files
