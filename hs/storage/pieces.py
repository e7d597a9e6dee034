"""An object of a storage as a file that is read in large pieces, the next of them fetched meanwhile.

A Parquet reader asks for a mebibyte of one column, then of another: asked one by one, 174 MB took 841 requests. Here
they are answered from pieces of 8 MiB. What will be read can be told beforehand (`plan`), so that no byte is fetched
that nobody wants; a few pieces stay in memory, as columns are read side by side.
"""

import io
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pyarrow as pa

from hs.storage.facts import FileFacts

PIECE_BYTES = 8 << 20
_KEPT_BYTES = 48 << 20  # in memory at most, with the piece that is being fetched
_SMALL_BYTES = 64 << 10  # enough for a page header, and for the end of a file
_GAP_BYTES = 1 << 20  # between columns: cheaper to fetch than another request

Range = tuple[int, int]  # first byte, end
Fetch = Callable[[int, int], bytes]  # (first byte, how many)


class PiecewiseFile(io.RawIOBase):
    """A readable, seekable file over something that answers ranges.

    Without a plan, what is read one after the other comes in pieces, and what is read here and there in small ones.
    """

    def __init__(self, facts: FileFacts, fetch: Fetch, threads: ThreadPoolExecutor) -> None:
        self.facts, self.size = facts, facts.stamp.size_bytes
        self._fetch, self._threads = fetch, threads
        self._position = 0
        self._starts: list[int] = []
        self._planned: list[Range] = []
        self._pieces: OrderedDict[Range, Future[bytes]] = OrderedDict()
        self._read_to = 0

    def plan(self, ranges: Iterable[Range]) -> None:
        """Says which bytes will be read; they are fetched in pieces of at most 8 MiB, neighbours together."""
        self._planned = [piece for together in _joined(ranges, self.size) for piece in _cut(together)]
        self._starts = [start for start, _ in self._planned]
        self._pieces.clear()

    @property
    def planned_bytes(self) -> int:
        """How many bytes the plan has."""
        return sum(end - start for start, end in self._planned)

    @property
    def keeps_all_of_its_plan(self) -> bool:
        """Whether all that is planned may stay in memory: whoever reads it twice makes no request for that."""
        return self.planned_bytes <= _KEPT_BYTES

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
        self._position = max(0, offset + (0, self._position, self.size)[whence])
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

    def close(self) -> None:
        """Forgets the pieces; one that is being fetched is waited for, as its connection is closed next."""
        wait([future for future in self._pieces.values() if not future.cancel()])
        self._pieces.clear()
        super().close()

    def _next(self, size: int) -> memoryview | bytes:
        left = self.size - self._position
        size = max(0, left if size is None or size < 0 else min(size, left))
        parts: list[memoryview] = []
        while size > 0:
            piece = self._piece_at(self._position, size)
            begin = self._position - piece[0]
            part = memoryview(self._bytes_of(piece))[begin : begin + size]
            if not len(part):
                raise OSError(f"the object ends at byte {self._position}, and not at {self.size}")
            parts.append(part)
            self._position += len(part)
            size -= len(part)
        self._read_to = self._position
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece_at(self, position: int, size: int) -> Range:
        """The piece that a byte lies in: of the plan, one that is there, or a new one."""
        number = bisect_right(self._starts, position) - 1
        if number >= 0 and position < self._planned[number][1]:
            return self._planned[number]
        for start, end in reversed(self._pieces):
            if start <= position < end:
                return start, end
        if size <= _SMALL_BYTES and self.size - position <= _SMALL_BYTES:  # a footer's length, then the footer
            return max(0, self.size - _SMALL_BYTES), self.size
        near = 0 <= position - self._read_to < PIECE_BYTES and self._read_to > 0
        length = max(size, PIECE_BYTES if near else _SMALL_BYTES)
        return position, min(self.size, position + min(length, PIECE_BYTES))

    def _bytes_of(self, piece: Range) -> bytes:
        """The bytes of a piece; the one after it in the plan is asked for, so that it comes while these are used."""
        future = self._asked_for(piece)
        if following := self._after(piece):
            self._asked_for(following)
            self._pieces.move_to_end(piece)
        self._forget()
        return future.result()

    def _after(self, piece: Range) -> Range | None:
        number = bisect_right(self._starts, piece[0]) - 1
        if number < 0 or self._planned[number] != piece or number + 1 == len(self._planned):
            return None
        return self._planned[number + 1]

    def _asked_for(self, piece: Range) -> Future[bytes]:
        if piece not in self._pieces:
            self._pieces[piece] = self._threads.submit(self._fetch, piece[0], piece[1] - piece[0])
        self._pieces.move_to_end(piece)
        return self._pieces[piece]

    def _forget(self) -> None:
        """Lets go of what was used longest ago."""
        kept = sum(end - start for start, end in self._pieces)
        while kept > _KEPT_BYTES and len(self._pieces) > 2:
            (start, end), _ = self._pieces.popitem(last=False)
            kept -= end - start


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
