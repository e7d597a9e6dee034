"""A Parquet file's footer: what it says, and whether its columns are those of an archive."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.columns import problem_of_columns
from pipeline.values import ColumnNames, DeadLetter, RowGroup

_BUFFER_BYTES = 1 << 20  # by default pyarrow took 3.9 GB for a row group of 1.2 GB, with this 0.34, and no longer
_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"


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

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Column → type."""
        return {column.name: column.type for column in self.schema}


def inspect(path: Path, names: ColumnNames, keep: Sequence[str] = ()) -> ArchiveFile | DeadLetter:
    """Reads a file's footer and checks its columns; never raises for what a file may be."""
    full = str(path.resolve())
    try:
        footer, problem = _read_footer(path)  # before Arrow, for which CSV and truncated files are the same
        if problem:
            return DeadLetter(full, None, None, None, *problem)
        with open_parquet(full) as file:
            metadata, schema = file.metadata, file.schema_arrow
            stat = path.stat()
            rows = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        return DeadLetter(full, None, None, None, *reason_of(error, "bad_footer"))
    if problem := problem_of_columns(schema, names, keep):
        return DeadLetter(full, None, None, sum(rows), *problem)
    digest = hashlib.sha256(footer).hexdigest()
    return ArchiveFile(full, sum(rows), rows, stat.st_size, stat.st_mtime, digest, schema)


def open_parquet(path: str) -> pq.ParquetFile:
    """Opens a file for streaming: a small buffer, and page checksums verified where the writer stored them."""
    return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)


def leaves_of(file: pq.ParquetFile, column: str) -> list[int]:
    """The positions of a top-level column's chunks in every row group."""
    paths = file.reader.column_paths  # in `path_in_schema` a dot in a name reads like nesting
    return [position for position, path in enumerate(paths) if path[0] == column]


def reason_of(error: Exception, otherwise: str) -> tuple[str, str]:
    """Why a file or a range of it could not be read, as reason and detail."""
    detail = " ".join(str(error).split())[:300]
    if isinstance(error, FileNotFoundError):
        return "file_missing", "the file is gone"
    if isinstance(error, PermissionError):
        return "not_permitted", detail
    if "encrypt" in detail.lower() or "decrypt" in detail.lower():
        return "encrypted", detail
    return otherwise, detail


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
