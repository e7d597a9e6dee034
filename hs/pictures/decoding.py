"""Bytes → pixels: the one decode function, for training and for the audit alike.

    bytes ──► what is it? ──► open ──► size by header ──► draft ──► resize ──► turn upright ──► uint8 [H, W, 3]
                  │            │             │                        │
            not_a_picture  truncated  too_many_pixels           decoder_error

Nothing but the bytes decides the result: no process-wide setting of Pillow is changed, no path is opened, and any
number of threads may decode at once. Colour profiles are not applied.
"""

import io
import re
import struct
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from hs.pictures.formats import DECODED, DEFAULT_FORMATS, PICTURES, kind_of
from hs.pictures.tiff_directory import check_tags, end_of_tiff, orientation


class PictureStatus(StrEnum):
    """What became of a picture.

    `format_not_allowed` is a picture of a format outside `PictureLimits.formats`; `not_a_picture` is all else that
    Pillow cannot open, be it a PDF or a phone's HEIC; `truncated` ends before its own header says that it does.
    """

    OK = "ok"
    EMPTY = "empty"
    NOT_A_PICTURE = "not_a_picture"
    FORMAT_NOT_ALLOWED = "format_not_allowed"
    TRUNCATED = "truncated"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    DECODER_ERROR = "decoder_error"


@dataclass(frozen=True)
class PictureLimits:
    """What is decoded at all.

    Args:
        formats: Any of JPEG (MPO counts as one), PNG, WEBP, BMP, GIF, TIFF and AVIF.
        max_bytes: Most bytes of one file.
        max_pixels: Most pixels of one picture, by its header: JPEG's draft does not lower them.

    Raises:
        ValueError: A format that is not decoded here, or a limit below 1.
    """

    formats: tuple[str, ...] = DEFAULT_FORMATS
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        if not self.formats or not set(self.formats) <= DECODED.keys():
            raise ValueError(f"formats must be some of {', '.join(DECODED)}, got {self.formats!r}")
        _check_whole("max_bytes", self.max_bytes, at_least=1)
        _check_whole("max_pixels", self.max_pixels, at_least=1)


@dataclass(frozen=True)
class PictureSize:
    """The size that pictures are squashed to, and how.

    Args:
        height: In pixels.
        width: In pixels.
        resize_filter: nearest, box, bilinear, hamming, bicubic or lanczos.
        draft_multiple: A large JPEG is decoded at a half, a quarter or an eighth of its size where that leaves at least
            this many times the target on both sides; 0 always decodes it in full.

    Raises:
        ValueError: A side below 1, an unknown filter, or a negative multiple.
    """

    height: int
    width: int
    resize_filter: str = "bilinear"
    draft_multiple: int = 2

    def __post_init__(self) -> None:
        _check_whole("height", self.height, at_least=1)
        _check_whole("width", self.width, at_least=1)
        _check_whole("draft_multiple", self.draft_multiple, at_least=0)
        if self.resize_filter not in _FILTERS:
            raise ValueError(f"resize_filter must be one of {', '.join(_FILTERS)}, got {self.resize_filter!r}")


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, or why there is none.

    Args:
        status: What became of it.
        pixels: uint8 [H, W, 3] RGB, read-only, where the status is `ok` and only there.
        detail: What the bytes are (`PDF`), how much is too much (`240000000 pixels`), which format is cut short, or the
            class of the decoder's exception. Never any of the bytes.

    Raises:
        ValueError: Pixels without `ok`, or `ok` without pixels.
    """

    status: PictureStatus
    pixels: np.ndarray | None = None
    detail: str | None = None

    def __post_init__(self) -> None:
        if (self.status is PictureStatus.OK) != (self.pixels is not None):
            raise ValueError(f"pixels must come with status ok and with no other, got {self.status}")


def decode(data: bytes | memoryview, size: PictureSize, limits: PictureLimits) -> Picture:
    """Turns the bytes of a picture into pixels, or says why it cannot: no bytes make it raise.

    Takes the first frame or page, lays it on white where it is transparent, brings it to 8 bits, squashes it to the
    target without a crop, and turns it upright by its EXIF orientation. Broken EXIF costs the turn, not the picture.

    Args:
        data: One whole file.
        size: Height, width and filter of the result.
        limits: What to decode at all.

    Returns:
        The picture, with pixels uint8 [size.height, size.width, 3] where its status is `ok`.
    """
    length = memoryview(data).nbytes
    if length == 0:
        return Picture(PictureStatus.EMPTY)
    if length > limits.max_bytes:
        return Picture(PictureStatus.TOO_MANY_BYTES, detail=f"{length} bytes")
    file = io.BytesIO(data)
    kind = kind_of(file.getvalue())
    if kind not in limits.formats:
        refused = PictureStatus.FORMAT_NOT_ALLOWED if kind in PICTURES else PictureStatus.NOT_A_PICTURE
        return Picture(refused, detail=kind)
    try:
        return Picture(PictureStatus.OK, np.asarray(_decoded(file, kind, size, limits)))
    except Image.DecompressionBombError as error:
        return Picture(PictureStatus.TOO_MANY_PIXELS, detail=str(error))
    except Exception as error:  # Pillow's plugins raise nearly anything on hostile files, AttributeError among it
        if _is_cut_short(file, kind, error):
            return Picture(PictureStatus.TRUNCATED, detail=kind)
        return Picture(PictureStatus.DECODER_ERROR, detail=type(error).__name__)


_FILTERS = {resampling.name.lower(): resampling for resampling in Image.Resampling}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)  # the orientations that swap height and width


def _decoded(file: io.BytesIO, kind: str, size: PictureSize, limits: PictureLimits) -> Image.Image:
    """The picture in a file, upright, in RGB and of the target's size. Raises nearly anything."""
    picture = _opened(file, kind, limits)
    if kind == "PNG":  # its EXIF may stand behind the pixels
        picture.load()
    turn = orientation(file.getvalue() if kind == "TIFF" else _exif(picture))
    target = (size.height, size.width) if turn in _LYING else (size.width, size.height)
    if size.draft_multiple:
        picture.draft(None, (target[0] * size.draft_multiple, target[1] * size.draft_multiple))
    resized = _resized(picture, target, _FILTERS[size.resize_filter])
    return resized.transpose(_TURNS[turn]) if turn in _TURNS else resized


def _opened(file: io.BytesIO, kind: str, limits: PictureLimits) -> ImageFile:
    """The picture with its header read and found harmless, no pixel decoded yet."""
    if kind == "GIF":  # Pillow makes room for the first frame, and warns if that is large, as it opens the file
        _check_pixels(struct.unpack("<HH", file.getvalue()[6:10]), limits)
    if kind == "TIFF":
        check_tags(file.getvalue())
    picture = DECODED[kind](file)
    _check_pixels(picture.size, limits)
    return picture


_MAX_SIDE = 65_535  # JPEG's own; 50,000,000 x 1 has few enough pixels, but resizing it takes gigabytes of weights


def _check_pixels(size: tuple[int, ...], limits: PictureLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise Image.DecompressionBombError(f"{width * height} pixels")
    if max(size) > _MAX_SIDE:
        raise Image.DecompressionBombError(f"a side of {max(size)} pixels")


def _check_whole(name: str, value: int, at_least: int) -> None:
    if not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}")


def _resized(picture: Image.Image, target: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    """A picture of any mode as RGB of the target's width and height."""
    picture.load()
    if picture.mode in ("I;16", "I;16B", "I", "F"):
        return _resized_deep_grey(picture, target, resampling)
    if picture.has_transparency_data:
        picture = _on_white(picture)
    elif picture.mode not in ("RGB", "L"):
        picture = picture.convert("RGB")
    resized = picture.resize(target, resampling)
    return resized if resized.mode == "RGB" else resized.convert("RGB")


def _resized_deep_grey(picture: Image.Image, target: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    """Grey of more than 8 bits as RGB; Pillow's own conversion cuts off at 255, which turns nearly all of it white.

    White is 65535 for 16 bits, and for numbers without such a bound the least of 1, 255 and 65535 that holds them all.
    """
    sixteen_bits = picture.mode.startswith("I;16")
    if picture.mode == "I;16B":  # which Pillow resizes as if its bytes were swapped
        picture = picture.convert("I")
    if picture.mode == "F":  # a hole would spread into its neighbours
        picture = Image.fromarray(np.nan_to_num(np.asarray(picture), posinf=0, neginf=0))
    white = 65_535.0 if sixteen_bits else _least_white(float(np.max(picture.getextrema())))
    grey = np.asarray(picture.resize(target, resampling), np.float32) * (255 / white)
    return Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).convert("RGB")


def _least_white(brightest: float) -> float:
    return next((white for white in (1.0, 255.0, 65_535.0) if brightest <= white), brightest)


def _on_white(picture: Image.Image) -> Image.Image:
    seen = picture.convert("RGBA")
    canvas = Image.new("RGB", seen.size, "white")
    canvas.paste(seen, mask=seen)
    return canvas


_SAYS_TRUNCATED = re.compile(r"truncated|not enough image data", re.IGNORECASE)
_SHORT_READS = (struct.error, IndexError, EOFError)


def _is_cut_short(file: io.BytesIO, kind: str, error: Exception) -> bool:
    """Whether a file that failed ends too early, as far as the exception and the lengths in its header tell."""
    length = len(file.getvalue())
    if _SAYS_TRUNCATED.search(str(error)):
        return True
    if kind == "WEBP":  # libwebp gives no reason
        return int.from_bytes(file.getvalue()[4:8], "little") + 8 > length
    if kind == "TIFF":  # libtiff gives a number
        return end_of_tiff(file.getvalue()) > length
    short_read = isinstance(error.__cause__ or error, _SHORT_READS) or "broken PNG file (chunk" in str(error)
    return short_read and file.tell() >= length


def _exif(picture: Image.Image) -> bytes:
    exif = picture.info.get("exif")
    if not isinstance(exif, bytes):  # a PNG's text may go by that name too
        return b""
    return exif.removeprefix(b"Exif\x00\x00")
