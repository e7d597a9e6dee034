"""A Parquet file → how large the pages of its pictures are, from the page headers alone.

pyarrow streams a file page by page, so its largest page decides how much memory reading takes, yet it tells no page's
size. The headers stand between the pages: they are read, the pages are skipped, and a large file costs small reads.

Sources: `PageHeader` in parquet.thrift of the Apache Parquet format; Apache Thrift's compact protocol specification.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import IO

import pyarrow as pa

from hs.storage.pieces import PiecewiseFile
from hs.storage.stores import ANYWHERE, Stores
from pipeline.archive.footers import OpenArchive, chunks_of, leaves_of, open_archive

_TYPE, _UNCOMPRESSED_SIZE, _COMPRESSED_SIZE, _CHECKSUM = 1, 2, 3, 4
_DICTIONARY_PAGE = 2
_HONEST_GROWTH = 4  # pictures hardly shrink when they are packed again; pages of ids and codes are small
_MAX_HEADER_BYTES = 16 << 20  # pyarrow refuses longer ones too
_MAX_DEPTH = 8


class _Kind(IntEnum):
    """Types of the compact protocol."""

    TRUE = 1
    FALSE = 2
    BYTE = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12
    UUID = 13


_INTEGERS = (_Kind.I16, _Kind.I32, _Kind.I64)
_IN_THE_HEAD = (_Kind.TRUE, _Kind.FALSE)  # a field's type is its value; in a collection they take a byte each


class PageHeaderError(ValueError):
    """The footer cannot be read, or what stands where a page header should be is none."""


@dataclass(frozen=True)
class PageSize:
    """The size of one page.

    Attributes:
        uncompressed_bytes, compressed_bytes: without the header.
        row_group: where it is.
        has_checksum: whether the writer stored a CRC, without which overwritten bytes pass in silence.
        is_dictionary: whether it holds the values that others point to.
    """

    uncompressed_bytes: int
    compressed_bytes: int
    row_group: int
    has_checksum: bool
    is_dictionary: bool = False


def largest_data_page(path: str, images: str, stores: Stores = ANYWHERE) -> PageSize | None:
    """The page with the most uncompressed bytes in all row groups and leaves of a column.

    Dictionary pages count: they are held in memory while the pages that refer to them are read, and a writer can make
    them just as large.

    Args:
        path: of a Parquet file, or its URI.
        images: name of the top-level column.
        stores: how it is reached.

    Returns:
        The page, or None where the column is absent or has none.

    Raises:
        PageHeaderError: if the file is not what its format says.
    """
    return max(page_sizes(path, images, stores), key=lambda page: page.uncompressed_bytes, default=None)


def most_unpacked(archive: OpenArchive, row_group: int, leaves: Iterable[int]) -> tuple[int, int]:
    """How far some leaves of a row group unpack, in bytes, as far as the page headers can be read.

    Arrow allocates what a header says before it looks at the page, however small the file is.

    Returns:
        The largest page that unpacks to more than four times what is stored, and the largest of these and of the
        dictionary pages, which each row may repeat.
    """
    grown, repeated = 0, 0
    with suppress(PageHeaderError):
        for start, end in chunks_of(archive.parquet.metadata.row_group(row_group), leaves):
            for page in _walk(archive.headers, start, end, row_group):
                if page.uncompressed_bytes > _HONEST_GROWTH * page.compressed_bytes:
                    grown = max(grown, page.uncompressed_bytes)
                if page.is_dictionary:
                    repeated = max(repeated, page.uncompressed_bytes)
    return grown, max(grown, repeated)


def page_sizes(path: str, images: str, stores: Stores = ANYWHERE) -> Iterator[PageSize]:
    """The sizes of all pages of a top-level column, in the order of the file.

    Raises:
        PageHeaderError: if the file is not what its format says.
    """
    try:
        with open_archive(path, stores) as archive:
            leaves = leaves_of(archive.parquet, images)
            for row_group in range(archive.parquet.num_row_groups):
                for start, end in chunks_of(archive.parquet.metadata.row_group(row_group), leaves):
                    yield from _walk(archive.headers, start, end, row_group)
    except (pa.ArrowException, OSError) as error:
        raise PageHeaderError(" ".join(str(error).split())) from error


def _walk(stream: IO[bytes] | PiecewiseFile, start: int, end: int, row_group: int) -> Iterator[PageSize]:
    """The pages between two offsets; ends, because every header moves `start` by at least a byte."""
    if start < 0:
        raise PageHeaderError(f"a column chunk begins at byte {start}")
    while start < end:
        stream.seek(start)
        header = _CompactReader(stream, start, min(end, start + _MAX_HEADER_BYTES)).struct()
        uncompressed, compressed = header.get(_UNCOMPRESSED_SIZE, -1), header.get(_COMPRESSED_SIZE, -1)
        body = stream.tell()
        if min(uncompressed, compressed) < 0 or body + compressed > end:
            raise PageHeaderError(f"no page header at byte {start}: sizes {uncompressed} and {compressed}")
        yield PageSize(uncompressed, compressed, row_group, _CHECKSUM in header, header.get(_TYPE) == _DICTIONARY_PAGE)
        start = body + compressed


@dataclass(frozen=True)
class _CompactReader:
    """Reads one struct of the compact protocol.

    Attributes:
        stream: stands at the first byte of the struct.
        start: that byte's offset, for messages.
        end: offset that the struct must not cross.
    """

    stream: IO[bytes] | PiecewiseFile
    start: int
    end: int

    def struct(self, depth: int = 0) -> dict[int, int]:
        """The integer fields of the struct, by number; the others, and what is inside of them, are passed over."""
        integers: dict[int, int] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = self._kind(head)
            if kind in _INTEGERS:
                integers[number] = self._integer()
            elif kind not in _IN_THE_HEAD:
                self._pass(kind, depth)
        return integers

    def _pass(self, kind: _Kind, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self._error("nested too deep")
        match kind:
            case _Kind.TRUE | _Kind.FALSE | _Kind.BYTE:
                self._advance(1)
            case _Kind.I16 | _Kind.I32 | _Kind.I64:
                self._varint()
            case _Kind.DOUBLE:
                self._advance(8)
            case _Kind.UUID:
                self._advance(16)
            case _Kind.BINARY:
                self._advance(self._varint())
            case _Kind.STRUCT:
                self.struct(depth + 1)
            case _Kind.LIST | _Kind.SET:
                head = self._byte()
                self._pass_all(self._varint() if head >> 4 == 15 else head >> 4, (head,), depth + 1)
            case _Kind.MAP:
                if size := self._varint():
                    head = self._byte()
                    self._pass_all(size, (head >> 4, head), depth + 1)

    def _pass_all(self, size: int, heads: tuple[int, ...], depth: int) -> None:
        kinds = [self._kind(head) for head in heads] if size else []
        for _ in range(size):
            for kind in kinds:
                self._pass(kind, depth)

    def _kind(self, head: int) -> _Kind:
        try:
            return _Kind(head & 0x0F)
        except ValueError:
            raise self._error(f"a field of type {head & 0x0F}") from None

    def _integer(self) -> int:
        """A zigzag number: 0, 1, 2, 3 stand for 0, -1, 1, -2."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise self._error("a number of more than ten bytes")

    def _byte(self) -> int:
        byte = self.stream.read(1) if self.stream.tell() < self.end else b""
        if not byte:
            raise self._error("it has no end")
        return byte[0]

    def _advance(self, count: int) -> None:
        if self.stream.tell() + count > self.end:
            raise self._error("it has no end")
        self.stream.seek(count, 1)

    def _error(self, what: str) -> PageHeaderError:
        return PageHeaderError(f"no page header at byte {self.start}: {what}")
