"""A Parquet file's footer: what it says, and whether its columns are those of an archive."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from hs.storage.facts import ChangedSince, FileFacts, Stamp
from hs.storage.location import Location
from hs.storage.pieces import KEPT_BYTES, PiecewiseFile
from hs.storage.stores import ANYWHERE, Stores
from hs.text import excerpt, in_a_line
from pipeline.archive.columns import problem_of_columns
from pipeline.values import ColumnNames, DeadLetter, RowGroup

_BUFFER_BYTES = 1 << 20  # by default pyarrow took 3.9 GB for a row group of 1.2 GB, with this 0.34, and no longer
_EMPTY_CHUNK_BYTES = 4096  # an empty column chunk has at most its page headers: 15 bytes from pyarrow
_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"

# What Arrow and Python raise for bytes of strangers; whatever it is, it costs a range of rows and no night.
RAISED_BY_BYTES = (
    pa.ArrowException, OSError, MemoryError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError,
    StopIteration,
)  # fmt: skip


class FooterLies(ValueError):
    """What a footer says of its rows is not what is there."""


@dataclass(frozen=True)
class ArchiveFile:
    """A file whose footer could be read and whose columns are as they should be.

    Attributes:
        path: absolute, or a URI.
        rows: in the footer.
        row_groups: rows of each.
        stamp: by which a worker sees that it is still this file.
        modified_s: seconds since 1970.
        footer_digest: SHA-256 of the footer, hex.
        schema: Arrow schema of the file.
    """

    path: str
    rows: int
    row_groups: tuple[int, ...]
    stamp: Stamp
    modified_s: float
    footer_digest: str
    schema: pa.Schema

    def pointers(self) -> list[RowGroup]:
        """One pointer per row group that has rows."""
        return [RowGroup(self.path, index, rows, self.stamp) for index, rows in enumerate(self.row_groups) if rows]

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.stamp.size_bytes

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Column → type."""
        return {column.name: column.type for column in self.schema}


@dataclass(frozen=True)
class OpenArchive:
    """A file that is open.

    Attributes:
        facts: what its storage says of it.
        parquet: reads rows.
        headers: the same file, for page headers; with a position of its own.
    """

    facts: FileFacts
    parquet: pq.ParquetFile
    headers: IO[bytes] | PiecewiseFile

    def will_look_at(self, row_group: int, leaves: Iterable[int]) -> None:
        """Says whose page headers come next. What fits into memory is fetched whole, as its rows are read after that.

        Of a larger row group the headers are sought, at the cost of a request for each page of more than 8 MiB, and of
        reading through where they are smaller.
        """
        chunks = self._chunks(row_group, leaves)
        self._plan(chunks if sum(end - start for start, end in chunks) <= KEPT_BYTES else [])

    def will_read(self, row_group: int, leaves: Iterable[int]) -> None:
        """Says which rows come next; of a file of this machine nothing needs to be said."""
        self._plan(self._chunks(row_group, leaves))

    def _chunks(self, row_group: int, leaves: Iterable[int]) -> list[tuple[int, int]]:
        return list(chunks_of(self.parquet.metadata.row_group(row_group), leaves))

    def _plan(self, ranges: list[tuple[int, int]]) -> None:
        if isinstance(self.headers, PiecewiseFile):
            self.headers.pieces.plan(ranges)


def inspect(
    path: Path | Location, names: ColumnNames, keep: Sequence[str] = (), stores: Stores = ANYWHERE
) -> ArchiveFile | DeadLetter:
    """Reads a file's footer and checks its columns; never raises for what a file may be.

    Raises:
        StorageLost: if its storage is away.
    """
    location = Location.parse(path)
    full = str(location.path.resolve()) if location.is_local else location.text
    shown = full.encode(errors="backslashreplace").decode()
    if shown != full:  # neither Arrow nor the findings can hold such a name
        return DeadLetter(shown, None, None, None, "file_name", "the name of the file is not UTF-8")
    try:
        with stores.open_input(Location(full)) as stream:
            footer, problem = _read_footer(stream)  # before Arrow, for which CSV and truncated files are the same
            if problem:
                return DeadLetter(full, None, None, None, *problem)
            facts = stream.facts if isinstance(stream, PiecewiseFile) else stores.info(Location(full))
            with _parquet(full, stream, None) as file:
                metadata, schema = file.metadata, file.schema_arrow
            groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
            if all(group.num_rows >= 0 and group.num_columns for group in groups):  # else it is a lie in any case
                _touch_all(metadata, facts.stamp.size_bytes)
            lie = contradiction(metadata.num_rows, groups, facts.stamp.size_bytes - len(footer))
            rows = tuple(group.num_rows for group in groups)
    except RAISED_BY_BYTES as error:
        return DeadLetter(full, None, None, None, *reason_of(error, "bad_footer"))
    if lie:
        return DeadLetter(full, None, None, None, "bad_footer", lie)
    if problem := problem_of_columns(schema, names, keep):
        return DeadLetter(full, None, None, sum(rows), *problem)
    return ArchiveFile(full, sum(rows), rows, facts.stamp, facts.modified_s, hashlib.sha256(footer).hexdigest(), schema)


class _NoPages:
    """A file of some size that gives no bytes, for whoever needs none."""

    def __init__(self, size: int) -> None:
        self._size, self._at, self.closed = size, 0, False

    def read(self, size: int = -1) -> bytes:
        """Nothing."""
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def close(self) -> None:
        """Holds nothing."""
        self.closed = True


def _touch_all(metadata: pq.FileMetaData, size_bytes: int) -> None:
    """Makes Arrow look at every column chunk of a footer where what it thinks of it is raised.

    `metadata.row_group(i).column(j)` ends the process instead, without a word of Python, for what Arrow refuses.
    """
    with pq.ParquetFile(
        pa.PythonFile(_NoPages(size_bytes), "r"), metadata=metadata, buffer_size=1, pre_buffer=False
    ) as file:
        for _ in file.iter_batches(1, row_groups=range(metadata.num_row_groups), use_threads=False):
            break


def contradiction(rows: int, groups: Sequence[pq.RowGroupMetaData], other_bytes: int) -> str | None:
    """Where a footer's counts do not agree, so that rows could vanish; None where they do.

    Args:
        rows: of the file, as the footer says.
        groups: its row groups.
        other_bytes: of the file, without the footer.
    """
    counted = sum(group.num_rows for group in groups)
    if rows != counted or rows < 0:
        return f"the footer says {rows} rows, its row groups {counted}"
    if not rows and other_bytes > _EMPTY_CHUNK_BYTES * (1 + sum(group.num_columns for group in groups)):
        return f"the footer says no rows, and {other_bytes} bytes stand before it"
    for number, group in enumerate(groups):
        if group.num_rows < 0 or not group.num_columns:
            return f"row group {number} has {group.num_rows} rows and {group.num_columns} columns"
        chunks = map(group.column, range(group.num_columns))
        flat = next((chunk for chunk in chunks if "." not in chunk.path_in_schema), None)  # a list has other counts
        if flat and group.num_rows != flat.num_values:
            return f"row group {number} has {group.num_rows} rows and {flat.num_values} of {flat.path_in_schema}"
        if flat and not group.num_rows and flat.total_compressed_size > _EMPTY_CHUNK_BYTES:
            return f"row group {number} has no rows and {flat.total_compressed_size} bytes of {flat.path_in_schema}"
    return None


@contextmanager
def open_archive(path: str, stores: Stores = ANYWHERE, expected: Stamp | None = None) -> Iterator[OpenArchive]:
    """Opens a file for streaming: a small buffer, and page checksums verified where the writer stored them.

    Args:
        path: absolute, or a URI.
        stores: how it is reached.
        expected: what the file was at the start of the run; None for whatever it is.

    Raises:
        ChangedSince: if it is no longer that.
        StorageLost: if its storage is away.
        RAISED_BY_BYTES: for what a file may be.
    """
    location = Location(path)
    with stores.open_input(location, expected) as stream:
        facts = stream.facts if isinstance(stream, PiecewiseFile) else stores.info(location)
        with _parquet(path, stream, _metadata(location, facts.stamp, stores)) as file:
            yield OpenArchive(facts, file, stream)


def _parquet(path: str, stream: IO[bytes] | PiecewiseFile, metadata: pq.FileMetaData | None) -> pq.ParquetFile:
    # A file of this machine by its path: Arrow reads it without asking Python.
    source = stream.another() if isinstance(stream, PiecewiseFile) else path
    return pq.ParquetFile(
        source,
        metadata=metadata,
        buffer_size=_BUFFER_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
    )


@lru_cache(maxsize=16)  # a worker reads row group after row group of a file: 4,000 times its footer took 60 s
def _metadata(location: Location, stamp: Stamp, stores: Stores) -> pq.FileMetaData:
    with stores.open_input(location, stamp) as stream:
        return pq.read_metadata(stream if isinstance(stream, PiecewiseFile) else location.text)


def changed_meanwhile(source: RowGroup, stores: Stores) -> bool:
    """Whether a file is no longer the one that it was at the start of the run."""
    try:
        return source.stamp is not None and stores.info(Location(source.file)).stamp != source.stamp
    except FileNotFoundError:
        return True


def chunks_of(row_group: pq.RowGroupMetaData, leaves: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First byte and end of the column chunk of every leaf."""
    for chunk in map(row_group.column, leaves):
        start = chunk.dictionary_page_offset or chunk.data_page_offset  # some writers put 0 for no dictionary
        yield start, start + chunk.total_compressed_size


def leaves_of(file: pq.ParquetFile, column: str) -> list[int]:
    """The positions of a top-level column's chunks in every row group."""
    paths = file.reader.column_paths  # in `path_in_schema` a dot in a name reads like nesting
    return [position for position, path in enumerate(paths) if path[0] == column]


def reason_of(error: Exception, otherwise: str) -> tuple[str, str]:
    """Why a file or a range of it could not be read, as reason and detail."""
    detail = excerpt(in_a_line(error)) or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "file_missing", "the file is gone"
    if isinstance(error, ChangedSince):
        return "changed", detail
    if isinstance(error, FooterLies):
        return "bad_footer", detail
    if isinstance(error, PermissionError):
        return "not_permitted", detail
    if isinstance(error, MemoryError):
        return "too_large", f"it does not fit into memory: {detail}"
    if "encrypt" in detail.lower() or "decrypt" in detail.lower():
        return "encrypted", detail
    return otherwise, detail


def _read_footer(stream: IO[bytes] | PiecewiseFile) -> tuple[bytes, tuple[str, str] | None]:
    """The bytes of a Parquet footer, or what is wrong with the file, as reason and detail."""
    size = stream.seek(0, os.SEEK_END)
    if not size:
        return b"", ("empty_file", "the file has no bytes")
    stream.seek(0)
    head = stream.read(4)
    stream.seek(max(0, size - 8))
    length, tail = int.from_bytes(stream.read(4), "little"), stream.read(4)
    if _ENCRYPTED_MAGIC in (head, tail):
        return b"", ("encrypted", "the file is encrypted")
    if head != _MAGIC:
        return b"", ("not_parquet", f"the file begins with {head!r}, not {_MAGIC!r}")
    if tail != _MAGIC or size < 12:
        return b"", ("truncated", f"the file ends with {tail!r}, not {_MAGIC!r}")
    if length > size - 12:
        return b"", ("bad_footer", f"a footer of {length} bytes in a file of {size}")
    stream.seek(size - 8 - length)
    return stream.read(length), None
