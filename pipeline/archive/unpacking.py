"""The body of a page → its bytes in pieces of about a megabyte, whatever the codec of its column chunk.

Arrow unpacks a page at once. The blocks of Snappy and LZ4 have no marks inside where one could begin anew, but all that
they repeat lies within the last 64 KiB: so many bytes put before any part of a block make a block of it.

Sources: Snappy's format_description.txt; LZ4's lz4_Block_format.md; Compression.md of the Apache Parquet format.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from pipeline.archive.compact import Stream, varint

_PIECE_BYTES = 1 << 20
_WINDOW = 1 << 16  # how far back a copy reaches
_LZ4_END = 12  # literals that a block must end with
_LONG = 1 << 12  # literals from this length on are passed through as they are: pictures are little else


class Body:
    """Bytes from one offset of a file to another, read once and in order.

    Attributes:
        checksum: CRC-32 of those read so far.
        piece_bytes: how many are read at a time; little where only the begin of a page matters.
    """

    def __init__(self, stream: Stream, start: int, end: int, piece_bytes: int = _PIECE_BYTES) -> None:
        self._stream, self._at, self._end = stream, start, end
        self.piece_bytes, self.checksum = piece_bytes, 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; fewer only at the end."""
        left = self._end - self._at
        self._stream.seek(self._at)
        found = self._stream.read(left if size < 0 else min(size, left))
        self._at += len(found)
        self.checksum = zlib.crc32(found, self.checksum)
        return found

    def close(self) -> None:
        """Leaves the file open: Arrow closes what it reads from."""
        self.closed = True


def can_unpack(codec: str) -> bool:
    """Tells whether pages of a codec, as pyarrow calls it, are read in pieces."""
    return codec in _UNPACKERS


def unpacked(body: Body, codec: str) -> Iterator[bytes]:
    """The bytes of a page in pieces.

    Raises:
        pa.ArrowException, OSError, ValueError: if the body is no such block, at the piece where that shows.
    """
    return _UNPACKERS[codec](body)


def packed(plain: bytes, codec: str) -> bytes:
    """The same, compressed by a codec as pyarrow calls it."""
    if codec == "UNCOMPRESSED":
        return plain
    compressed: bytes = pa.compress(plain, "lz4_raw" if codec == "LZ4" else codec.lower(), asbytes=True)
    return compressed


def _copied(body: Body) -> Iterator[bytes]:
    while piece := body.read(body.piece_bytes):
        yield piece


def _streamed(codec: str) -> Callable[[Body], Iterator[bytes]]:
    def unpack(body: Body) -> Iterator[bytes]:
        with pa.CompressedInputStream(pa.PythonFile(body, "r"), codec) as stream:
            while piece := stream.read(body.piece_bytes):
                yield piece

    return unpack


class _Ahead:
    """What is read of a body and not used yet: at least as much as is asked for, unless the body ends."""

    def __init__(self, body: Body) -> None:
        self._body, self.bytes, self.at = body, b"", 0

    def want(self, size: int) -> None:
        """Reads until so many bytes lie ahead.

        Raises:
            ValueError: if there are fewer.
        """
        if len(self.bytes) - self.at < size:
            self.bytes, self.at = self.bytes[self.at :] + self._body.read(max(size, self._body.piece_bytes)), 0
            if len(self.bytes) < size:
                raise ValueError("a compressed page ends too early")

    def fill(self) -> bool:
        """Reads on where little is left; False at the end of the body."""
        if len(self.bytes) - self.at < _LONG * 2:
            self.bytes, self.at = self.bytes[self.at :] + self._body.read(self._body.piece_bytes), 0
        return self.at < len(self.bytes)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        self.want(size)
        self.at += size
        return self.bytes[self.at - size : self.at]

    def literals(self, size: int) -> Iterator[bytes]:
        """As many of the next bytes, in pieces."""
        while size:
            piece = self.take(min(size, _PIECE_BYTES))
            size -= len(piece)
            yield piece


class _Window:
    """The last 64 KiB of what was unpacked."""

    def __init__(self) -> None:
        self.bytes = b""

    def add(self, piece: bytes) -> bytes:
        """Remembers a piece, and returns it."""
        self.bytes = piece[-_WINDOW:] if len(piece) >= _WINDOW else (self.bytes + piece)[-_WINDOW:]
        return piece


# Of a Snappy element by its first byte: how long it is, and how many bytes it stands for. Literals include themselves;
# those of more than 60 bytes have their length in 1 to 4 bytes after the first.
_COPY_BYTES = (0, 2, 3, 5)
_ELEMENT = tuple(_COPY_BYTES[tag & 3] if tag & 3 else (tag >> 2) + 2 if tag >> 2 < 60 else 0 for tag in range(256))
_STANDS_FOR = tuple(4 + (tag >> 2 & 7) if tag & 3 == 1 else (tag >> 2) + 1 for tag in range(256))


def _of_snappy(body: Body) -> Iterator[bytes]:
    ahead, window = _Ahead(body), _Window()
    while ahead.take(1)[0] & 0x80:  # how long the whole is: the page header says it too
        pass
    while ahead.fill():
        elements, size, literals = _snappy_elements(ahead)
        if size:
            yield window.add(_snappy_piece(window.bytes, elements, size))
        for piece in ahead.literals(literals):
            yield window.add(piece)


def _snappy_elements(ahead: _Ahead) -> tuple[bytes, int, int]:
    """The next elements, how many bytes they stand for, and how many literals follow that are long."""
    data, start, size, literals = ahead.bytes, ahead.at, 0, 0
    at, last = start, len(data) - _LONG - 4  # what begins before is whole
    if len(data) - start < 2 * _LONG:
        last = len(data)  # all that is left
    while at < last and size < _PIECE_BYTES:
        tag = data[at]
        if length := _ELEMENT[tag]:
            at += length
            size += _STANDS_FOR[tag]
        else:
            width = (tag >> 2) - 59
            count = int.from_bytes(data[at + 1 : at + 1 + width], "little") + 1
            if count >= _LONG:
                literals = count
                ahead.at = at + 1 + width
                return data[start:at], size, literals
            at += 1 + width + count
            size += count
    ahead.at = min(at, len(data))
    return data[start:at], size, literals


def _snappy_piece(before: bytes, elements: bytes, size: int) -> bytes:
    head = bytes([62 << 2]) + (len(before) - 1).to_bytes(3, "little") + before if before else b""
    block = varint(len(before) + size) + head + elements
    return bytes(pa.decompress(block, len(before) + size, codec="snappy", asbytes=True))[len(before) :]


def _of_lz4(body: Body) -> Iterator[bytes]:
    ahead, window = _Ahead(body), _Window()
    waiting: list[tuple[bytes, bytes, int]] = []  # sequences of few literals and a match, unpacked together
    out = 0
    while ahead.fill():
        token = ahead.take(1)[0]
        size = _lz4_length(ahead, token >> 4)
        if waiting and (size >= _LONG or out >= _PIECE_BYTES):
            yield window.add(_lz4_piece(window.bytes, waiting))
            waiting, out = [], 0
        if size >= _LONG:
            for piece in ahead.literals(size):
                yield window.add(piece)
        literals = ahead.take(size if size < _LONG else 0)
        if not ahead.fill():  # the last sequence has no match
            if waiting:
                yield window.add(_lz4_piece(window.bytes, waiting))
            yield literals
            return
        offset, left = ahead.take(2), _lz4_length(ahead, token & 15) + 4
        while left > _PIECE_BYTES:  # zeros are one match, however many they are
            waiting.append((literals, offset, _PIECE_BYTES - 4))
            yield window.add(_lz4_piece(window.bytes, waiting))
            waiting, out, literals, left = [], 0, b"", left - _PIECE_BYTES + 4
        waiting.append((literals, offset, left))
        out += len(literals) + left
    raise ValueError("a compressed page ends too early")


def _lz4_length(ahead: _Ahead, length: int) -> int:
    if length == 15:
        while (more := ahead.take(1)[0]) == 255:
            length += 255
        length += more
    return length


def _lz4_piece(before: bytes, sequences: Sequence[tuple[bytes, bytes, int]]) -> bytes:
    block, size = bytearray(), len(before)
    for literals, offset, match in sequences:
        first = literals if block else before + literals
        block.append(min(len(first), 15) << 4 | min(match - 4, 15))
        block += _lz4_rest(len(first)) + first + offset + _lz4_rest(match - 4)
        size += len(literals) + match
    block += bytes([_LZ4_END << 4]) + bytes(_LZ4_END)
    found = pa.decompress(bytes(block), size + _LZ4_END, codec="lz4_raw", asbytes=True)
    return bytes(found)[len(before) : size]


def _lz4_rest(length: int) -> bytes:
    return b"" if length < 15 else b"\xff" * ((length - 15) // 255) + bytes([(length - 15) % 255])


_UNPACKERS: dict[str, Callable[[Body], Iterator[bytes]]] = {
    "UNCOMPRESSED": _copied,
    "SNAPPY": _of_snappy,
    "GZIP": _streamed("gzip"),
    "BROTLI": _streamed("brotli"),
    "ZSTD": _streamed("zstd"),
    "LZ4": _of_lz4,
}
