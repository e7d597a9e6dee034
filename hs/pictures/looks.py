"""How a picture looks, in few bytes: a hash and a thumbnail, by which a picture that was saved again is known."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

_SIDE = 64  # pixels that are looked at, at least, where there are so many
_LOW = 8
_CONTRAST = 4.0  # standard deviation in grey levels
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow has it
_THUMBNAIL = 16
# Of photos and catalogue pictures that were saved again, at quality 40 or half the size, 19 in 20 lie within both.
MOST_BITS = 8  # of the 64 of two hashes, that differ
LEAST_LIKENESS = 0.985  # of two thumbnails: their correlation, each channel about its mean


@dataclass(frozen=True)
class Look:
    """What two pictures are compared by.

    Attributes:
        hash: see `perceptual_hash`.
        thumbnail: uint8 [16, 16, 3] as bytes.
    """

    hash: int
    thumbnail: bytes

    @classmethod
    def of(cls, pixels: np.ndarray) -> "Look":
        """The look of pixels, uint8 [H, W, 3]."""
        return cls(perceptual_hash(pixels), thumbnail(pixels).tobytes())

    def is_nearly(self, other: "Look") -> bool:
        """Whether two pictures are nearly the same; what has no contrast is like no other."""
        if not self.hash or not other.hash or (self.hash ^ other.hash).bit_count() > MOST_BITS:
            return False
        both = np.frombuffer(self.thumbnail + other.thumbnail, np.uint8).reshape(2, _THUMBNAIL, _THUMBNAIL, 3)
        one, two = about_mean(both)
        return float(one @ two) >= LEAST_LIKENESS


def perceptual_hash(pixels: np.ndarray) -> int:
    """64 bits that stay nearly the same when a picture is scaled, re-encoded or slightly brightened.

    The signs of the 8 x 8 lowest frequencies of the grey picture against their median, as in pHash (Zauner 2010,
    'Implementation and Benchmarking of Perceptual Image Hash Functions').

    Args:
        pixels: uint8 [H, W, 3].

    Returns:
        The hash, or 0 for a picture without contrast, which is like no other.
    """
    height, width = pixels.shape[:2]
    # Every third pixel of 224: eight half waves need no more, and scaling it first takes ten times as long.
    down, across = max(1, height // _SIDE), max(1, width // _SIDE)
    columns = np.arange(across // 2, width, across)
    # Taken, as a slice of both would be turned into floats twice as slowly.
    some = pixels[down // 2 :: down].take(columns, axis=1)
    grey = (some.reshape(-1, 3).astype(np.float32) @ _GREY).reshape(some.shape[:2])
    low = (_waves(height, down) @ grey @ _waves(width, across).T).ravel()
    others = low[1:]  # the first is the brightness of the whole
    if np.sqrt(others @ others / grey.size) < _CONTRAST:
        return 0
    return int(np.packbits(low > np.partition(others, len(others) // 2)[len(others) // 2]).view(">u8")[0])


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """What two pictures are compared by where their hashes are near: uint8 [16, 16, 3].

    Args:
        pixels: uint8 [H, W, 3].
    """
    small = Image.fromarray(pixels).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(small, np.uint8)


def about_mean(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails [n, h, w, 3] as vectors of length 1, each channel about its mean: float32 [n, h * w * 3]."""
    centred = thumbnails - thumbnails.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    flat = centred.reshape(len(thumbnails), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


@lru_cache(maxsize=16)
def _waves(pixels: int, step: int) -> np.ndarray:
    """The first rows of the discrete cosine transform (type II), at every so many pixels: float32 [8, n]."""
    at = np.arange(step // 2, pixels, step) + 0.5
    waves = np.cos(np.pi * np.outer(np.arange(_LOW), at) / pixels)
    return (waves / np.linalg.norm(waves, axis=1, keepdims=True)).astype(np.float32)
