"""Pictures that ask for minutes or gigabytes, are misread by Pillow, or look broken and are not."""

import io
import struct
import threading
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs.pictures.room import Room
from hs.pictures.work import TooCostly

SIZE = PictureSize(height=24, width=32)
LIMITS = PictureLimits()
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
MEGABYTES = 18_000_000  # just under what a file may have


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def quartered(width: int = 64, height: int = 48) -> Image.Image:
    picture = Image.new("RGB", (width, height))
    for at, colour in enumerate(QUARTERS):
        left, top = at % 2 * (width // 2), at // 2 * (height // 2)
        picture.paste(colour, (left, top, left + width // 2, top + height // 2))
    return picture


def corners(data: bytes) -> list[tuple[int, ...]]:
    """The colours in the middle of the quarters."""
    picture = decode(data, SIZE, LIMITS)
    assert picture.pixels is not None, picture
    return [tuple(picture.pixels[row, column].tolist()) for row in (6, 18) for column in (8, 24)]


def near(seen: list[tuple[int, ...]], wanted: tuple[tuple[int, ...], ...], within: int = 4) -> bool:
    return bool(np.abs(np.subtract(seen, wanted)).max() <= within)


def jpeg_with(segment: bytes) -> bytes:
    """A small JPEG with megabytes of one segment."""
    jpeg = saved(Image.new("L", (64, 64)), "JPEG")
    return jpeg[:2] + segment * (MEGABYTES // len(segment)) + jpeg[2:]


def jpeg_of_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan is repeated: 48 megapixels, and some 75 bytes each."""
    jpeg = saved(Image.new("L", (8000, 6000), 128), "JPEG", progressive=True, quality=50)
    return jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * scans + b"\xff\xd9"


def gif_with(extensions: bytes) -> bytes:
    gif = saved(Image.new("P", (64, 64)), "GIF")
    at = gif.index(b",")
    return gif[:at] + extensions + gif[at:]


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of_chunks() -> bytes:
    png = saved(Image.new("L", (64, 64)), "PNG")
    at = png.index(b"IDAT") - 4
    return png[:at] + png_chunk(b"abCd", b"") * (MEGABYTES // 12) + png[at:]


def bmp(width: int, height: int, bits: int, compression: int, rest: bytes, masks: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 1 << bits & 0x1FF, 0)
    palette = bytes(part for at in range(1 << bits) for part in (at, 255 - at, at, 0)) if bits <= 8 else b""
    offset = 14 + len(header) + len(masks) + len(palette)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, offset) + header + masks + palette + rest


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A TIFF of entries (tag, type, count, value); the data begin where the directory ends."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + data


def tiff_of_tiles(width: int, height: int, tile_width: int, tile_height: int, stored: int, padding: int = 0) -> bytes:
    """Tiles that all claim the same bytes."""
    count = -(-width // tile_width) * -(-height // tile_height)
    offsets = 8 + 2 + 12 * 10 + 4
    data = offsets + 8 * count
    arrays = struct.pack(f"<{2 * count}I", *[data] * count, *[stored] * count)
    packed = zlib.compress(bytes(tile_width * tile_height), 9).ljust(stored, b"\0")
    return tiff(
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 4, 1, tile_width), (323, 4, 1, tile_height),
        (324, 4, count, offsets), (325, 4, count, offsets + 4 * count),
        data=arrays + packed + bytes(padding),
    )  # fmt: skip


COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "a progressive JPEG of 400 scans": (lambda: jpeg_of_scans(400), "more than 100 scans"),
    "a JPEG of small comments": (lambda: jpeg_with(b"\xff\xfe\0\2"), "more than 20000 segments"),
    "a JPEG of small EXIF": (lambda: jpeg_with(b"\xff\xe1\0\x0aExif\0\0xx"), "more than 100 segments of EXIF"),
    "a JPEG of large EXIF": (
        lambda: jpeg_with(b"\xff\xe1\xff\xffExif\0\0".ljust(65537, b"x")),
        "more than 100 segments of EXIF",
    ),
    "a GIF of one long comment": (
        lambda: gif_with(b"!\xfe" + (b"\xff" + b"a" * 255) * (MEGABYTES // 256) + b"\0"),
        "more than 2000000 bytes before the pixels",
    ),
    "a GIF of tiny blocks": (
        lambda: gif_with(b"!\xff" + b"\1a" * (MEGABYTES // 2) + b"\0"),
        "more than 2000000 bytes before the pixels",
    ),
    "a GIF of many comments": (lambda: gif_with(b"!\xfe\1a\0" * (MEGABYTES // 5)), "more than 1000 extensions"),
    "a GIF of comments with something between": (
        lambda: gif_with(b"x!\xfe\1a\0" * (MEGABYTES // 6)),
        "more than 1000 extensions",
    ),
    "a PNG of a million chunks": (png_of_chunks, "more than 200000 chunks"),
    "a bitmap of short run lengths": (
        lambda: bmp(7000, 7000, 8, 1, b"\1\5\0\0" * 7000),
        "more than 10000000 pixels in run lengths",
    ),
    "a TIFF of tiles that share their bytes": (
        lambda: tiff_of_tiles(1440, 1440, 32, 32, MEGABYTES // 10),
        "bytes of strips or tiles",
    ),
    "a TIFF of tiles wider than itself": (
        lambda: tiff_of_tiles(16, 35_312, 65_520, 16, 1200, 1_000_000),
        "pixels in tiles",
    ),
    "a TIFF of 4,000 unknown tags": (
        lambda: tiff(*((40_000 + at, 4, 1, 1) for at in range(4000)), data=bytes(4096)),
        "more than 1000 tags",
    ),
    "a WEBP of 50 megapixels": (
        lambda: saved(Image.new("RGB", (8000, 6200)), "WEBP", quality=1, method=0),
        "793 MB of memory to decode",
    ),
}


@pytest.mark.parametrize("what", COSTLY)
def test_what_would_cost_too_much_is_refused_at_once_with_what_was_found(what):
    make, found = COSTLY[what]
    data = make()
    started = time.process_time()

    picture = decode(data, SIZE, LIMITS)

    assert picture.status is PictureStatus.TOO_COSTLY
    assert found in (picture.detail or "")
    assert time.process_time() - started < 1


def tiff_of_floats() -> bytes:
    """Four by four pixels of three 32-bit floats."""
    data = 8 + 2 + 12 * 9 + 4
    three = struct.pack("<3H", 32, 32, 32) + struct.pack("<3H", 3, 3, 3)
    return tiff(
        (256, 4, 1, 4), (257, 4, 1, 4), (258, 3, 3, data), (262, 3, 1, 2), (273, 4, 1, data + 12), (277, 3, 1, 3),
        (278, 4, 1, 4), (279, 4, 1, 192), (339, 3, 3, data + 6),
        data=three + struct.pack("<48f", *[0.5] * 48),
    )  # fmt: skip


UNSUPPORTED = {
    "TIFF: a kind of pixels that is not read": tiff_of_floats(),
    "JPEG: 12 bits a sample": saved(quartered(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "JPEG: arithmetic coding": saved(quartered(), "JPEG").replace(b"\xff\xc0", b"\xff\xc9", 1),
    "JPEG: lossless JPEG": saved(quartered(), "JPEG").replace(b"\xff\xc0", b"\xff\xc3", 1),
    "BMP: RLE4 compression": bmp(4, 1, 4, 2, b"\4\x12\0\1"),
}


@pytest.mark.parametrize("detail", UNSUPPORTED)
def test_a_kind_that_is_not_read_is_called_by_its_name(detail):
    picture = decode(UNSUPPORTED[detail], SIZE, LIMITS)

    assert (picture.status, picture.detail) == (PictureStatus.UNSUPPORTED, detail)


def test_a_grey_of_few_bits_is_transparent_where_the_png_says_so():
    two_bits = bytes([0b00_01_10_11]) * 1
    rows = b"".join(b"\0" + two_bits for _ in range(4))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 2, 0, 0, 0, 0))
    clear = png_chunk(b"tRNS", struct.pack(">H", 1))
    png = b"\x89PNG\r\n\x1a\n" + header + clear + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")

    pixels = decode(png, PictureSize(4, 4), LIMITS).pixels

    assert pixels is not None
    assert pixels[0, :, 0].tolist() == [0, 255, 170, 255]


@pytest.mark.parametrize("shade", [0, 30_000])
def test_a_16_bit_grey_is_white_where_it_is_transparent(shade):
    grey = Image.fromarray(np.array([[shade, 65_535], [shade, 20_000]], "<u2").repeat(24, 0).repeat(32, 1))

    seen = corners(saved(grey, "PNG", transparency=shade))

    assert near(seen, (WHITE, WHITE, WHITE, (78, 78, 78)))


def test_a_16_bit_colour_is_white_where_it_is_transparent():
    row = b"".join(struct.pack(">HHH", *colour) for colour in ((65_535, 0, 0), (0, 65_535, 0)) for _ in range(32))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0))
    clear = png_chunk(b"tRNS", struct.pack(">HHH", 65_535, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress((b"\0" + row) * 48))

    seen = corners(b"\x89PNG\r\n\x1a\n" + header + clear + pixels + png_chunk(b"IEND", b""))

    assert near(seen, (WHITE, (0, 255, 0), WHITE, (0, 255, 0)))


def test_a_gif_is_white_where_its_first_frame_does_not_reach():
    gif = bytearray(saved(Image.new("P", (32, 24)), "GIF"))
    gif[6:10] = struct.pack("<HH", 64, 48)

    assert near(corners(bytes(gif)), (BLACK, WHITE, WHITE, WHITE))


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_only_its_end_is_read(missing, progressive):
    whole = saved(quartered(), "JPEG", quality=95, progressive=progressive)

    assert corners(whole[:-missing]) == corners(whole)


@pytest.mark.parametrize("missing", [4, 8, 40])
def test_a_jpeg_that_lacks_pixels_is_not(missing):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8))

    picture = decode(saved(noise, "JPEG")[:-missing], SIZE, LIMITS)

    assert picture.status is PictureStatus.TRUNCATED


def test_a_jpeg_that_tells_its_height_behind_its_pixels_is_read():
    jpeg = saved(quartered(), "JPEG", quality=95)
    frame = jpeg.index(b"\xff\xc0") + 5
    told_late = jpeg[:frame] + b"\0\0" + jpeg[frame + 2 : -2] + b"\xff\xdc\0\4" + struct.pack(">H", 48) + jpeg[-2:]

    assert corners(told_late) == corners(jpeg)


@pytest.mark.parametrize(
    ("bits", "masks"),
    [(32, (0x3FF00000, 0xFFC00, 0x3FF)), (32, (0xFF, 0xFF00, 0xFF0000)), (16, (0xF00, 0xF0, 0xF))],
)
def test_a_bitmap_is_read_wherever_its_channels_stand(bits, masks):
    def word(colour: tuple[int, ...]) -> int:
        return sum(mask for mask, part in zip(masks, colour, strict=True) if part)

    rows = [[QUARTERS[0]] * 32 + [QUARTERS[1]] * 32] * 24 + [[QUARTERS[2]] * 32 + [QUARTERS[3]] * 32] * 24
    pixels = np.array([[word(colour) for colour in row] for row in rows[::-1]], f"<u{bits // 8}").tobytes()

    assert corners(bmp(64, 48, bits, 3, pixels, struct.pack("<3I", *masks))) == list(QUARTERS)


def test_a_tiff_with_a_tag_beyond_its_end_that_nobody_needs_is_not_called_truncated():
    good = saved(quartered(), "TIFF", software="x" * 40)
    entry = struct.pack("<HHL", 305, 2, 41)
    at = good.index(entry) + len(entry)
    broken = good[:at] + struct.pack("<L", 10**9) + good[at + 4 :]
    predictor = broken.replace(struct.pack("<HHLHH", 262, 3, 1, 2, 0), struct.pack("<HHLHH", 262, 3, 1, 77, 0))

    assert decode(predictor, SIZE, LIMITS).status is PictureStatus.UNSUPPORTED


def test_pictures_that_together_need_too_much_wait_for_each_other():
    room, inside, most_inside = Room(), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most_inside
        with room.of(40, most=100):
            with lock:
                inside += 1
                most_inside = max(most_inside, inside)
            arrived.wait()
            with lock:
                inside -= 1

    arrived = threading.Barrier(2)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most_inside == 2


def test_a_picture_for_which_there_is_never_room_is_refused():
    with pytest.raises(TooCostly, match="2 MB of memory"), Room().of(2_000_000, most=1_000_000):
        pass
