"""Pages of pictures that are unpacked piece by piece into a temporary file, from which pictures are read one by one."""

import tempfile
import threading
from array import array
from collections.abc import Iterator
from errno import EDQUOT, ENOSPC
from typing import IO

from pipeline.archive.compact import Stream
from pipeline.archive.page_headers import Page
from pipeline.archive.unpacking import Body, unpacked

IN_MEMORY_BYTES = 4 << 20  # smaller pages need no file
_UNPACKED = "UNCOMPRESSED"


class StoredPage:
    """The values of one page of plain byte arrays.

    Args:
        stream: the archive's file.
        page: what its header says.
        codec: of its column chunk, as pyarrow calls it.
        levels_bytes: of a page of the first version, whose levels are packed with its values.
    """

    def __init__(self, stream: Stream, page: Page, codec: str, levels_bytes: int = 0) -> None:
        self._stream, self._page, self._codec, self._levels_bytes = stream, page, codec, levels_bytes
        self._starts, self._ends = array("q"), array("q")
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()  # pictures are read where they are decoded, in threads

    def size(self, index: int) -> int:
        """How many bytes a value has; the page is unpacked for the first.

        Raises:
            pa.ArrowException, OSError, ValueError: if the page is damaged, or has fewer values.
            MemoryError: if there is no room for it.
        """
        if self._file is None:
            self._unpack()
        if index >= len(self._starts):
            raise ValueError(f"a page of pictures ends before its value {index}")
        return self._ends[index] - self._starts[index]

    def read(self, index: int, start: int = 0, size: int = -1) -> bytes:
        """The bytes of a value, or so many of them from some byte on."""
        first, end = self._starts[index] + start, self._ends[index]
        if size >= 0:
            end = min(end, first + size)
        assert self._file is not None
        with self._lock:
            self._file.seek(first)
            return self._file.read(end - first)

    def _unpack(self) -> None:
        page, body = self._page, Body(self._stream, self._page.body, self._page.end)
        of_v2 = body.read(page.definition_bytes + page.repetition_bytes)
        pieces = unpacked(body, self._codec if page.is_compressed else _UNPACKED)
        file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, prefix="hs-audit-")  # noqa: SIM115 (as long as we live)
        starts, ends = array("q"), array("q")
        try:
            total = len(of_v2) + self._walk(_without(pieces, self._levels_bytes), file, starts, ends)
            total += self._levels_bytes
        except OSError as error:
            if error.errno in (ENOSPC, EDQUOT):
                where = f"{tempfile.gettempdir()} (TMPDIR)"
                raise MemoryError(f"no room in {where} to unpack a page of {page.uncompressed_bytes} bytes") from error
            raise
        while body.read(1 << 20):
            pass  # for the checksum
        if page.checksum is not None and body.checksum != page.checksum:
            raise ValueError("the checksum of a page of pictures does not fit its bytes")
        if total != page.uncompressed_bytes:
            raise ValueError(f"a page unpacks to {total} bytes instead of {page.uncompressed_bytes}")
        self._starts, self._ends, self._file = starts, ends, file

    def _walk(self, pieces: Iterator[bytes], file: IO[bytes], starts: "array[int]", ends: "array[int]") -> int:
        """Writes the values to a file and notes where each begins and ends; returns how many bytes there are."""
        at, total, tail = 0, 0, b""  # where the next length stands; how much was read; what of a length was read
        for piece in pieces:
            file.write(piece)
            block, begin = tail + piece, total - len(tail)
            total += len(piece)
            while at + 4 <= total and len(starts) < self._page.values:
                size = int.from_bytes(block[at - begin : at - begin + 4], "little")
                starts.append(at + 4)
                ends.append(at + 4 + size)
                at += 4 + size
            tail = block[at - begin :] if at < total else b""
        if ends and ends[-1] > total:
            del starts[-1], ends[-1]
        return total


def _without(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """All but the first bytes."""
    for piece in pieces:
        yield piece[count:]
        count = max(0, count - len(piece))
