"""Reads ids, codes and picture counts of all rows of an archive, and as few pictures as it can."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs.declared_codes import parse_declared_code
from hs.editions import BUILT_IN, Nomenclature
from hs.nomenclature import HS_EDITION
from hs.pictures.columns import has_more_than_bytes, pictures_per_row
from hs.storage.stores import ANYWHERE, Stores
from pipeline.archive.columns import cast, plain
from pipeline.archive.dates import days_in
from pipeline.archive.footers import RAISED_BY_BYTES, ArchiveFile, leaves_of, open_archive
from pipeline.archive.row_groups import read_pictures
from pipeline.values import ColumnNames, RowGroup

_EXAMPLES = 3
_SHOWN = 40
_BATCH_ROWS = 4096  # of ids and codes; no picture is among them
SAMPLED_ROWS, SAMPLED_FILES = 64, 16

NO_ID = "no id"
REPEATED = "repeated"
PICTURES = ("no picture", "one picture", "several pictures")


class CodeOutcome(Enum):
    """What the audit will make of a declared code, in words; from good to bad."""

    GOOD = "as they should be"
    REPAIRED = "repaired"
    MALFORMED = "malformed"
    UNKNOWN = f"not in {HS_EDITION}"
    MISSING = "no code"


Kind = TypeVar("Kind", bound=Hashable)
CodeKind = tuple[CodeOutcome, str | None]  # and the repair, or what was found lost
EditionKind = tuple[str, bool]  # the edition that has a code, and whether it is in force on the declaration's date


@dataclass
class Tally(Generic[Kind]):
    """How often each kind of thing occurs, and up to three examples that differ."""

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: defaultdict[Kind, list[object]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: Kind, example: object) -> None:
        """Counts one."""
        self.counts[kind] += 1
        examples = self.examples[kind]
        if len(examples) < _EXAMPLES and example not in examples:
            examples.append(example)

    def such_as(self, kind: Kind) -> str:
        """The examples, for people."""
        return ", ".join(_quoted(example) for example in self.examples[kind])


@dataclass(frozen=True)
class Dated:
    """By what codes are compared.

    Attributes:
        nomenclature: the editions.
        night: the date of declarations that have none.
    """

    nomenclature: Nomenclature = BUILT_IN
    night: date = date.max


BY_WHAT_IS_BUILT_IN = Dated()


@dataclass
class Rows:
    """What the rows of an archive hold.

    Attributes:
        codes: declared codes by outcome and repair.
        ids: those that are missing or repeated.
        nulled_items: item numbers that do not fit int64.
        pictures: how many declarations have none, one, several; of `sampled_files` only the first rows are in it.
        editions: declared codes by the edition that has them, where tables of editions are given.
        undated: how many declarations have no date, or none that can be read, where there are such tables.
        damaged: row groups that cannot be read, a sentence each.
        unread: how many rows those had left.
        seen: hashes of id and item, about 100 bytes a row.
    """

    codes: Tally[CodeKind] = field(default_factory=Tally)
    ids: Tally[str] = field(default_factory=Tally)
    nulled_items: int = 0
    pictures: Counter[str] = field(default_factory=Counter)
    sampled_files: int = 0
    editions: Counter[EditionKind] = field(default_factory=Counter)
    undated: int = 0
    damaged: list[str] = field(default_factory=list)
    unread: int = 0
    seen: set[int] = field(default_factory=set)


def survey_rows(
    files: Iterable[ArchiveFile], names: ColumnNames, stores: Stores = ANYWHERE, dated: Dated = BY_WHAT_IS_BUILT_IN
) -> Rows:
    """Reads ids and codes of all rows and counts their pictures; what cannot be read is noted, never raised."""
    rows = Rows()
    for file in files:
        for pointer in file.pointers():
            _survey_row_group(pointer, names, rows, stores, dated)
        if file.rows and not has_more_than_bytes(file.types[names.images]) and rows.sampled_files < SAMPLED_FILES:
            _sample_pictures(file.pointers()[0], names.images, rows, stores)
    return rows


def _survey_row_group(pointer: RowGroup, names: ColumnNames, rows: Rows, stores: Stores, dated: Dated) -> None:
    first_row = 0
    try:
        for batch in _read(pointer, names, stores, dated):
            _survey_batch(batch, f"{Path(pointer.file).name}, row group {pointer.index}", names, rows, dated)
            first_row += batch.num_rows
    except RAISED_BY_BYTES as error:
        rows.damaged.append(_damage(pointer, f"from row {first_row}", error))
    else:
        if first_row != pointer.rows:
            rows.damaged.append(_damage(pointer, f"{first_row} of {pointer.rows} rows", "it ends too early"))
    rows.unread += pointer.rows - first_row


def _read(pointer: RowGroup, names: ColumnNames, stores: Stores, dated: Dated) -> Iterator[pa.RecordBatch]:
    """Ids, items and codes; and a leaf of the pictures that is not their bytes, where there is one."""
    with open_archive(pointer.file, stores, pointer.stamp) as archive:
        file = archive.parquet
        present = file.schema_arrow
        columns: list[str | None] = [names.declaration_id, names.declared_hs_code]
        optional = [names.item_no] if dated.nomenclature.is_built_in else [names.item_no, names.date]
        columns += [name for name in optional if name in present.names]
        if has_more_than_bytes(present.field(names.images).type):
            columns.append(_leaf_beside_bytes(file, names.images))
        archive.will_read(pointer.index, [leaf for column in columns for leaf in _leaves(file, column)])
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[pointer.index], columns=columns, use_threads=False)


def _leaves(file: pq.ParquetFile, column: str | None) -> list[int]:
    """Those of a column, or the one that is named with dots."""
    paths = enumerate(file.reader.column_paths)
    return [number for number, path in paths if column in (path[0], ".".join(path))]


def _leaf_beside_bytes(file: pq.ParquetFile, images: str) -> str:
    paths = (file.reader.column_paths[position] for position in leaves_of(file, images))
    return next(".".join(path) for path in paths if path[-1] != "bytes")


def _survey_batch(batch: pa.RecordBatch, place: str, names: ColumnNames, rows: Rows, dated: Dated) -> None:
    codes = plain(batch.column(names.declared_hs_code)).to_pylist()
    for written in codes:
        rows.codes.add(outcome_of_code(written, dated.nomenclature), written)
    if not dated.nomenclature.is_built_in:
        known = names.date in batch.schema.names
        days = days_in(plain(batch.column(names.date))) if known else [None] * batch.num_rows
        rows.undated += sum(day is None for day in days)
        rows.editions.update(filter(None, map(partial(_edition_of, dated=dated), codes, days)))
    ids = plain(batch.column(names.declaration_id)).to_pylist()
    items = [None] * len(ids)
    if names.item_no in batch.schema.names:
        fitting, nulled = cast(batch.column(names.item_no), pa.int64())
        items, rows.nulled_items = fitting.to_pylist(), rows.nulled_items + nulled
    for declaration_id, item in zip(ids, items, strict=True):
        _survey_id(declaration_id, item, place, rows)
    if names.images in batch.schema.names:
        _count_pictures(pictures_per_row(batch.column(names.images)), rows)


def _edition_of(written: str | int | float | None, day: date | None, dated: Dated) -> EditionKind | None:
    """The edition that has a declared code; None for none."""
    code = parse_declared_code(written, dated.nomenclature.has).code
    standing = dated.nomenclature.standing(code, day or dated.night) if code else None
    return (standing.known_in, standing.in_force) if standing and standing.known_in else None


def outcome_of_code(written: str | int | float | None, nomenclature: Nomenclature = BUILT_IN) -> CodeKind:
    """What the audit will make of a declared code, and what is repaired or lost.

    >>> outcome_of_code(808100000), outcome_of_code("999999")
    ((<CodeOutcome.REPAIRED: 'repaired'>, 'leading_zero'), (<CodeOutcome.UNKNOWN: 'not in HS 2022'>, None))
    """
    if written is None or not str(written).strip():
        return CodeOutcome.MISSING, None
    parsed = parse_declared_code(written, nomenclature.has)
    if parsed.code is None:
        return CodeOutcome.MALFORMED, parsed.repair
    if not nomenclature.has(parsed.code.digits):
        return CodeOutcome.UNKNOWN, parsed.repair
    return (CodeOutcome.REPAIRED if parsed.repair else CodeOutcome.GOOD), parsed.repair


def _survey_id(declaration_id: object, item: int | None, place: str, rows: Rows) -> None:
    if declaration_id is None:
        rows.ids.add(NO_ID, place)
    elif (key := hash((str(declaration_id), item))) in rows.seen:
        rows.ids.add(REPEATED, declaration_id if item is None else f"{declaration_id}#{item}")
    else:
        rows.seen.add(key)


def _sample_pictures(pointer: RowGroup, images: str, rows: Rows, stores: Stores) -> None:
    sample = set(range(min(pointer.rows, SAMPLED_ROWS)))
    try:
        lengths = [len(pictures) for _, pictures in read_pictures(pointer, sample, images, stores, most=2)]
    except RAISED_BY_BYTES as error:
        rows.damaged.append(_damage(pointer, f"its first {len(sample)} rows", error))
    else:
        rows.sampled_files += 1
        _count_pictures(np.array(lengths), rows)


def _count_pictures(lengths: np.ndarray, rows: Rows) -> None:
    counts = np.bincount(np.minimum(lengths, 2), minlength=3)
    rows.pictures.update(dict(zip(PICTURES, counts.tolist(), strict=True)))


def _damage(pointer: RowGroup, where: str, error: object) -> str:
    return f"{pointer.file}, row group {pointer.index}, {where}: {' '.join(str(error).split())}"


def _quoted(value: object) -> str:
    """A value from the archive for people: cut, and without anything a terminal would obey."""
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if not isinstance(value, str) or len(value) <= _SHOWN else f"{text}…"
