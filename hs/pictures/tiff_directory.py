"""The directory of a TIFF, which EXIF is too: as much of it as tells which way is up, and where the file should end.

Pillow's own reader fails or warns where any of the metadata is broken. Source: TIFF Revision 6.0 and BigTIFF.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import numpy as np

_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
_TILE_WIDTH, _TILE_HEIGHT, _TILES = 0x0142, 0x0143, 0x0144
_BITS, _SAMPLES, _ROWS_PER_STRIP = 0x0102, 0x0115, 0x0116
_STRIPS = ((0x0111, 0x0117), (0x0144, 0x0145))  # offsets and lengths in bytes, of strips and of tiles
_WORDS = {42: ("L", "H"), 43: ("Q", "Q")}  # version → struct's codes of an offset and of the number of tags
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_PIECES = frozenset(number for pair in _STRIPS for number in pair)
_NEEDED = frozenset({_BITS, 0x0140, 0x015B}) | _PIECES  # with tables of colours and of JPEG
_DEMANDING = frozenset({_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT}) | _PIECES
_DIRECTORY_ERRORS = (struct.error, ValueError, KeyError, IndexError, OverflowError, StopIteration)


def orientation(tiff: bytes) -> int:
    """The orientation that a TIFF, or EXIF, asks for; 1, which is upright, where that cannot be read."""
    with suppress(*_DIRECTORY_ERRORS):
        return next(int(tag.values(tiff)[0]) for tag in _directory(tiff) if tag.number == _ORIENTATION)
    return 1


class Demands(NamedTuple):
    """What a TIFF asks for.

    Attributes:
        tags: how many, of which no more than one beyond the bound were looked at.
        tag_bytes: in all of them that fit the file; where they share bytes, Pillow copies each.
        stored_bytes: in all strips or tiles; they may share bytes, too.
        pixels: of the picture.
        tile_pixels: in all tiles; 0 where there are none.
        pieces: how many strips or tiles.
        piece_bytes: of the largest strip or tile, decoded: libtiff holds one of them.
    """

    tags: int
    tag_bytes: int
    stored_bytes: int
    pixels: int
    tile_pixels: int
    pieces: int
    piece_bytes: int


def demands(tiff: bytes, most_tags: int) -> Demands:
    """What a TIFF asks for by its directory. Raises any of `_DIRECTORY_ERRORS` where that is broken.

    Args:
        tiff: the file.
        most_tags: more are counted as one more.
    """
    directory = list(islice(_directory(tiff), most_tags + 1))
    sizes = [tag.width * tag.length for tag in directory]
    tags: dict[int, _Tag] = {}
    for tag in directory:
        if tag.number in tags and tag.number in _DEMANDING:  # libtiff goes by the first of them, Pillow by the last
            raise ValueError(f"tag {tag.number} stands twice")
        tags[tag.number] = tag

    def value(number: int, otherwise: int) -> int:
        return int(tags[number].values(tiff).max()) if number in tags else otherwise

    width, height, samples = value(_WIDTH, 0), value(_HEIGHT, 0), value(_SAMPLES, 1)
    tile_pixels = value(_TILE_WIDTH, 0) * value(_TILE_HEIGHT, 0)
    pieces = [(tags[start], tags[length]) for start, length in _pieces(tags)]
    piece_pixels = max(tile_pixels, width * min(height, value(_ROWS_PER_STRIP, height)))
    return Demands(
        len(directory),
        sum(size for size in sizes if size <= len(tiff)),
        sum(_stored(starts.values(tiff), lengths.values(tiff), len(tiff)) for starts, lengths in pieces),
        width * height,
        (tags[_TILES].length if _TILES in tags else 0) * tile_pixels,
        max((starts.length for starts, _ in pieces), default=0),
        piece_pixels * samples * value(_BITS, 1) // 8,
    )


def piece_bytes(tiff: bytes) -> int:
    """How many bytes the largest strip or tile has, decoded. Raises any of `_DIRECTORY_ERRORS`."""
    return demands(tiff, most_tags=1_000).piece_bytes


def end_of_tiff(tiff: bytes) -> float:
    """Where what decoding needs of a TIFF ends, in bytes; infinity where the directory itself is cut short."""
    try:
        tags = {tag.number: tag for tag in _directory(tiff)}
        needed = [float(tag.offset + tag.width * tag.length) for tag in tags.values() if tag.number in _NEEDED]
        ends = [tags[start].values(tiff).astype(float) + tags[length].values(tiff) for start, length in _pieces(tags)]
        return max([*needed, *(float(end.max()) for end in ends if end.size)], default=0)
    except _DIRECTORY_ERRORS:
        return float("inf")


def _pieces(tags: Mapping[int, "_Tag"]) -> list[tuple[int, int]]:
    """The tags of offsets and lengths, of strips and of tiles, as far as both are there."""
    return [(start, length) for start, length in _STRIPS if {start, length} <= tags.keys()]


def _stored(starts: np.ndarray, lengths: np.ndarray, end: int) -> int:
    """The bytes of strips or tiles that lie in the file."""
    return int(np.clip(end - starts.astype(float), 0, lengths.astype(float)).sum())


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
