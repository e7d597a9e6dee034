"""The headers of a column chunk's pages: they stand between the pages, which need not be read for them.

Source: `PageHeader` in parquet.thrift of the Apache Parquet format.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from pipeline.archive.compact import CompactReader, Fields, PageHeaderError, Stream, written

PLAIN = 0
OF_DICTIONARY = (2, 8)  # what a page of indices is called: by early writers, and since
_RLE = 3
_MAX_HEADER_BYTES = 16 << 20  # pyarrow refuses longer ones too

_TYPE, _UNCOMPRESSED, _COMPRESSED, _CHECKSUM, _V1, _DICTIONARY, _V2 = 1, 2, 3, 4, 5, 7, 8


class PageKind(IntEnum):
    """Types of pages; whatever else there may be, it holds no values."""

    DATA = 0
    OTHER = 1
    DICTIONARY = 2
    DATA_V2 = 3


@dataclass(frozen=True, slots=True)
class Page:
    """A page, as its header has it.

    Attributes:
        kind: what it holds.
        start, body: offsets in the file of its header, and of what follows.
        compressed_bytes, uncompressed_bytes: of the body.
        checksum: CRC-32 of the body as it is stored, or None.
        values: how many there are, nulls included.
        encoding: of the values.
        rle_levels: whether levels are encoded in the one way that is not deprecated.
        definition_bytes, repetition_bytes: of the levels of a V2 page, which are not compressed.
        is_compressed: whether the values of a V2 page are.
    """

    kind: PageKind
    start: int
    body: int
    compressed_bytes: int
    uncompressed_bytes: int
    checksum: int | None = None
    values: int = 0
    encoding: int = -1
    rle_levels: bool = True
    definition_bytes: int = 0
    repetition_bytes: int = 0
    is_compressed: bool = True

    @property
    def end(self) -> int:
        """Offset of what follows the page."""
        return self.body + self.compressed_bytes


def pages(stream: Stream, start: int, end: int) -> Iterator[Page]:
    """The pages between two offsets; ends, because every header moves `start` by at least a byte.

    Raises:
        PageHeaderError: if what stands where a header should be is none.
    """
    if start < 0:
        raise PageHeaderError(f"a column chunk begins at byte {start}")
    while start < end:
        stream.seek(start)
        fields = CompactReader(stream, start, min(end, start + _MAX_HEADER_BYTES)).struct()
        page = _page(fields, start, stream.tell())
        if min(page.uncompressed_bytes, page.compressed_bytes) < 0 or page.end > end:
            sizes = f"{page.uncompressed_bytes} and {page.compressed_bytes}"
            raise PageHeaderError(f"no page header at byte {start}: sizes {sizes}")
        yield page
        start = page.end


def plain_page(values: int, definition_levels: bytes, repetition_levels: bytes, encoded: bytes) -> bytes:
    """A V2 page of plain values that are not compressed, whatever the codec of its column chunk."""
    size = len(repetition_levels) + len(definition_levels) + len(encoded)
    levels = {5: len(definition_levels), 6: len(repetition_levels)}
    header: Fields = {1: values, 2: 0, 3: values, 4: PLAIN, **levels, 7: False}
    fields: Fields = {_TYPE: int(PageKind.DATA_V2), _UNCOMPRESSED: size, _COMPRESSED: size, _V2: header}
    return written(fields) + repetition_levels + definition_levels + encoded


def dictionary_page(values: int, size: int, compressed: bytes) -> bytes:
    """A dictionary page of plain values of so many bytes, compressed by the codec of its column chunk."""
    header: Fields = {1: values, 2: PLAIN}
    fields: Fields = {
        _TYPE: int(PageKind.DICTIONARY),
        _UNCOMPRESSED: size,
        _COMPRESSED: len(compressed),
        _DICTIONARY: header,
    }
    return written(fields) + compressed


def _page(fields: Fields, start: int, body: int) -> Page:
    kind = _number(fields, _TYPE)
    kind = kind if kind in (PageKind.DATA, PageKind.DICTIONARY, PageKind.DATA_V2) else PageKind.OTHER
    sizes = _number(fields, _COMPRESSED), _number(fields, _UNCOMPRESSED)
    checksum = _number(fields, _CHECKSUM) & 0xFFFFFFFF if _CHECKSUM in fields else None
    common = (PageKind(kind), start, body, *sizes, checksum)
    if kind == PageKind.DATA_V2:
        v2 = _struct(fields, _V2)
        lengths = max(0, _number(v2, 5)), max(0, _number(v2, 6))
        return Page(*common, _number(v2, 1), _number(v2, 4), True, *lengths, v2.get(7) != 0)
    own = _struct(fields, _V1 if kind == PageKind.DATA else _DICTIONARY)
    rle = kind == PageKind.DICTIONARY or (_number(own, 3), _number(own, 4)) == (_RLE, _RLE)
    return Page(*common, _number(own, 1), _number(own, 2), rle)


def _number(fields: Fields, number: int) -> int:
    found = fields.get(number)
    return found if isinstance(found, int) else -1


def _struct(fields: Fields, number: int) -> Fields:
    found = fields.get(number)
    return found if isinstance(found, dict) else {}
