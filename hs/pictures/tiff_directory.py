"""The directory of a TIFF, which EXIF is too: as much of it as tells which way is up, and where the file should end.

Pillow's own reader fails or warns where any of the metadata is broken. Source: TIFF Revision 6.0 and BigTIFF.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

_ORIENTATION = 0x0112
_STRIPS = ((0x0111, 0x0117), (0x0144, 0x0145))  # offsets and lengths in bytes, of strips and of tiles
_WORDS = {42: ("L", "H"), 43: ("Q", "Q")}  # version → struct's codes of an offset and of the number of tags
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_DIRECTORY_ERRORS = (struct.error, ValueError, KeyError, IndexError, OverflowError, StopIteration)


def orientation(tiff: bytes) -> int:
    """The orientation that a TIFF, or EXIF, asks for; 1, which is upright, where that cannot be read."""
    with suppress(*_DIRECTORY_ERRORS):
        return next(int(tag.values(tiff)[0]) for tag in _directory(tiff) if tag.number == _ORIENTATION)
    return 1


def check_tags(tiff: bytes) -> None:
    """Raises MemoryError where tags share their bytes: Pillow copies each, and 65,535 times 20 MB end the process."""
    sizes = (tag.width * tag.length for tag in _directory(tiff))
    if sum(size for size in sizes if size <= len(tiff)) > 4 * len(tiff):
        raise MemoryError("the tags of a TIFF are larger than the file")


def end_of_tiff(tiff: bytes) -> float:
    """Where a TIFF ends by its directory, in bytes; infinity where the directory itself is cut short."""
    try:
        tags = {tag.number: tag for tag in _directory(tiff)}
        ends = [tag.offset + tag.width * tag.length for tag in tags.values()]
        strips = [(tags[start], tags[length]) for start, length in _STRIPS if {start, length} <= tags.keys()]
        for start, length in strips:
            ends += (start.values(tiff).astype(float) + length.values(tiff)).tolist()
        return max(ends, default=0)
    except _DIRECTORY_ERRORS:
        return float("inf")


class _Tag(NamedTuple):
    """One entry of a TIFF's directory: so many values, of so many bytes each, from an offset in the file on."""

    number: int
    width: int
    length: int
    offset: int

    def values(self, tiff: bytes) -> np.ndarray:
        """The values as unsigned numbers [length]. Raises ValueError where they lie beyond the end."""
        return np.frombuffer(tiff, f"{_byte_order(tiff)}u{self.width}", self.length, self.offset)


def _byte_order(tiff: bytes) -> str:
    return "<" if tiff.startswith(b"II") else ">"


def _directory(tiff: bytes) -> Iterator[_Tag]:
    """The tags in the first directory of a TIFF; EXIF is one too. Raises any of `_DIRECTORY_ERRORS`."""
    order = _byte_order(tiff)
    word, counter = _WORDS[struct.unpack_from(order + "H", tiff, 2)[0]]
    entry, inline = struct.Struct(order + "HH" + word), struct.calcsize(order + word)
    (start,) = struct.unpack_from(order + word, tiff, inline)
    (tags,) = struct.unpack_from(order + counter, tiff, start)
    first, step = start + struct.calcsize(order + counter), entry.size + inline
    for at in range(first, first + tags * step, step):
        number, kind, length = entry.unpack_from(tiff, at)
        (elsewhere,) = struct.unpack_from(order + word, tiff, at + entry.size)
        width = _WIDTHS.get(kind, 1)
        yield _Tag(number, width, length, elsewhere if width * length > inline else at + entry.size)
