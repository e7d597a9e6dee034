"""The values that travel through a run, in the order in which they come. Plain: no configuration, no engine, no server.

ColumnNames ─► Layout            which columns, and what they become
RowGroup ─► Declarations ─► Classified ─► findings (pipeline.findings.schema)
└─────► DeadLetter           rows that could not be read
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa

from hs.precedents import Precedent
from hs.storage.facts import Stamp

NOT_SCORED = "not_scored"  # the status of a picture that could be read and has no answer


@dataclass(frozen=True)
class ColumnNames:
    """Our names → the archive's. The first four are read, the others are only passed through."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # the configuration checks it as it stands

    declaration_id: str = "declaration_id"
    item_no: str | None = "item_no"
    declared_hs_code: str = "declared_hs_code"
    images: str = "images"
    date: str | None = "declared_on"
    office: str | None = "office"
    importer: str | None = "importer_id"
    origin: str | None = "origin"
    value: str | None = "customs_value"
    duty_rate: str | None = "duty_rate"


@dataclass(frozen=True)
class Layout:
    """Which columns of a file are read, and what they are called in the findings.

    Attributes:
        names: the archive's names.
        kept: our name → the archive's name, of the columns that are passed through.
        kept_types: our name → type in the findings, one for all files.
    """

    names: ColumnNames
    kept: tuple[tuple[str, str], ...]
    kept_types: tuple[tuple[str, pa.DataType], ...]

    @cached_property
    def type_of(self) -> dict[str, pa.DataType]:
        """Our name → type in the findings, of the item and of the columns that are passed through."""
        return {"item_no": pa.int64()} | dict(self.kept_types)


@dataclass(frozen=True)
class RowGroup:
    """Where a reader starts: one row group of one file, or a range of its rows.

    Attributes:
        file: absolute path, or a URI.
        index: of the row group.
        rows: how many it has.
        stamp: what the file was at the start of the run; None where that does not matter.
        first_row, end_row: of the range; by default all of it.
    """

    file: str
    index: int
    rows: int
    stamp: Stamp | None = None
    first_row: int = 0
    end_row: int | None = None

    @property
    def end(self) -> int:
        """The row that is no longer in it."""
        return self.rows if self.end_row is None else self.end_row


@dataclass(frozen=True)
class DeadLetter:
    """A range of rows that could not be read.

    Attributes:
        file: absolute path, or a URI.
        row_group: None where the whole file could not be read.
        first_row: of the range, counted from the start of the row group; None with `row_group`.
        rows: how many; None where the file does not even say how many it has.
        reason: stable and short, such as `truncated`.
        detail: what was found, for people.
    """

    file: str
    row_group: int | None
    first_row: int | None
    rows: int | None
    reason: str
    detail: str


class Pictures(Protocol):
    """The bytes of pictures one after the other: a binary Arrow array, or what is used like one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __getitem__(self, part: slice, /) -> "Pictures": ...

    def to_pylist(self) -> list[bytes | None]:
        """Reads them all."""


@dataclass(frozen=True)
class Declarations:
    """A batch of declarations as read.

    Attributes:
        source: the row group.
        first_row: of the batch, counted from the start of the row group.
        columns: `declaration_id` text, `item_no` int64, `declared_hs_code` as written, and the kept columns.
        picture_counts: int64 [rows], pictures of each declaration.
        pictures: the bytes of all pictures one after the other.
        nulled: our name of a column → how many of its values are null as they did not fit its type.
    """

    source: RowGroup
    first_row: int
    columns: pa.RecordBatch
    picture_counts: np.ndarray
    pictures: Pictures
    nulled: Mapping[str, int]

    @property
    def rows(self) -> int:
        """How many declarations."""
        return self.columns.num_rows

    def picture_slices(self) -> list[slice]:
        """Where the pictures of each declaration stand among all of them."""
        ends = np.cumsum(self.picture_counts)
        return list(map(slice, (ends - self.picture_counts).tolist(), ends.tolist()))

    def halves(self) -> "tuple[Declarations, Declarations]":
        """The same as two batches; what was nulled is told with the first."""
        half = self.rows // 2
        pictures = int(self.picture_counts[:half].sum())
        first = (self.columns[:half], self.picture_counts[:half], self.pictures[:pictures])
        second = (self.columns[half:], self.picture_counts[half:], self.pictures[pictures:])
        return (
            Declarations(self.source, self.first_row, *first, self.nulled),
            Declarations(self.source, self.first_row + half, *second, {}),
        )


@dataclass(frozen=True)
class Classified:
    """A batch of declarations whose pictures went through the decoder and the classifier.

    Attributes:
        declarations: as read; the pictures' bytes are gone.
        digests: SHA-256 of each picture, hex.
        statuses: of each picture: `ok`, why it could not be decoded, or `not_scored`.
        details: of each picture, such as what a thing that is no picture is; or None.
        probabilities: float32 [pictures, C]; rows without meaning where the status is not `ok`.
        novelty: float32 [pictures]; NaN where the model does not give it.
        precedents: number of a picture → the rulings that it is like, for those that they were looked for.
        counts: (what is counted of the pictures, which) → how many; see `pipeline.findings.distributions`.
        hashes: of each picture that could be decoded, see `hs.pictures.looks`; 0 for none; empty where none are made.
    """

    declarations: Declarations
    digests: Sequence[str]
    statuses: Sequence[str]
    details: Sequence[str | None]
    probabilities: np.ndarray
    novelty: np.ndarray
    precedents: Mapping[int, tuple[Precedent, ...]] = field(default_factory=dict)
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    hashes: Sequence[int] = ()
