"""What a picture asks of whoever decodes it, found by a walk over its container before a single pixel is.

A file of some kilobytes can ask for hours: 75 bytes of a progressive JPEG are another pass over all of its pixels. No
bound here comes near what cameras, scanners and editors write; each says what reaching it would cost.
"""

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

from hs.pictures.tiff_directory import demands

_JPEG_SCANS = 100  # of 50 megapixels 0.03 s each, and honest progressive files have about ten
_JPEG_SCANNED_PIXELS = 5_000_000_000  # the same for larger pictures, where the configuration allows them
_JPEG_SEGMENTS = 20_000  # of metadata; Pillow takes 0.4 us and 70 bytes for each
_JPEG_FILLING = 1_000_000  # bytes between segments; Pillow looks at each, 0.5 us
_JPEG_EXIF_SEGMENTS = 100  # Pillow puts them together one by one: 19 MB in pieces of 10 bytes take hours
_GIF_EXTENSIONS = 1_000  # the same with comments
_GIF_BYTES_BEFORE_PIXELS = 2_000_000  # of extensions, and of bytes that belong to nothing
_PNG_WORDS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
_PNG_CHUNKS = 200_000  # 2 us each; 20 MB in chunks of 8 kB, as libpng writes, are 2,500
_BMP_RLE_PIXELS = 10_000_000  # Pillow unpacks run lengths in Python, 0.1 us a pixel
_TIFF_TAGS = 1_000  # libtiff tells of each that it does not know; GeoTIFF and DNG have a hundred
_TIFF_TIMES = 4  # what tags, strips and tiles may add up to: bytes of the file, pixels of the picture
_TIFF_TILE_PIXELS = 4_000_000  # a small picture in one tile of a usual size
_TIFF_PIECES = 300_000  # strips or tiles, 7 us each; the highest picture has 65,535 rows in four planes

_MARKER = re.compile(rb"\xff[\x01-\xfe]")  # as libjpeg looks for one: what stands before it is passed over
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # restart markers belong to the scan
_GIF_BLOCK = re.compile(rb"[!,;]")  # as Pillow looks for one: what else stands there is passed over
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOS, _EOI, _DNL, _APP1 = 0xDA, 0xD9, 0xDC, 0xE1


class TooCostly(Exception):
    """What was found, for people: `4006 scans`."""


class Unsupported(Exception):
    """A kind of its format that is not decoded here: `12 bits a sample`."""


def check_work(kind: str, data: bytes, times: int = 1) -> bytes:
    """Refuses what would cost too much, or what Pillow is known to get wrong.

    Args:
        kind: format, as `kind_of` names it.
        data: the file.
        times: how often it is going to be decoded.

    Returns:
        The file as the decoder takes it: a JPEG that tells its height behind its pixels (DNL) gets it in front of them,
        and a PNG is without text and colour profile, which Pillow unpacks and takes for settings.

    Raises:
        TooCostly: with what was found.
        Unsupported: with what it is.
        ValueError, KeyError, struct.error: where the directory of a TIFF is broken.
    """
    if kind == "TIFF":
        _walk_tiff(data)
    with suppress(struct.error, IndexError):  # it ends too early: Pillow stops at the same place, and says why
        if kind == "JPEG":
            return _walk_jpeg(data, times)
        if kind == "PNG":
            return _walk_png(data)
        if walk := _WALKS.get(kind):
            walk(data)
    return data


def _walk_jpeg(data: bytes, times: int) -> bytes:
    scans, exif, pixels, height_at, height = 0, 0, 0, 0, 0
    for segments, (code, at) in enumerate(_segments(data), start=1):
        _refuse_above(_JPEG_SEGMENTS, segments, "segments")
        if code == _APP1 and data.startswith(b"Exif\0\0", at + 2):
            exif += 1
            _refuse_above(_JPEG_EXIF_SEGMENTS, exif, "segments of EXIF")
        elif code in _FRAMES:
            height, width = _check_frame(code, data, at)
            height_at, pixels = at + 3, max(pixels, height * width)
        elif code == _DNL and not height:
            (height,) = struct.unpack_from(">H", data, at + 2)
            return data[:height_at] + height.to_bytes(2, "big") + data[height_at + 2 :]
        elif code == _SOS:
            scans += 1
            _refuse_above(_JPEG_SCANS // times, scans, "scans")
            _refuse_above(_JPEG_SCANNED_PIXELS // times, scans * pixels, "pixels in all scans")
    return data


def jpeg_scans(data: bytes) -> int:
    """How many scans a JPEG has: of several, libjpeg holds all coefficients. Raises struct.error where it is cut."""
    return sum(code == _SOS for code, _ in _segments(data))


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Code and place of the length of each segment of a JPEG up to its end."""
    at, search, filling = 2, _MARKER, 0
    while marker := search.search(data, at):
        if search is _MARKER:
            filling += marker.start() - at
            _refuse_above(_JPEG_FILLING, filling, "bytes between segments")
        code, at, search = marker[0][1], marker.end(), _MARKER
        if code == _EOI:
            return
        if code not in _ALONE:
            (length,) = struct.unpack_from(">H", data, at)
            yield code, at
            at += length
            search = _AFTER_SCAN if code == _SOS else _MARKER


def _check_frame(code: int, data: bytes, at: int) -> tuple[int, int]:
    """Height and width of a frame that libjpeg decodes and Pillow takes."""
    bits, height, width = struct.unpack_from(">BHH", data, at + 2)
    if code in (0xC3, 0xC7, 0xCB, 0xCF):
        raise Unsupported("lossless JPEG")
    if code >= 0xC9:
        raise Unsupported("arithmetic coding")
    if code >= 0xC5:
        raise Unsupported("hierarchical JPEG")
    if bits != 8:
        raise Unsupported(f"{bits} bits a sample")
    return height, width


def gif_size(data: bytes) -> tuple[int, int]:
    """Width and height of a GIF's screen, which Pillow lets grow to its first frame. Raises struct.error."""
    width, height = struct.unpack_from("<HH", data, 6)
    with suppress(struct.error, IndexError, TooCostly):  # without a frame nothing grows
        left, top, frame_width, frame_height = struct.unpack_from("<4H", data, _walk_gif(data) + 1)
        return max(width, left + frame_width), max(height, top + frame_height)
    return width, height


def _walk_gif(data: bytes) -> int:
    """Where the first frame begins, or the file ends."""
    flags = data[10]
    begin = at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    extensions = 0
    while (block := _GIF_BLOCK.search(data, at)) and block[0] == b"!":
        at, extensions = block.end() + 1, extensions + 1
        while size := data[at]:
            at += size + 1
            _refuse_above(_GIF_BYTES_BEFORE_PIXELS, at - begin, "bytes before the pixels")
        at += 1
        _refuse_above(_GIF_EXTENSIONS, extensions, "extensions")
    end = block.start() if block and block[0] == b"," else len(data)
    _refuse_above(_GIF_BYTES_BEFORE_PIXELS, end - begin, "bytes before the pixels")
    return end


def _walk_png(data: bytes) -> bytes:
    at, chunks = 8, 0
    kept, kept_from = [], 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + length + 12
        if name in _PNG_WORDS and end <= len(data):
            kept.append(data[kept_from:at])
            kept_from = end
        at = end
        chunks += 1
        _refuse_above(_PNG_CHUNKS, chunks, "chunks")
    return b"".join((*kept, data[kept_from:])) if kept else data


def _walk_bmp(data: bytes) -> None:
    if int.from_bytes(data[14:18], "little") < 40:
        return
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression == 2:
        raise Unsupported("RLE4 compression")  # Pillow takes the number of pixels for one of bytes
    if compression == 1:
        _refuse_above(_BMP_RLE_PIXELS, abs(width * height), "pixels in run lengths")


def _walk_tiff(data: bytes) -> None:
    asked = demands(data, most_tags=_TIFF_TAGS)
    _refuse_above(_TIFF_TAGS, asked.tags, "tags")
    _refuse_above(_TIFF_TIMES * len(data), asked.tag_bytes, "bytes of tags")
    _refuse_above(_TIFF_PIECES, asked.pieces, "strips or tiles")
    _refuse_above(_TIFF_TIMES * len(data), asked.stored_bytes, "bytes of strips or tiles")
    _refuse_above(max(_TIFF_TIMES * asked.pixels, _TIFF_TILE_PIXELS), asked.tile_pixels, "pixels in tiles")


def _refuse_above(bound: int, found: int, what: str) -> None:
    if found > bound:
        raise TooCostly(f"more than {bound} {what}")


_WALKS: dict[str, Callable[[bytes], object]] = {
    "GIF": _walk_gif,
    "BMP": _walk_bmp,
}
