"""A Parquet file in whose place Arrow reads another one: each picture is a ticket that says where the picture is.

    archive ──► StandIn ──► Arrow ──► tickets ──► StoredPictures ──► one picture after the other
                levels and all other columns as they are

Arrow holds a page packed, unpacked and decoded at once, and skips none. So one column chunk is given to it with every
value of its plain and dictionary pages replaced; how values make rows and which are null, Arrow still decides. Pages
are unpacked as their first picture is asked for, which for rows that nobody wants is never.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.archive.compact import Stream
from pipeline.archive.footers import OpenArchive, chunks_of, leaves_of
from pipeline.archive.page_headers import OF_DICTIONARY, PLAIN, Page, PageKind, dictionary_page, pages, plain_page
from pipeline.archive.stored_pages import StoredPage
from pipeline.archive.stored_pictures import TICKET, StoredPictures
from pipeline.archive.unpacking import Body, can_unpack, packed, unpacked

BUFFER_BYTES = 1 << 14  # of Arrow: what it reads ahead is unpacked ahead
_MOST_VALUES = 1 << 20  # of a page; its pictures have 32 bytes each, else Arrow can have it as well
_MOST_PAGES = 200_000  # of a chunk; a header in memory has some 150 bytes
_MOST_LEVELS_BYTES = 16 << 20
_FRAMED = "LZ4 in frames"
_HEADER_BYTES = 64  # at most, of a page that stands in


@dataclass(frozen=True)
class PictureChunk:
    """The column chunk of the pictures' bytes in one row group.

    Attributes:
        leaf: its position in the row group.
        start, end: offsets in the file.
        codec: as pyarrow calls it.
        definition, repetition: the highest level of each kind.
        pages: their headers.
    """

    leaf: int
    start: int
    end: int
    codec: str
    definition: int
    repetition: int
    pages: tuple[Page, ...]

    @property
    def largest_bytes(self) -> int:
        """Of the largest page, unpacked."""
        return max((page.uncompressed_bytes for page in self.pages), default=0)

    def can_stand_in(self) -> bool:
        """Tells whether all of its pages are of the kinds that are read here; Arrow reads more."""
        tickets = sum(_tickets(page) for page in self.pages if not _is_of_dictionary(page))
        size = tickets * _PLAIN_TICKET.itemsize + _HEADER_BYTES * len(self.pages)
        fits = can_unpack(self.codec) and size <= (self.end - self.start) // 2  # levels come on top
        return fits and all(_is_known(page) for page in self.pages)


def leaf_of_bytes(file: pq.ParquetFile, images: str) -> int:
    """The position of the chunk with the pictures' bytes in every row group."""
    leaves, paths = leaves_of(file, images), file.reader.column_paths
    return next((leaf for leaf in leaves if paths[leaf][-1] == "bytes"), leaves[0])


def picture_chunk(archive: OpenArchive, row_group: int, images: str) -> PictureChunk | None:
    """The chunk of the pictures' bytes; None where the column has nothing of the kind.

    Raises:
        PageHeaderError: if the page headers cannot be read.
    """
    file, stream = archive.parquet, archive.headers
    leaf = leaf_of_bytes(file, images)
    schema, chunk = file.schema.column(leaf), file.metadata.row_group(row_group).column(leaf)
    if schema.physical_type != "BYTE_ARRAY":
        return None
    ((start, end),) = chunks_of(file.metadata.row_group(row_group), [leaf])
    levels = schema.max_definition_level, schema.max_repetition_level
    found = tuple(islice(pages(stream, start, end), _MOST_PAGES + 1))
    if len(found) > _MOST_PAGES:
        return None
    codec = _FRAMED if chunk.compression == "LZ4" and found and _is_framed(stream, found[0]) else chunk.compression
    return PictureChunk(leaf, start, end, codec, *levels, found)


def _is_framed(stream: Stream, page: Page) -> bool:
    """Tells LZ4 as Hadoop writes it, with two sizes before each block, from the blocks that others write.

    pyarrow calls both by one name. A block cannot begin like this: its first byte would repeat what is not there.
    """
    head = Body(stream, page.body, page.end).read(8)
    unpacked_bytes, packed_bytes = int.from_bytes(head[:4]), int.from_bytes(head[4:])
    return unpacked_bytes <= page.uncompressed_bytes and packed_bytes <= page.compressed_bytes - 8


class StandIn:
    """A file for Arrow to read, and the pictures behind its tickets.

    Args:
        stream: the archive's file.
        chunk: of the pictures.
    """

    def __init__(self, stream: Stream, chunk: PictureChunk) -> None:
        self._stream, self._chunk = stream, chunk
        self._at = 0
        self._size = stream.seek(0, 2)
        self._levels_bytes: dict[int, int] = {}  # of the pages that Arrow has seen, among their packed ones
        self._stored: dict[int, StoredPage] = {}
        self.closed = False
        self._rewind()

    def open(self, metadata: pq.FileMetaData) -> pq.ParquetFile:
        """Opens it in place of the archive's file."""
        return pq.ParquetFile(
            pa.PythonFile(self, "r"),
            metadata=metadata,
            buffer_size=BUFFER_BYTES,
            pre_buffer=False,
            page_checksum_verification=True,
        )

    def pictures(self, tickets: pa.Array) -> StoredPictures:
        """The pictures behind the tickets of some rows; those of the rows before are let go."""
        tickets = tickets.cast(pa.binary())  # Arrow can do little with views
        is_there = tickets.is_valid().to_numpy(zero_copy_only=False)
        found = np.zeros(len(tickets), TICKET)
        found[is_there] = np.frombuffer(b"".join(tickets.drop_null().to_pylist()), TICKET)
        numbers = np.unique(found["page"][is_there]).tolist()
        first = next((number for number in numbers if not self._is_dictionary(number)), 0)
        self._stored = {
            number: page for number, page in self._stored.items() if number >= first or self._is_dictionary(number)
        }
        for number in numbers:
            if number not in self._stored:
                self._stored[number] = self._stored_page(number)
        return StoredPictures(found, is_there, {number: self._stored[number] for number in numbers})

    def read(self, size: int = -1) -> bytes:
        """Reads on, as a file does."""
        chunk, at = self._chunk, self._at
        size = min(size if size >= 0 else self._size, self._size - at)
        if chunk.start <= at < chunk.end:
            found = self._replaced(at - chunk.start, size)
        else:
            self._stream.seek(at)
            found = self._stream.read(size)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves, as in a file."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def close(self) -> None:
        """Leaves the archive's file open."""
        self.closed = True

    def _is_dictionary(self, number: int) -> bool:
        return self._chunk.pages[number].kind is PageKind.DICTIONARY

    def _stored_page(self, number: int) -> StoredPage:
        levels_bytes = self._levels_bytes.get(number, 0)
        return StoredPage(self._stream, self._chunk.pages[number], self._chunk.codec, levels_bytes)

    def _rewind(self) -> None:
        self._begin, self._ready = 0, b""  # where the bytes that are ready stand in the chunk
        self._pieces = self._pages()

    def _replaced(self, at: int, size: int) -> bytes:
        if at < self._begin:
            self._rewind()
        while self._begin + len(self._ready) < at + size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            done = min(len(self._ready), max(0, at - self._begin))
            self._begin, self._ready = self._begin + done, self._ready[done:] + piece
            if self._begin + len(self._ready) > self._chunk.end - self._chunk.start:
                raise ValueError("the levels of a column of pictures are larger than its pages")
        return self._ready[at - self._begin : at - self._begin + size]

    def _pages(self) -> Iterator[bytes]:
        """What Arrow reads instead of the chunk."""
        for number, page in enumerate(self._chunk.pages):
            if page.kind is PageKind.DICTIONARY:
                tickets = _encoded(number, _tickets(page))
                yield dictionary_page(page.values, len(tickets), packed(tickets, self._chunk.codec))
            elif _is_of_dictionary(page):
                yield from _as_it_is(self._stream, page)
            elif page.kind is not PageKind.OTHER:
                yield self._plain_page(number, page)

    def _plain_page(self, number: int, page: Page) -> bytes:
        definition, repetition, packed_bytes = self._levels(page)
        self._levels_bytes[number] = packed_bytes
        tickets = _encoded(number, _tickets(page))
        # Arrow reads ahead by its buffer: a page that fills it is not followed by many others.
        padding = bytes(max(0, min(BUFFER_BYTES, page.compressed_bytes // 2) - len(tickets)))
        return plain_page(page.values, definition, repetition, tickets + padding)

    def _levels(self, page: Page) -> tuple[bytes, bytes, int]:
        """Definition and repetition levels of a data page, and how many bytes they take among its packed ones."""
        if page.kind is PageKind.DATA_V2:
            body = Body(self._stream, page.body, page.end)
            repetition = body.read(_bounded(page.repetition_bytes))
            return body.read(_bounded(page.definition_bytes)), repetition, 0
        body = Body(self._stream, page.body, page.end, BUFFER_BYTES)
        begin, at, levels = _Begin(unpacked(body, self._chunk.codec)), 0, []
        for highest in (self._chunk.repetition, self._chunk.definition):
            level = b""
            if highest:
                size = _bounded(int.from_bytes(begin.part(at, 4), "little"))
                level = begin.part(at + 4, size)
                at += 4 + size
            levels.append(level)
        return levels[1], levels[0], at


class _Begin:
    """The first bytes of a page that is unpacked only as far as they reach."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._bytes = pieces, b""

    def part(self, start: int, size: int) -> bytes:
        while len(self._bytes) < start + size:
            piece = next(self._pieces, None)
            if piece is None:
                raise ValueError("a page of pictures ends within its levels")
            self._bytes += piece
        return self._bytes[start : start + size]


def _bounded(size: int) -> int:
    if size > _MOST_LEVELS_BYTES:
        raise MemoryError(f"a page of pictures has {size} bytes of levels")
    return size


def _encoded(page: int, count: int) -> bytes:
    """Tickets for the values of a page, as plain byte arrays."""
    values = np.zeros(count, _PLAIN_TICKET)
    values["size"], values["page"], values["index"] = TICKET.itemsize, page, np.arange(count)
    return values.tobytes()


_PLAIN_TICKET = np.dtype([("size", "<u4"), *((name, "<u4") for name in TICKET.names or ())])


def _tickets(page: Page) -> int:
    """How many values a page can have beside its nulls, of which its header does not tell."""
    return max(0, min(page.values, page.uncompressed_bytes // 4))


def _is_of_dictionary(page: Page) -> bool:
    return page.kind in (PageKind.DATA, PageKind.DATA_V2) and page.encoding in OF_DICTIONARY


def _is_known(page: Page) -> bool:
    if page.kind is PageKind.OTHER or _is_of_dictionary(page):
        return True
    plain = page.encoding == PLAIN or (page.kind is PageKind.DICTIONARY and page.encoding in OF_DICTIONARY)
    return plain and page.rle_levels and page.values >= 0 and _tickets(page) <= _MOST_VALUES


def _as_it_is(stream: Stream, page: Page) -> Iterator[bytes]:
    body = Body(stream, page.start, page.end)
    while piece := body.read(body.piece_bytes):
        yield piece
