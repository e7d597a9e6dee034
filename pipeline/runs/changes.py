"""Two published runs → what is new, gone or changed between their findings, and why.

Where both read the same files, findings are matched by their source rows; else by declaration and item, those that
stand there several times in the order of their rows. Of each finding a few hundred bytes are held.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.codes import LEVELS
from hs.errors import UsageError
from hs.files import whole_or_not_at_all
from pipeline.findings.finding import SourceRow, rows_of
from pipeline.findings.parts import opened
from pipeline.runs.causes import Cause, Told, same_input, told_by
from pipeline.runs.published import Run, findings_of

_MOVED = 1e-5  # less than that is no other answer of a model, see pipeline.replay
_BATCH_ROWS = 4096
_COLUMNS = (
    "declaration_id", "item_no", "source_file", "source_row_group", "source_row", "declared_hs_code_normalized",
    "verdict", "reason", "differs_at", "recommendations", *(f"declared_probability_{level}" for level in LEVELS),
    "risk", "pictures",
)  # fmt: skip


class Kind(StrEnum):
    """What became of a finding, the first that applies; in the order in which people look at them."""

    FLAGGED = "flagged"
    UNFLAGGED = "no_longer_flagged"
    VERDICT = "verdict"
    RECOMMENDED = "recommended"
    REASON = "reason"
    DIGIT = "digit"
    NEW = "new"
    GONE = "gone"


WORDS = {
    Kind.FLAGGED: "now flagged",
    Kind.UNFLAGGED: "no longer flagged",
    Kind.VERDICT: "another verdict, neither of them flagged",
    Kind.RECOMMENDED: "another first recommendation",
    Kind.REASON: "another reason",
    Kind.DIGIT: "differs at another digit",
    Kind.NEW: "only in the second run",
    Kind.GONE: "only in the first run",
}
_ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one of the runs says of a declaration.

    Attributes:
        source: where it stands in that run's archive.
        declared: the declared code as read, digits.
        recommended: the first code that the pictures speak for, digits.
        recommended_probability: of it.
        declared_probability: of the declared code at the finest level that was judged.
        given: digest of the declared code and the pictures.
        unanswered: whether a picture had no answer.
    """

    source: SourceRow
    declared: str | None
    verdict: str
    reason: str
    differs_at: int | None
    recommended: str | None
    recommended_probability: float | None
    declared_probability: float | None
    risk: float | None
    given: bytes
    unanswered: bool

    @property
    def flagged(self) -> bool:
        """Whether the declared code looks wrong."""
        return self.verdict == "differs"


@dataclass(frozen=True, slots=True)
class Change:
    """A finding that is not the same in both runs.

    Attributes:
        declaration_id, item_no: of the declaration.
        before: in the first run; None where it has none.
        after: in the second.
        kind: what became of it.
        changed: all that is not the same.
        why: what may have done it.
    """

    declaration_id: str | None
    item_no: int | None
    before: Outcome | None
    after: Outcome | None
    kind: Kind
    changed: tuple[str, ...]
    why: tuple[Cause, ...]

    @property
    def shown(self) -> Outcome:
        """What the later of the runs that have it says."""
        outcome = self.after or self.before
        assert outcome is not None
        return outcome


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        told: what differs between their manifests.
        changes: the findings that are not the same, those first that people look at first.
        same: findings that are.
        by_row: whether findings were matched by their rows.
    """

    told: tuple[Told, ...]
    changes: tuple[Change, ...]
    same: int
    by_row: bool

    @property
    def kinds(self) -> Counter[Kind]:
        """How many changes of each kind, in the order of the kinds."""
        counts = Counter(change.kind for change in self.changes)
        return Counter({kind: counts[kind] for kind in Kind if counts[kind]})


def compare(before: Run, after: Run) -> Comparison:
    """Compares two runs.

    Raises:
        UsageError: if the findings of one cannot be read.
        StorageLost: if its storage stayed away.
    """
    told, by_row = told_by(before.manifest, after.manifest), same_input(before.manifest, after.manifest)
    causes = [*dict.fromkeys(each.cause for each in told)]
    left, right = _outcomes(before, by_row), _outcomes(after, by_row)
    changes, same = [], 0
    for key in left.keys() | right.keys():
        pairs = zip_longest(*(sorted(side.get(key, ()), key=_place) for side in (left, right)))
        for was, now in pairs:
            if kinds := _kinds(was.outcome if was else None, now.outcome if now else None):
                changes.append(_change(was, now, kinds, causes))
            else:
                same += 1
    changes.sort(key=lambda change: (_ORDER[change.kind], -(change.shown.risk or 0), change.shown.source))
    return Comparison(tuple(told), tuple(changes), same, by_row)


@dataclass(frozen=True, slots=True)
class _Named:
    declaration_id: str | None
    item_no: int | None
    outcome: Outcome


def _place(named: _Named) -> SourceRow:
    return named.outcome.source


def _outcomes(run: Run, by_row: bool) -> dict[Hashable, list[_Named]]:
    """The findings by what they are matched by."""
    digests = {file["path"]: file.get("footer_sha256") for file in run.manifest["inputs"]}
    found: dict[Hashable, list[_Named]] = defaultdict(list)
    words: dict[str, str] = {}  # a night has few files, codes and reasons, and each text would be kept for every row
    for row in _rows(run):
        outcome = _outcome(row, words)
        source, name = outcome.source, row["declaration_id"]
        if by_row:
            key: Hashable = (digests[source.file], source.row_group, source.row)
        else:  # without an id nothing says which of the other night it is
            key = (name, row["item_no"]) if name is not None else (id(run), source)
        found[key].append(_Named(name, row["item_no"], outcome))
    return found


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    try:
        for part in findings_of(run):
            with opened(part, run.stores) as file:
                there = [name for name in _COLUMNS if name in file.schema_arrow.names]
                for batch in file.iter_batches(_BATCH_ROWS, columns=there, use_threads=False):
                    yield from rows_of(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"the findings in {run.name} cannot be read: {error}") from error


def _outcome(row: Mapping[str, Any], words: dict[str, str]) -> Outcome:
    def one(text: str | None) -> str | None:
        return None if text is None else words.setdefault(text, text)

    best = next(iter(row["recommendations"]), None)
    levels = [row[name] for level in LEVELS if row.get(name := f"declared_probability_{level}") is not None]
    pictures = row["pictures"]
    given = repr((row["declared_hs_code_normalized"], [picture["sha256"] for picture in pictures]))
    file = one(row["source_file"]) or ""
    return Outcome(
        SourceRow(file, row["source_row_group"], row["source_row"]),
        one(row["declared_hs_code_normalized"]),
        one(row["verdict"]) or "",
        one(row["reason"]) or "",
        row.get("differs_at"),
        one(best["hs_code"]) if best else None,
        best["probability"] if best else None,
        levels[-1] if levels else None,
        row["risk"],
        hashlib.blake2b(given.encode(), digest_size=8).digest(),
        any(picture["status"] == "not_scored" for picture in pictures),
    )


def _kinds(was: Outcome | None, now: Outcome | None) -> list[Kind]:
    """All that changed, the first of them first; none where nothing did."""
    if was is None or now is None:
        return [Kind.NEW if was is None else Kind.GONE]
    changed = {
        Kind.FLAGGED: now.flagged and not was.flagged,
        Kind.UNFLAGGED: was.flagged and not now.flagged,
        Kind.VERDICT: was.verdict != now.verdict,
        Kind.RECOMMENDED: was.recommended != now.recommended,
        Kind.REASON: was.reason != now.reason,
        Kind.DIGIT: was.differs_at != now.differs_at,
    }
    return [kind for kind, is_so in changed.items() if is_so]


def _change(was: _Named | None, now: _Named | None, kinds: Sequence[Kind], causes: Sequence[Cause]) -> Change:
    named = now or was
    assert named is not None
    before, after = was.outcome if was else None, now.outcome if now else None
    why = tuple(_why(before, after, causes)) or (Cause.UNTOLD,)
    return Change(named.declaration_id, named.item_no, before, after, kinds[0], tuple(map(str, kinds)), why)


def _why(was: Outcome | None, now: Outcome | None, causes: Sequence[Cause]) -> Iterator[Cause]:
    """What may have changed one finding; of what the manifests tell, without that which cannot have done it."""
    if was is None or now is None:
        yield Cause.INPUT if Cause.INPUT in causes else Cause.UNREAD
        return
    if was.given != now.given:
        yield Cause.INPUT
    if was.unanswered != now.unanswered:
        yield Cause.SERVER
    cannot = {Cause.INPUT} | (set() if _moved(was, now) else {Cause.MODEL})
    yield from (cause for cause in causes if cause not in cannot)


def _moved(was: Outcome, now: Outcome) -> bool:
    """Whether the model said something else."""
    pairs = (
        (was.recommended_probability, now.recommended_probability),
        (was.declared_probability, now.declared_probability),
    )
    return was.recommended != now.recommended or any(
        (one is None) != (other is None) or (one is not None and other is not None and abs(one - other) > _MOVED)
        for one, other in pairs
    )


_SIDE = (
    ("source_file", pa.string()), ("source_row_group", pa.int32()), ("source_row", pa.int64()),
    ("declared_hs_code", pa.string()), ("verdict", pa.string()), ("reason", pa.string()), ("mismatch", pa.bool_()),
    ("differs_at", pa.int8()), ("recommended", pa.string()), ("recommended_probability", pa.float64()),
    ("declared_probability", pa.float64()), ("risk", pa.float64()),
)  # fmt: skip
SCHEMA = pa.schema(
    [
        ("declaration_id", pa.string()),
        ("item_no", pa.int64()),
        ("kind", pa.string()),
        ("changed", pa.list_(pa.string())),
        ("why", pa.list_(pa.string())),
        *((f"{side}_{name}", type_) for side in ("before", "after") for name, type_ in _SIDE),
    ]
)


def write_changes(changes: Sequence[Change], path: Path) -> None:
    """Writes all changes as Parquet, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    with whole_or_not_at_all(path) as unfinished, pq.ParquetWriter(unfinished, SCHEMA) as writer:
        for first in range(0, len(changes), _BATCH_ROWS):
            rows = [as_row(change) for change in changes[first : first + _BATCH_ROWS]]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))


def as_row(change: Change) -> dict[str, Any]:
    """A change as a row of `SCHEMA`; what it has no value for is not there."""
    row: dict[str, Any] = {"declaration_id": change.declaration_id, "item_no": change.item_no, "kind": change.kind}
    row |= {"changed": list(change.changed), "why": list(map(str, change.why))}
    for side, outcome in (("before", change.before), ("after", change.after)):
        if outcome is not None:
            row |= {f"{side}_{name}": value for name, value in _side(outcome).items()}
    return row


def _side(outcome: Outcome) -> dict[str, Any]:
    same = ("verdict", "reason", "differs_at", "recommended", "recommended_probability", "declared_probability", "risk")
    source = outcome.source.as_columns()
    shown = {name: getattr(outcome, name) for name in same}
    return source | shown | {"declared_hs_code": outcome.declared, "mismatch": outcome.flagged}
