"""Two runs side by side for people: how many findings changed and why, and the pictures of those that come first.

Every text may come from a hostile archive, as on the page of a night.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hs.codes import HSCode
from hs.files import write_whole
from hs.html import Inline, template
from hs.nomenclature import description
from hs.verdicts import Reason, Verdict
from hs.words import explain, verdict_words
from pipeline.findings.finding import Finding, SourceRow
from pipeline.report.thumbnails import Thumbnail, pictures_of
from pipeline.runs.causes import WORDS as CAUSES
from pipeline.runs.causes import by_cause
from pipeline.runs.changes import WORDS as KINDS
from pipeline.runs.changes import Change, Comparison, Kind, Outcome
from pipeline.runs.published import Run, findings_at


@dataclass(frozen=True)
class Row:
    """How many changes there are of a kind.

    Attributes:
        words: what the kind is.
        count: how many.
        share: of all changes, 0 to 1.
    """

    words: str
    count: int
    share: float


@dataclass(frozen=True)
class Side:
    """What one of the runs says.

    Attributes:
        outcome: of the comparison.
        verdict, why: in words.
        declared: as read, or None.
        recommended: the first code that the pictures speak for, or None.
        goods: what that stands for.
    """

    outcome: Outcome
    verdict: str
    why: str
    declared: HSCode | None
    recommended: HSCode | None
    goods: str | None


@dataclass(frozen=True)
class Entry:
    """A change as the page shows it.

    Attributes:
        change: of the comparison.
        kind: in words.
        why: in words.
        before, after: each run's side, or None.
        pictures: of the later run that has the declaration, at most four.
    """

    change: Change
    kind: str
    why: list[str]
    before: Side | None
    after: Side | None
    pictures: list[Thumbnail]


def write_changes_page(path: Path, runs: tuple[Run, Run], compared: Comparison, most: int) -> None:
    """Writes the page.

    Args:
        path: of the page.
        runs: the first and the second.
        compared: what became of their findings.
        most: how many changes are shown with their pictures.

    Raises:
        OSError: if it cannot be written.
        UsageError: if the findings cannot be read.
    """
    first = compared.changes[:most]
    shown = (_pictures(runs[0], [change for change in first if change.after is None]),
             _pictures(runs[1], [change for change in first if change.after is not None]))  # fmt: skip
    page = template("pipeline.report", "changes.html").render(
        style=Inline.of("pipeline.report", ("colours.css", "changes.css")),
        runs=[(run.name, run.manifest) for run in runs],
        told=[(CAUSES[cause], sentence) for cause, sentence in by_cause(compared.told).items()],
        rows=[Row(KINDS[kind], count, count / len(compared.changes)) for kind, count in compared.kinds.items()],
        same=compared.same,
        changes=len(compared.changes),
        only=sum(change.kind in (Kind.NEW, Kind.GONE) for change in compared.changes),
        by_row=compared.by_row,
        verdicts=[(verdict, verdict_words(verdict)) for verdict in Verdict],
        moved=Counter((c.before.verdict, c.after.verdict) for c in compared.changes if c.before and c.after),
        entries=[_entry(change, shown[change.after is not None][change.shown.source]) for change in first],
    )
    write_whole(path, page)


def _pictures(run: Run, changes: Sequence[Change]) -> dict[SourceRow, list[Thumbnail]]:
    if not changes:
        return {}
    found: dict[SourceRow, Finding] = findings_at(run, {change.shown.source for change in changes})
    return pictures_of(found.values(), run.manifest)


def _entry(change: Change, pictures: list[Thumbnail]) -> Entry:
    why = [CAUSES[cause] for cause in change.why]
    return Entry(change, KINDS[change.kind], why, _side(change.before), _side(change.after), pictures)


def _side(outcome: Outcome | None) -> Side | None:
    if outcome is None:
        return None
    declared = HSCode(outcome.declared) if outcome.declared else None
    recommended = HSCode(outcome.recommended) if outcome.recommended else None
    why = explain(Reason(outcome.reason), declared, outcome.differs_at, [recommended] if recommended else [])
    goods = description(recommended) if recommended else None
    return Side(outcome, verdict_words(Verdict(outcome.verdict)), why, declared, recommended, goods)
