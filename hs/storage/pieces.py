"""An object of a storage as files that are read in large pieces, the next of them fetched meanwhile.

A Parquet reader asks for a mebibyte of one column, then of another: asked one by one, 174 MB took 841 requests. Here
they are answered from pieces of 8 MiB. What will be read can be told beforehand (`plan`), so that no byte is fetched
that nobody wants; a few pieces stay in memory, as columns are read side by side.
"""

import io
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pyarrow as pa

from hs.storage.facts import FileFacts

PIECE_BYTES = 8 << 20
KEPT_BYTES = 48 << 20  # in memory at most, with the piece that is being fetched
_SMALL_BYTES = 64 << 10  # enough for a page header, and for the end of a file
_GAP_BYTES = 1 << 20  # between columns: cheaper to fetch than another request

Range = tuple[int, int]  # first byte, end
Fetch = Callable[[int, int], bytes]  # (first byte, how many)


class Pieces:
    """The pieces of an object that are in memory or on their way; several files may read from them.

    Without a plan, what is read one after the other comes in pieces, and what is read here and there in small ones.
    """

    def __init__(self, size: int, fetch: Fetch, threads: ThreadPoolExecutor) -> None:
        self.size = size
        self._fetch, self._threads, self._lock = fetch, threads, threading.Lock()
        self._planned: list[Range] = []
        self._starts: list[int] = []
        self._there: OrderedDict[Range, Future[bytes]] = OrderedDict()  # what was used longest ago comes first
        self._read_to = 0

    def plan(self, ranges: Iterable[Range]) -> None:
        """Says which bytes will be read; they are fetched in pieces of at most 8 MiB, neighbours together."""
        planned = [piece for together in _joined(ranges, self.size) for piece in _cut(together)]
        with self._lock:
            self._planned, self._starts = planned, [start for start, _ in planned]

    def at(self, position: int, most: int) -> memoryview:
        """Some bytes from a position on: up to the end of a piece, and at most so many.

        Raises:
            OSError: if the object is shorter than it was said to be.
        """
        with self._lock:
            piece = self._piece_at(position, most)
            future = self._asked_for(piece)
            if following := self._after(piece):  # so that it comes while these are used
                self._asked_for(following)
                self._there.move_to_end(piece)
            self._forget()
        found = memoryview(future.result())[position - piece[0] :][:most]
        if not len(found):
            raise OSError(f"the object ends at byte {position}, and not at {self.size}")
        self._read_to = position + len(found)
        return found

    def close(self) -> None:
        """Forgets all; what is being fetched is waited for, as its connection is closed next."""
        with self._lock:
            wait([future for future in self._there.values() if not future.cancel()])
            self._there.clear()

    def _piece_at(self, position: int, most: int) -> Range:
        """The piece that a byte lies in: of the plan, one that is there, or a new one."""
        number = bisect_right(self._starts, position) - 1
        if number >= 0 and position < self._planned[number][1]:
            return self._planned[number]
        for start, end in reversed(self._there):
            if start <= position < end:
                return start, end
        if most <= _SMALL_BYTES and self.size - position <= _SMALL_BYTES:  # a footer's length, then the footer
            return max(0, self.size - _SMALL_BYTES), self.size
        near = 0 <= position - self._read_to < PIECE_BYTES and self._read_to > 0
        length = max(most, PIECE_BYTES if near else _SMALL_BYTES)
        return position, min(self.size, position + min(length, PIECE_BYTES))

    def _after(self, piece: Range) -> Range | None:
        number = bisect_right(self._starts, piece[0])
        if not number or self._planned[number - 1] != piece or number == len(self._planned):
            return None
        return self._planned[number]

    def _asked_for(self, piece: Range) -> Future[bytes]:
        if piece not in self._there:
            self._there[piece] = self._threads.submit(self._fetch, piece[0], piece[1] - piece[0])
        self._there.move_to_end(piece)
        return self._there[piece]

    def _forget(self) -> None:
        kept = sum(end - start for start, end in self._there)
        while kept > KEPT_BYTES and len(self._there) > 2:
            (start, end), _ = self._there.popitem(last=False)
            kept -= end - start


class PiecewiseFile(io.RawIOBase):
    """A readable, seekable file whose bytes lie in pieces; its position is its own."""

    def __init__(self, facts: FileFacts, pieces: Pieces) -> None:
        self.facts, self.pieces = facts, pieces
        self._position = 0

    def another(self) -> "PiecewiseFile":
        """The same file with a position of its own; what one of them has fetched is there for the other."""
        return PiecewiseFile(self.facts, self.pieces)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves; nothing is fetched."""
        self._position = max(0, offset + (0, self._position, self.pieces.size)[whence])
        return self._position

    def read(self, size: int = -1) -> bytes:
        """The next bytes, fewer only at the end."""
        return bytes(self._next(size))

    def read_buffer(self, size: int = -1) -> pa.Buffer:
        """The same without a copy where one piece has them all; Arrow asks for it."""
        return pa.py_buffer(self._next(size))

    def readinto(self, buffer: Any) -> int:
        """The same into memory of the caller."""
        found = self._next(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def _next(self, size: int | None) -> memoryview | bytes:
        left = max(0, self.pieces.size - self._position)
        size = left if size is None or size < 0 else min(size, left)
        parts: list[memoryview] = []
        while size > 0:
            part = self.pieces.at(self._position, size)
            parts.append(part)
            self._position += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _joined(ranges: Iterable[Range], size: int) -> list[Range]:
    """Ranges in the order of the file, those with small gaps between them as one."""
    joined: list[Range] = []
    for start, end in sorted((max(0, start), min(end, size)) for start, end in ranges):
        if start >= end:
            continue
        if joined and start <= joined[-1][1] + _GAP_BYTES:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _cut(together: Range) -> list[Range]:
    start, end = together
    return [(first, min(end, first + PIECE_BYTES)) for first in range(start, end, PIECE_BYTES)]
