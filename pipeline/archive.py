"""The archive: Parquet files of declarations → Arrow batches of bounded size, whatever the row groups and layouts.

Memory follows the data pages, not the row groups: pages are streamed through a buffer of 1 MiB and batches are cut by
bytes. What cannot be read is a `DeadLetter` with its range of rows.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config import ColumnNames

_BUFFER_BYTES = 1 << 20
_BATCH_BYTES = 4 << 20
_BATCH_ROWS = 64
_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"

REQUIRED = ("declaration_id", "declared_hs_code", "images")


@dataclass(frozen=True)
class DeadLetter:
    """A range of rows that could not be read.

    Attributes:
        file: absolute path.
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


@dataclass(frozen=True)
class RowGroup:
    """Where a reader starts: one row group of one file."""

    file: str
    index: int
    rows: int


@dataclass(frozen=True)
class ArchiveFile:
    """A file whose footer could be read and whose columns are as they should be.

    Attributes:
        path: absolute.
        rows: in the footer.
        row_groups: rows of each.
        size_bytes, modified_s: of the file; seconds since 1970.
        footer_digest: SHA-256 of the footer, hex.
        schema: Arrow schema of the file.
    """

    path: str
    rows: int
    row_groups: tuple[int, ...]
    size_bytes: int
    modified_s: float
    footer_digest: str
    schema: pa.Schema

    def pointers(self) -> list[RowGroup]:
        """One pointer per row group that has rows."""
        return [RowGroup(self.path, index, rows) for index, rows in enumerate(self.row_groups) if rows]


@dataclass(frozen=True)
class Declarations:
    """A batch of declarations as read.

    Attributes:
        source: the row group.
        first_row: of the batch, counted from the start of the row group.
        columns: `declaration_id` text, `item_no` int64, `declared_hs_code` as written, and the kept columns.
        picture_counts: int [rows], pictures of each declaration.
        pictures: binary, the bytes of all pictures one after the other.
    """

    source: RowGroup
    first_row: int
    columns: pa.RecordBatch
    picture_counts: np.ndarray
    pictures: pa.Array

    @property
    def rows(self) -> int:
        """How many declarations."""
        return self.columns.num_rows


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
        """Our name → type in the findings."""
        return dict(self.kept_types)


def inspect(path: Path, names: ColumnNames) -> ArchiveFile | DeadLetter:
    """Reads a file's footer and checks its columns; never raises for what a file may be."""
    full = str(path.resolve())
    try:
        footer, problem = _read_footer(path)
        if problem:
            return DeadLetter(full, None, None, None, *problem)
        with open_parquet(full) as file:
            metadata, schema = file.metadata, file.schema_arrow
            stat = path.stat()
            rows = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        return DeadLetter(full, None, None, None, *_reason_of(error, "bad_footer"))
    if problem := check_columns(schema, names):
        return DeadLetter(full, None, None, sum(rows), *problem)
    digest = hashlib.sha256(footer).hexdigest()
    return ArchiveFile(full, sum(rows), rows, stat.st_size, stat.st_mtime, digest, schema)


def open_parquet(path: str) -> pq.ParquetFile:
    """Opens a file for streaming: a small buffer, and page checksums verified where the writer stored them."""
    return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)


def check_columns(schema: pa.Schema, names: ColumnNames) -> tuple[str, str] | None:
    """The first thing that is wrong with a file's columns, as reason and detail; None where all is well."""
    wanted = {ours: getattr(names, ours) for ours in (*REQUIRED, "item_no")}
    repeated = [name for name, count in Counter(schema.names).items() if count > 1 and name in wanted.values()]
    if repeated:
        return "duplicate_column", f"column {repeated[0]!r} stands more than once"
    for ours in REQUIRED:
        if wanted[ours] not in schema.names:
            return "column_missing", f"no column {wanted[ours]!r} for {ours}; the file has {', '.join(schema.names)}"
    for ours, theirs in wanted.items():
        if theirs in schema.names and (expected := _wrong_type(ours, schema.field(theirs).type)):
            return "column_type", f"column {theirs!r} is {schema.field(theirs).type}, expected {expected}"
    return None


def read_row_group(source: RowGroup, layout: Layout) -> Iterator[Declarations | DeadLetter]:
    """Batches of one row group, in order; ends with a dead letter for the rows that cannot be read."""
    first_row = 0
    try:
        with open_parquet(source.file) as file:
            rows = file.metadata.row_group(source.index).num_rows if source.index < file.num_row_groups else 0
            if rows != source.rows:
                yield _unread(source, 0, "changed", f"had {source.rows} rows at the start of the run, now {rows}")
                return
            present = set(file.schema_arrow.names)
            for batch in file.iter_batches(
                _rows_per_batch(file, source.index, layout.names.images),
                row_groups=[source.index],
                columns=_columns_to_read(layout, present),
                use_threads=False,
            ):
                yield _declarations(source, first_row, batch, layout)
                first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        yield _unread(source, first_row, *_reason_of(error, "bad_page"))
        return
    if first_row != source.rows:
        yield _unread(source, first_row, "bad_page", f"the row group ends after {first_row} of {source.rows} rows")


def read_pictures(source: RowGroup, rows: set[int], images: str) -> Iterator[tuple[int, list[bytes]]]:
    """The pictures of some rows of a row group, as (row, pictures); for people to look at after a run."""
    first_row, last_row = 0, max(rows)
    with open_parquet(source.file) as file:
        batch_rows = _rows_per_batch(file, source.index, images)
        for batch in file.iter_batches(batch_rows, row_groups=[source.index], columns=[images], use_threads=False):
            counts, pictures = flat_pictures(batch.column(0))
            ends = np.cumsum(counts)
            for row in range(batch.num_rows):
                if first_row + row in rows:
                    mine = pictures[int(ends[row] - counts[row]) : int(ends[row])]
                    yield first_row + row, [picture or b"" for picture in mine.to_pylist()]
            first_row += batch.num_rows
            if first_row > last_row:
                return


def flat_pictures(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """A column of any image layout → pictures per row, int [rows], and all pictures' bytes, binary.

    A null in a list, or a struct without bytes, is a picture without bytes; a null cell is no picture.
    """
    if is_list(column.type):
        counts = pc.fill_null(pc.list_value_length(column), 0)
        return counts.to_numpy(zero_copy_only=False).astype(np.int64), _bytes_of(column.flatten())
    if pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())  # Arrow cannot filter views
    valid = column.is_valid()
    return valid.to_numpy(zero_copy_only=False).astype(np.int64), _bytes_of(column.filter(valid))


def _bytes_of(values: pa.Array) -> pa.Array:
    if pa.types.is_struct(values.type):
        values = pc.struct_field(values, "bytes")
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def _read_footer(path: Path) -> tuple[bytes, tuple[str, str] | None]:
    """The bytes of a Parquet footer, or what is wrong with the file, as reason and detail."""
    with open(path, "rb") as stream:
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


def _reason_of(error: Exception, otherwise: str) -> tuple[str, str]:
    detail = " ".join(str(error).split())[:300]
    if isinstance(error, FileNotFoundError):
        return "file_missing", "the file is gone"
    if isinstance(error, PermissionError):
        return "not_permitted", detail
    if "encrypt" in detail.lower() or "decrypt" in detail.lower():
        return "encrypted", detail
    return otherwise, detail


def _wrong_type(ours: str, type_: pa.DataType) -> str | None:
    """What the type of a column should be, where it is something else."""
    types = pa.types
    if ours == "item_no":
        return None if types.is_integer(type_) or types.is_null(type_) else "an integer"
    if ours == "images":
        return None if _is_images(type_) else "binary, struct<bytes, path>, or a list of either"
    if types.is_dictionary(type_):
        type_ = type_.value_type
    if _is_text(type_) or types.is_integer(type_) or types.is_null(type_):
        return None
    if ours == "declaration_id":
        return "text"
    if types.is_float32(type_) or types.is_float16(type_):
        return "text: it cannot hold the ten digits of an HS code (8708290000 reads 8708289536)"
    return None if types.is_float64(type_) else "text"


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def is_list(type_: pa.DataType) -> bool:
    """Tells whether a column of this type holds any number of pictures a row."""
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def _is_images(type_: pa.DataType) -> bool:
    if is_list(type_):
        type_ = type_.value_type
    if pa.types.is_struct(type_):
        position = type_.get_field_index("bytes")
        return position >= 0 and _is_bytes(type_.field(position).type)
    return _is_bytes(type_)


def _is_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_)


def _rows_per_batch(file: pq.ParquetFile, row_group: int, images: str) -> int:
    """Rows that hold about 4 MiB of pictures, at most 64, from the sizes in the footer."""
    group = file.metadata.row_group(row_group)
    chunks = (group.column(i) for i in range(group.num_columns))
    picture_bytes = sum(
        chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == images
    )
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * group.num_rows // max(picture_bytes, 1)))


def _columns_to_read(layout: Layout, present: set[str]) -> list[str]:
    names = layout.names
    wanted = [names.declaration_id, names.item_no, names.declared_hs_code, names.images]
    return [name for name in (*wanted, *(theirs for _, theirs in layout.kept)) if name in present]


def _declarations(source: RowGroup, first_row: int, batch: pa.RecordBatch, layout: Layout) -> Declarations:
    names, rows = layout.names, batch.num_rows

    def column(theirs: str | None) -> pa.Array:
        return batch.column(theirs) if theirs in batch.schema.names else pa.nulls(rows)

    columns = {
        "declaration_id": _text(column(names.declaration_id)),
        "item_no": _cast(column(names.item_no), pa.int64()),
        "declared_hs_code": plain(column(names.declared_hs_code)),
    }
    for ours, theirs in layout.kept:
        columns[ours] = _cast(column(theirs), layout.type_of[ours])
    counts, pictures = flat_pictures(batch.column(names.images))
    return Declarations(source, first_row, pa.RecordBatch.from_pydict(columns), counts, pictures)


def plain(values: pa.Array) -> pa.Array:
    """Dictionaries resolved, all kinds of text as one, invalid UTF-8 replaced."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not _is_text(values.type):
        return values
    values = values.cast(pa.string())
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raw = values.cast(pa.binary()).to_pylist()
        return pa.array([value if value is None else value.decode(errors="replace") for value in raw], pa.string())
    return values


def _text(values: pa.Array) -> pa.Array:
    return plain(values).cast(pa.string())


def _cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Casts a kept column; what does not fit the type of the first file becomes null."""
    values = plain(values)
    if values.type == type_:
        return values
    try:
        return values.cast(type_, safe=not pa.types.is_timestamp(type_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.nulls(len(values), type_)


def _unread(source: RowGroup, first_row: int, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(source.file, source.index, first_row, source.rows - first_row, reason, detail)
