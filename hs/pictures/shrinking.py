"""Pictures as pages show them: small JPEGs as data URIs, made by the one careful decoder."""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hs.pictures.decoding import Picture, PictureLimits, Within, decode

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
    picture = decode(data, Within(side, side), limits)
    if picture.pixels is None:
        return picture
    height, width, _ = picture.pixels.shape
    return Shrunk(_data_uri(picture.pixels, room), width, height)


def _data_uri(pixels: np.ndarray, room: int) -> str:
    """Pixels, uint8 [H, W, 3], as a JPEG that fits into `room` bytes if any does."""
    picture, content = Image.fromarray(pixels), b""
    for quality in _QUALITIES:
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True)
        content = out.getvalue()
        if len(content) <= room:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
