"""Pictures as pages show them: small JPEGs as data URIs, made by the one careful decoder."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from hs.pictures.decoding import Picture, PictureLimits, PictureSize, decode

_BYTES_PER_PIXEL = 0.12  # of a photograph at the best quality
_QUALITIES = (75, 60, 45, 30)


@dataclass(frozen=True)
class Shrunk:
    """A small JPEG.

    Attributes:
        uri: the whole of it as a data URI.
        width, height: in pixels.
    """

    uri: str
    width: int
    height: int

    @property
    def size(self) -> int:
        """Of the JPEG, bytes."""
        return len(self.uri.partition(",")[2]) * 3 // 4


def shrink(data: bytes, limits: PictureLimits, room: int, sides: tuple[int, int]) -> Shrunk | Picture:
    """A picture as a JPEG of at most so many bytes, if any does; what became of it where it cannot be decoded.

    Args:
        data: a file, which may be hostile.
        limits: what it may cost.
        room: bytes.
        sides: the least and the most that its longer side may have, pixels; a smaller picture is not blown up.
    """
    side = round(min(max(math.sqrt(room / _BYTES_PER_PIXEL), sides[0]), sides[1]))
    # Squashed, and stretched again below: no decoder but the audit's own makes pixels of a hostile file.
    picture = decode(data, PictureSize(side, side), limits)
    if picture.pixels is None:
        return picture
    width, height = _fitted(data, side)
    return Shrunk(_data_uri(picture.pixels, width, height, room), width, height)


def _fitted(data: bytes, side: int) -> tuple[int, int]:
    """Width and height of a picture that was decoded, no longer than `side`; square where they are unknown."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            # TIFF excepted: Pillow has turned its size already.
            lying = picture.format != "TIFF" and picture.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # Pillow's plugins raise nearly anything on hostile files
        return side, side
    if lying:
        width, height = height, width
    scale = min(1.0, side / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def _data_uri(pixels: np.ndarray, width: int, height: int, room: int) -> str:
    """Squashed pixels, uint8 [H, W, 3], as a JPEG of their true shape that fits into `room` bytes if any does."""
    picture, content = Image.fromarray(pixels).resize((width, height)), b""
    for quality in _QUALITIES:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True)
        content = out.getvalue()
        if len(content) <= room:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
