"""Windows bitmaps whose channels stand where masks say, which Pillow reads for a few masks only.

Source: BITMAPINFOHEADER and BITMAPV4HEADER of the Windows GDI reference.
"""

import struct

import numpy as np
from PIL import Image

_BITFIELDS = 3
_HEADER_WITH_ALPHA = 56
_ROWS = 64


def read_bitfields(bitmap: bytes) -> Image.Image | None:
    """The picture in RGB or RGBA; None where it is no such bitmap.

    Raises:
        ValueError: if it ends too early.
        struct.error: if even its header does.
    """
    header, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", bitmap, 14)
    if header < 40 or compression != _BITFIELDS or bits not in (16, 32) or width < 1 or not height:
        return None
    masks = struct.unpack_from("<4I", bitmap, 54)  # behind a short header, and inside of a long one
    (offset,) = struct.unpack_from("<I", bitmap, 10)
    stride = (width * bits + 31) // 32 * 4
    rows = np.frombuffer(bitmap, np.uint8, stride * abs(height), offset).reshape(abs(height), stride)
    words = rows[:, : width * bits // 8].view(f"<u{bits // 8}")
    channels = masks if header >= _HEADER_WITH_ALPHA and masks[3] else masks[:3]
    pixels = np.empty((*words.shape, len(channels)), np.uint8)
    for top in range(0, len(words), _ROWS):  # of all at once the sums alone take 200 MB
        for channel, mask in enumerate(channels):
            pixels[top : top + _ROWS, :, channel] = _channel(words[top : top + _ROWS], mask)
    return Image.fromarray(pixels if height < 0 else pixels[::-1])


def _channel(words: np.ndarray, mask: int) -> np.ndarray:
    """One channel as uint8 [H, W], of however many bits the mask has; black where it has none."""
    if not mask:
        return np.zeros(words.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    return ((((words & mask) >> shift).astype(np.uint64) * 255 + most // 2) // most).astype(np.uint8)
