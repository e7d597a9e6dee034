"""Bytes → pixels: the one decode function, for training and for the audit alike.

    bytes ──► what is it? ──► what does it ask for? ──► size ──► draft ──► resize ──► upright ──► uint8 [H, W, 3]
                  │                │                     │                   │
            not_a_picture     too_costly          too_many_pixels      decoder_error
                              unsupported         too_costly           truncated

Nothing but the bytes decides the result: no process-wide setting of Pillow is changed, no path is opened, and any
number of threads may decode at once; pictures that together would need too much memory wait for each other. Colour
profiles are not applied.
"""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import GifImageFile

from hs.pictures.bmp_bitfields import read_bitfields
from hs.pictures.formats import DECODED, DEFAULT_FORMATS, PICTURES, kind_of
from hs.pictures.room import ROOM
from hs.pictures.tiff_directory import end_of_tiff, orientation, piece_bytes
from hs.pictures.work import TooCostly, Unsupported, check_work, gif_size, jpeg_scans


class PictureStatus(StrEnum):
    """What became of a picture.

    `format_not_allowed` is a picture of a format outside `PictureLimits.formats`; `not_a_picture` is all else that
    Pillow cannot open, be it a PDF or a phone's HEIC; `unsupported` is a rare kind of an allowed format, such as a JPEG
    of 12 bits; `truncated` ends before its own header says that it does; `too_costly` would take minutes or gigabytes.
    """

    OK = "ok"
    EMPTY = "empty"
    NOT_A_PICTURE = "not_a_picture"
    FORMAT_NOT_ALLOWED = "format_not_allowed"
    TRUNCATED = "truncated"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_COSTLY = "too_costly"
    UNSUPPORTED = "unsupported"
    DECODER_ERROR = "decoder_error"


@dataclass(frozen=True)
class PictureLimits:
    """What is decoded at all.

    Args:
        formats: Any of JPEG (MPO counts as one), PNG, WEBP, BMP, GIF, TIFF and AVIF.
        max_bytes: Most bytes of one file.
        max_pixels: Most pixels of one picture, by its header: JPEG's draft does not lower them.
        max_decoding_bytes: Most memory, estimated, for all pictures that a process decodes at once.
        max_decoding_s: Most processor time of one picture. `decode` cannot end itself: who calls it in threads, as the
            audit does, gives up those that take longer.

    Raises:
        ValueError: A format that is not decoded here, or a limit below 1 (of time: 0 or less).
    """

    formats: tuple[str, ...] = DEFAULT_FORMATS
    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    max_decoding_bytes: int = 600_000_000
    max_decoding_s: float = 10

    def __post_init__(self) -> None:
        if not self.formats or not set(self.formats) <= DECODED.keys():
            raise ValueError(f"formats must be some of {', '.join(DECODED)}, got {self.formats!r}")
        _check_whole("max_bytes", self.max_bytes, at_least=1)
        _check_whole("max_pixels", self.max_pixels, at_least=1)
        _check_whole("max_decoding_bytes", self.max_decoding_bytes, at_least=1)
        if not self.max_decoding_s > 0:
            raise ValueError(f"max_decoding_s must be more than 0, got {self.max_decoding_s!r}")


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

    def _target(self, box: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """What a picture of some width and height becomes; the box is ours, lying where the picture lies."""
        return box


class Within(PictureSize):
    """A box that pictures are fitted into in their own shape; none is made larger than it is, or less than 8 pixels."""

    def _target(self, box: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        scale = min(1.0, box[0] / size[0], box[1] / size[1])
        return max(_LEAST_SIDE, round(size[0] * scale)), max(_LEAST_SIDE, round(size[1] * scale))


class Original(NamedTuple):
    """What a picture was before it was decoded: its format, and its size in pixels as it lies in the file."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture, or why there is none.

    Args:
        status: What became of it.
        pixels: uint8 [H, W, 3] RGB, read-only, where the status is `ok` and only there.
        detail: What the bytes are (`PDF`), how much is too much (`240000000 pixels`), which format is cut short, or the
            class of the decoder's exception. Never any of the bytes.
        original: What it was, where the status is `ok`.

    Raises:
        ValueError: Pixels without `ok`, or `ok` without pixels.
    """

    status: PictureStatus
    pixels: np.ndarray | None = None
    detail: str | None = None
    original: Original | None = None

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
        The picture where its status is `ok`, with pixels uint8 [size.height, size.width, 3], or fewer by `Within`.
    """
    length = memoryview(data).nbytes
    if length == 0:
        return Picture(PictureStatus.EMPTY)
    if length > limits.max_bytes:
        return Picture(PictureStatus.TOO_MANY_BYTES, detail=f"{length} bytes")
    encoded = bytes(data)
    kind = kind_of(encoded)
    if kind not in limits.formats:
        refused = PictureStatus.FORMAT_NOT_ALLOWED if kind in PICTURES else PictureStatus.NOT_A_PICTURE
        return Picture(refused, detail=kind)
    try:
        pixels, (width, height) = _decoded(io.BytesIO(check_work(kind, encoded)), kind, size, limits)
        return Picture(PictureStatus.OK, np.asarray(pixels), original=Original(kind, width, height))
    except Image.DecompressionBombError as error:
        return Picture(PictureStatus.TOO_MANY_PIXELS, detail=str(error))
    except TooCostly as error:
        return Picture(PictureStatus.TOO_COSTLY, detail=str(error))
    except Unsupported as error:
        return Picture(PictureStatus.UNSUPPORTED, detail=f"{kind}: {error}")
    except Exception as error:  # Pillow's plugins raise nearly anything on hostile files, AttributeError among it
        return _failed(encoded, kind, error, size, limits)


def _failed(encoded: bytes, kind: str, error: Exception, size: PictureSize, limits: PictureLimits) -> Picture:
    if "unknown pixel mode" in str(error):  # Pillow's words for bits, samples and kinds that it has no reader for
        return Picture(PictureStatus.UNSUPPORTED, detail=f"{kind}: a kind of pixels that is not read")
    if not _is_cut_short(encoded, kind, error):
        return Picture(PictureStatus.DECODER_ERROR, detail=_why(error))
    if kind == "JPEG" and (whole := _without_end(encoded, size, limits)):
        return whole
    return Picture(PictureStatus.TRUNCATED, detail=kind)


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
_DEEP_GREY = ("I;16", "I;16B", "I", "F")
_STRIP_PIXELS = 1 << 20

# Memory in bytes a pixel, as measured at 50 megapixels: what Pillow holds, and what its libraries hold beside that.
_HELD = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 6}  # 4 in all other modes
_CANVAS = 4  # for what is laid on white, or is neither RGB nor grey
_BESIDE = {"WEBP": 12, "AVIF": 12}
_COEFFICIENTS = 6  # of a progressive JPEG, whatever the draft: three of 16 bits


def _decoded(
    file: io.BytesIO, kind: str, size: PictureSize, limits: PictureLimits
) -> tuple[Image.Image, tuple[int, int]]:
    """The picture in a file, upright, in RGB and of the target's size, and its own size. Raises nearly anything."""
    if kind == "GIF":  # Pillow makes room for the first frame, and warns if that is large, as it opens the file
        _check_pixels(gif_size(file.getvalue()), limits)
    picture = _opened(file, kind)
    _check_pixels(original := picture.size, limits)
    with ROOM.of(_bytes_needed(picture, kind, file.getvalue()), limits.max_decoding_bytes):
        if kind == "PNG":  # its EXIF may stand behind the pixels
            picture.load()
        turn = orientation(file.getvalue() if kind == "TIFF" else _exif(picture))
        box = (size.height, size.width) if turn in _LYING else (size.width, size.height)
        if size.draft_multiple:
            picture.draft(None, (box[0] * size.draft_multiple, box[1] * size.draft_multiple))
        frame = _first_frame(picture, file, kind)
        resized = _resized(frame, size._target(box, frame.size), _FILTERS[size.resize_filter])
    return (resized.transpose(_TURNS[turn]) if turn in _TURNS else resized), original


def _opened(file: io.BytesIO, kind: str) -> Image.Image:
    try:
        return DECODED[kind](file)
    except OSError:
        if kind == "BMP" and (bitmap := read_bitfields(file.getvalue())):
            return bitmap
        raise


def _bytes_needed(picture: Image.Image, kind: str, data: bytes) -> int:
    """An estimate of the memory that decoding takes, from above."""
    pixels = picture.width * picture.height
    each = _HELD.get(picture.mode, 4) + _BESIDE.get(kind, 0)
    if kind == "JPEG" and (picture.info.get("progressive") or (pixels > _STRIP_PIXELS and jpeg_scans(data) > 1)):
        each += _COEFFICIENTS
    laid_out = picture.has_transparency_data or picture.mode not in ("RGB", "L", *_DEEP_GREY)
    canvas = pixels * _CANVAS if laid_out else 0
    return pixels * each + max(canvas, piece_bytes(data) if kind == "TIFF" else 0)  # one after the other


def _first_frame(picture: Image.Image, file: io.BytesIO, kind: str) -> Image.Image:
    """The picture with its pixels; where Pillow misreads what is transparent, put right."""
    picture.load()
    if kind == "PNG":
        _scale_transparency(picture, bits=file.getvalue()[24])
    box = picture.dispose_extent if isinstance(picture, GifImageFile) else None
    if box is None or box == (0, 0, *picture.size):
        return picture
    screen = Image.new("RGB", picture.size, "white")  # Pillow fills it with the first colour
    screen.paste(_in_rgb(picture.crop(box)), box[:2])
    return screen


def _scale_transparency(picture: Image.Image, bits: int) -> None:
    """A PNG tells its transparent colour in as many bits as its pixels have; Pillow brings those alone to 8."""
    colour = picture.info.get("transparency")
    if isinstance(colour, tuple) and bits == 16:
        picture.info["transparency"] = tuple(part >> 8 for part in colour)
    elif isinstance(colour, int) and picture.mode == "L" and bits < 8:
        picture.info["transparency"] = colour * 255 // (2**bits - 1)


_LEAST_SIDE = 8
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
    if picture.mode in _DEEP_GREY:
        return _resized_deep_grey(picture, target, resampling)
    if picture.has_transparency_data or picture.mode not in ("RGB", "L"):
        picture = _in_rgb(picture)
    resized = picture.resize(target, resampling)
    return resized if resized.mode == "RGB" else resized.convert("RGB")


def _in_rgb(picture: Image.Image) -> Image.Image:
    """A picture on white in RGB, strip by strip: a whole one would stand in memory three times."""
    transparent = picture.has_transparency_data
    canvas = Image.new("RGB", picture.size, "white")
    for box in _strips(picture):
        strip = picture.crop(box).convert("RGBA" if transparent else "RGB")
        canvas.paste(strip, box, mask=strip if transparent else None)
    return canvas


def _strips(picture: Image.Image) -> Iterator[tuple[int, int, int, int]]:
    rows = max(1, _STRIP_PIXELS // max(picture.width, 1))
    for top in range(0, picture.height, rows):
        yield 0, top, picture.width, min(top + rows, picture.height)


def _resized_deep_grey(picture: Image.Image, target: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    """Grey of more than 8 bits as RGB; Pillow's own conversion cuts off at 255, which turns nearly all of it white.

    White is 65535 for 16 bits, and for numbers without such a bound the least of 1, 255 and 65535 that holds them all.
    """
    sixteen_bits = picture.mode.startswith("I;16")
    if picture.mode == "I;16B":  # which Pillow resizes as if its bytes were swapped
        picture = picture.convert("I")
    transparent = picture.info.get("transparency")
    if picture.mode == "F" or isinstance(transparent, int):
        _fill_holes(picture, transparent)
    white = 65_535.0 if sixteen_bits else _least_white(float(np.max(picture.getextrema())))
    grey = np.asarray(picture.resize(target, resampling), np.float32) * (255 / white)
    return Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).convert("RGB")


def _fill_holes(picture: Image.Image, transparent: int | None) -> None:
    """What is no number becomes black, and what is transparent white: either would spread into its neighbours."""
    for box in _strips(picture):
        values = np.asarray(picture.crop(box))
        filled = values if values.dtype.kind != "f" else np.nan_to_num(values, posinf=0, neginf=0)
        if transparent is not None:
            filled = np.where(filled == transparent, np.array(65_535, filled.dtype), filled)
        picture.paste(Image.fromarray(filled), box)


def _least_white(brightest: float) -> float:
    return next((white for white in (1.0, 255.0, 65_535.0) if brightest <= white), brightest)


_SAYS_TRUNCATED = re.compile(r"truncated|not enough image data", re.IGNORECASE)
_SHORT_READS = (struct.error, IndexError, EOFError)
_FILLERS = (b"", b"\x55" * 4096, b"\xa6" * 4096)


def _is_cut_short(encoded: bytes, kind: str, error: Exception) -> bool:
    """Whether a file that failed ends too early, as far as the exception and the lengths in its header tell."""
    if _SAYS_TRUNCATED.search(str(error)):
        return True
    if kind == "WEBP":  # libwebp gives no reason
        return int.from_bytes(encoded[4:8], "little") + 8 > len(encoded)
    if kind == "TIFF":  # libtiff gives a number
        return end_of_tiff(encoded) > len(encoded)
    return isinstance(error.__cause__ or error, _SHORT_READS) or "broken PNG file (chunk" in str(error)


def _without_end(encoded: bytes, size: PictureSize, limits: PictureLimits) -> Picture | None:
    """The picture in a JPEG that lacks no more than its end marker; None where it lacks more.

    libjpeg fills what is missing with grey and says so to nobody. Behind the last block it passes over anything: so
    whatever stands before an end marker changes the pixels of a file that lacks more, and of no other.
    """
    kept = encoded.rstrip(b"\xff")
    try:
        check_work("JPEG", encoded, times=1 + len(_FILLERS))
        ends = [_decoded(io.BytesIO(kept + filler + b"\xff\xd9"), "JPEG", size, limits) for filler in _FILLERS]
    except Exception:  # as above
        return None
    pixels, *others = (np.asarray(picture) for picture, _ in ends)
    if not all(np.array_equal(pixels, other) for other in others):
        return None
    return Picture(PictureStatus.OK, pixels, original=Original("JPEG", *ends[0][1]))


def _why(error: Exception) -> str:
    """The class of a decoder's exception; what it says itself may hold bytes of the file."""
    return type(error).__name__


def _exif(picture: Image.Image) -> bytes:
    exif = picture.info.get("exif")
    if not isinstance(exif, bytes):  # a PNG's text may go by that name too
        return b""
    return exif.removeprefix(b"Exif\x00\x00")
