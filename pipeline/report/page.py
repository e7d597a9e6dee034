"""The page that officers open: the night in figures, what it does not know, and the worklist with its pictures.

    manifest + worklist ──► figures, sentences
    archive ──► thumbnails (read again, one pass for each row group) ──► report.html, which needs nothing beside it

Every text may come from a hostile archive: `hs.html` escapes it, cuts it where it is long, and shows what hides in it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from hs.codes import LEVELS, HSCode
from hs.files import write_whole
from hs.html import template
from hs.nomenclature import description
from hs.pictures.decoding import PictureStatus
from hs.ranking import By
from hs.text import counted
from hs.verdicts import VERDICT_OF, Reason, Verdict
from hs.words import explain, file_words, level_name, picture_words, repair_words, verdict_words
from pipeline.findings.finding import Finding, Recommendation
from pipeline.findings.worklist import RANDOM, Chosen, chosen_in
from pipeline.report.thumbnails import Thumbnail, pictures_of

_MOST_RECOMMENDATIONS = 3


def write_report(path: Path, manifest: dict[str, Any], worklist: pa.Table, most: int) -> None:
    """Writes the page of a night.

    Args:
        path: of the page.
        manifest: of the run.
        worklist: findings, best first, all columns.
        most: how many findings the page shows.
    """
    first = list(chosen_in(worklist.slice(0, most)))
    shown = pictures_of((chosen.finding for chosen in first), manifest)
    chosen_by = worklist["chosen_by"].to_pylist()
    likely = set(worklist["draw_probability"].drop_null().to_pylist())
    page = template("pipeline.report", "report.html").render(
        manifest=manifest,
        run_date=date.fromisoformat(manifest["run_date"]),
        groups=_groups(manifest),
        pictures=_picture_counts(manifest),
        chapters=_chapters(manifest),
        unread=_unread_files(manifest),
        worklist_rows=worklist.num_rows,
        by_revenue=By.REVENUE.value in chosen_by,
        drawn=chosen_by.count(RANDOM),
        drawn_alike=len(likely) <= 1,
        entries=[_entry(rank, chosen, shown[chosen.finding.source]) for rank, chosen in enumerate(first, start=1)],
    )
    write_whole(path, page)


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


def _groups(manifest: dict[str, Any]) -> list[Group]:
    total = manifest["rows"]["findings"]
    groups = []
    for verdict in (Verdict.DIFFERS, Verdict.UNSURE, Verdict.AGREES, Verdict.CANNOT_JUDGE):
        counts = {reason: manifest["reasons"].get(reason, 0) for reason in Reason if VERDICT_OF[reason] is verdict}
        reasons = [_figure(reason, explain(reason), count, total) for reason, count in counts.items() if count]
        groups.append(
            Group(_figure(verdict, verdict_words(verdict), manifest["verdicts"].get(verdict, 0), total), reasons)
        )
    return groups


def _picture_counts(manifest: dict[str, Any]) -> list[Figure]:
    counts = manifest["pictures"]
    ordered = sorted(counts.items(), key=lambda entry: (entry[0] != PictureStatus.OK, -entry[1]))
    return [_figure(status, picture_words(status), count, sum(counts.values())) for status, count in ordered]


def _figure(name: str, words: str, count: int, total: int) -> Figure:
    return Figure(str(name), words, count, count / max(total, 1))


def _chapters(manifest: dict[str, Any]) -> list[Chapter]:
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


def _unread_files(manifest: dict[str, Any]) -> list[tuple[str, str]]:
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


@dataclass(frozen=True)
class Rung:
    """The declared code at one level, from the chapter down.

    Attributes:
        name: of the level.
        code: the declared code cut to it.
        probability: summed, of all codes under it.
        differs: whether the declaration differs here.
    """

    name: str
    code: HSCode
    probability: float
    differs: bool


@dataclass(frozen=True)
class Entry:
    """A finding as the page shows it.

    Attributes:
        rank: in the worklist, from 1.
        drawn: whether it was drawn at random.
        finding: what the audit says.
        verdict: in words.
        why: in words.
        declared: the declared code as read, as the digits that agree and those from which on it differs.
        description: of the declared code.
        repair: in words, or None.
        rungs: the declared code level by level.
        kept: label and text of the passed-through columns that are not null.
        pictures: at most four.
    """

    rank: int
    drawn: bool
    finding: Finding
    verdict: str
    why: str
    declared: tuple[str, str] | None
    description: str | None
    repair: str | None
    rungs: list[Rung]
    kept: list[tuple[str, str]]
    pictures: list[Thumbnail]

    @property
    def recommendations(self) -> Sequence[Recommendation]:
        """The best three."""
        return self.finding.recommendations[:_MOST_RECOMMENDATIONS]


def _entry(rank: int, chosen: Chosen, pictures: list[Thumbnail]) -> Entry:
    finding = chosen.finding
    declared, differs_at = finding.declared, finding.differs_at
    return Entry(
        rank,
        chosen.chosen_by == RANDOM,
        finding,
        verdict_words(finding.verdict),
        explain(finding.reason, declared, differs_at, finding.recommended),
        _parted(declared, differs_at) if declared else None,
        description(declared) if declared else None,
        repair_words(finding.code_repair) if finding.code_repair else None,
        list(_rungs(declared, finding)) if declared else [],
        [(_label(name), _text(value)) for name, value in finding.kept.items() if value is not None],
        pictures,
    )


def _parted(code: HSCode, differs_at: int | None) -> tuple[str, str]:
    """A code before and after the digits from which on it differs.

    >>> _parted(HSCode("8708290000"), 6), _parted(HSCode("870829"), None)
    (('8708.', '29.0000'), ('8708.29', ''))
    """
    if differs_at is None:
        return str(code), ""
    dots = sum(differs_at > level for level in (4, 6))
    position = differs_at - 2 + dots
    return str(code)[:position], str(code)[position:]


def _rungs(declared: HSCode, finding: Finding) -> Iterator[Rung]:
    differs_from = finding.differs_at or max(LEVELS) + 1
    for level, probability in finding.declared_probabilities.items():
        if (code := declared.at(level)) is not None:
            yield Rung(level_name(level), code, probability, level >= differs_from)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    # 12 digits of a float: 0.1 + 0.2 is 0.3 to people.
    return f"{value:,.12g}" if isinstance(value, float) else str(value)
