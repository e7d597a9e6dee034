"""The account of a run: per file, rows in the footer = findings + rows in dead letters, each row exactly once.

It is drawn up from the staged files themselves, not from what the workers say that they wrote.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hs.storage.location import Location
from hs.storage.stores import ANYWHERE, Stores
from pipeline.archive.inputs import Inputs
from pipeline.findings import distributions
from pipeline.findings.parts import opened
from pipeline.values import NOT_SCORED, DeadLetter

_BATCH_ROWS = 4096
_MOST_FAULTS = 1000  # a server may say something else each time
_COLUMNS = [
    "source_file",
    "source_row_group",
    "source_row",
    "declaration_id",
    "item_no",
    "declared_hs_code_normalized",
    "verdict",
    "reason",
    "images_total",
    "images_used",
    "pictures",
    "precedents",
    *distributions.COLUMNS,
]


class LedgerError(Exception):
    """The account does not add up: a bug, and nothing may be published."""


@dataclass
class Ledger:
    """What the staged findings add up to.

    Attributes:
        findings, dead_rows: per file.
        unknown_files: files that do not even say how many rows they have.
        verdicts, reasons, pictures, repaired: counts, pictures by status.
        chapters: declared chapter → (declarations, of them judged).
        distributions: see `pipeline.findings.distributions`.
        with_precedents: findings beside which rulings stand.
        faults: what the server said of pictures that were not scored → how many.
        repeated_ids, missing_ids: declarations whose id and item stand more than once, or that have no id.
    """

    findings: Counter[str] = field(default_factory=Counter)
    dead_rows: Counter[str] = field(default_factory=Counter)
    unknown_files: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    chapters: dict[str, Counter[str]] = field(default_factory=dict)
    distributions: dict[str, Counter[str]] = field(default_factory=dict)
    repeated_ids: int = 0
    missing_ids: int = 0
    with_precedents: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        """All rows that are known of."""
        return self.findings.total() + self.dead_rows.total()

    def commonest_fault(self) -> str:
        """What is behind most pictures without an answer, to end a sentence with; empty where all have one."""
        if not self.faults:
            return ""
        ((fault, count),) = self.faults.most_common(1)
        return f"; {count:,} of {self.faults.total():,} pictures without an answer: {fault}"

    def unscored_share(self) -> float:
        """Dead letters and unscored findings of all rows; a file of unknown length counts as an average one."""
        files = max(len(self.findings), 1)
        unknown = self.unknown_files * -(-self.findings.total() // files)
        missing = self.dead_rows.total() + self.reasons["not_scored"] + unknown
        return missing / max(self.rows + unknown, 1)


def draw_up(
    inputs: Inputs,
    dead_letters: Sequence[DeadLetter],
    parts: Iterable[Path | Location],
    stores: Stores = ANYWHERE,
) -> Ledger:
    """Accounts for every row of every input file.

    Args:
        inputs: what the run was to read.
        dead_letters: all of them, of whole files and of ranges.
        parts: the staged files of findings.
        stores: how they are reached.

    Raises:
        LedgerError: if a row has no finding or more than one, or a picture is not counted once.
    """
    ledger = Ledger()
    # A byte for each row of the night: 10 MB for ten million.
    seen = {(pointer.file, pointer.index): np.zeros(pointer.rows, np.uint8) for pointer in inputs.pointers()}
    ids = [np.zeros(0, np.int64)]  # eight bytes for each row, and once more as they are put together
    for part in parts:
        with opened(part, stores) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=_COLUMNS):
                _mark_rows(batch, seen)
                _count(batch, ledger)
                ids.append(_hashed_ids(batch))
    for letter in dead_letters:
        _bury(letter, seen, ledger)
    _check(seen)
    _count_ids(np.concatenate(ids, dtype=np.int64), ledger)
    return ledger


def _mark_rows(batch: pa.RecordBatch, seen: dict[tuple[str, int], np.ndarray]) -> None:
    table = pa.table({name: batch.column(name) for name in ("source_file", "source_row_group", "source_row")})
    groups = table.group_by(["source_file", "source_row_group"]).aggregate([("source_row", "list")]).to_pylist()
    for group in groups:
        key = (group["source_file"], group["source_row_group"])
        if key not in seen:
            raise LedgerError(f"a finding points to row group {key[1]} of {key[0]}, which was not read")
        np.add.at(seen[key], group["source_row_list"], 1)  # += would count a row once that the batch has twice


def _count(batch: pa.RecordBatch, ledger: Ledger) -> None:
    for counter, name in ((ledger.findings, "source_file"), (ledger.verdicts, "verdict"), (ledger.reasons, "reason")):
        counter.update(_value_counts(batch.column(name)))
    pictures = batch.column("pictures").flatten()
    statuses = _value_counts(pc.struct_field(pictures, "status"))
    total, used = pc.sum(batch.column("images_total")).as_py() or 0, pc.sum(batch.column("images_used")).as_py() or 0
    if total != sum(statuses.values()) or used != statuses.get("ok", 0):
        raise LedgerError(f"{total} pictures of which {used} used, but their statuses add up to {statuses}")
    ledger.pictures.update(statuses)
    if statuses.get(NOT_SCORED):
        without = pictures.filter(pc.equal(pc.struct_field(pictures, "status"), NOT_SCORED))
        ledger.faults.update(_value_counts(pc.fill_null(pc.struct_field(without, "detail"), "nothing")))
        ledger.faults = Counter(dict(ledger.faults.most_common(_MOST_FAULTS)))
    for name, counts in distributions.binned(batch):
        ledger.distributions.setdefault(name, Counter()).update(counts)
    precedents = pc.list_value_length(batch.column("precedents"))
    ledger.with_precedents += pc.sum(pc.greater(precedents, 0)).as_py() or 0
    chapters = pc.fill_null(pc.utf8_slice_codeunits(batch.column("declared_hs_code_normalized"), 0, 2), "none")
    for chapter, verdict in zip(chapters.to_pylist(), batch.column("verdict").to_pylist(), strict=True):
        ledger.chapters.setdefault(chapter, Counter()).update(
            declarations=1, judged=int(verdict != "cannot_judge"), differs=int(verdict == "differs")
        )


def _bury(letter: DeadLetter, seen: dict[tuple[str, int], np.ndarray], ledger: Ledger) -> None:
    if letter.rows is None:
        ledger.unknown_files += 1
        return
    ledger.dead_rows[letter.file] += letter.rows
    if letter.row_group is not None and letter.first_row is not None:  # a file that is lost as a whole has no pointers
        seen[letter.file, letter.row_group][letter.first_row : letter.first_row + letter.rows] += 1


def _check(seen: dict[tuple[str, int], np.ndarray]) -> None:
    for (file, row_group), counts in seen.items():
        wrong = np.flatnonzero(counts != 1)
        if len(wrong):
            raise LedgerError(
                f"row {wrong[0]} of row group {row_group} of {file} has {counts[wrong[0]]} findings or dead letters, "
                f"expected 1 ({len(wrong)} such rows)"
            )


def _count_ids(hashes: np.ndarray, ledger: Ledger) -> None:
    hashes.sort()  # in its place: np.unique would take four times as much memory
    same = hashes[1:] == hashes[:-1]
    is_repeated = np.append(same, False) | np.append(False, same)
    ledger.missing_ids = int((hashes == 0).sum())
    ledger.repeated_ids = int((is_repeated & (hashes != 0)).sum())


def _value_counts(values: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(values).to_pylist()}


def _hashed_ids(batch: pa.RecordBatch) -> np.ndarray:
    """One number per declaration and item, 0 where there is no id; eight bytes a row instead of its text."""
    pairs = zip(batch.column("declaration_id").to_pylist(), batch.column("item_no").to_pylist(), strict=True)
    # Python's hash is another one in each process, but the ledger is drawn up in one.
    return np.array([0 if name is None else hash((name, item)) or 1 for name, item in pairs], np.int64)
