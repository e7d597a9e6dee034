"""Real files, made in memory: four coloured quarters, so that colours and orientation can be read off the pixels."""

import builtins
import gzip
import hashlib
import io
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import GifImagePlugin, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from hs.pictures.decoding import Picture, PictureLimits, PictureSize, PictureStatus, Within, decode
from hs.pictures.formats import DECODED

RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)
QUARTERS = (RED, GREEN, BLUE, YELLOW)
GREYS = (0, 85, 170, 255)
SIZE = PictureSize(height=24, width=32)
LIMITS = PictureLimits()
AVIF_TOO = PictureLimits(formats=("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF"))
ORIENTATION = 0x0112


def quartered(colours: tuple = QUARTERS, mode: str = "RGB", width: int = 64, height: int = 48) -> Image.Image:
    """A picture with these colours top left, top right, bottom left and bottom right."""
    picture = Image.new(mode, (width, height))
    for at, colour in enumerate(colours):
        left, top = at % 2 * (width // 2), at // 2 * (height // 2)
        picture.paste(colour, (left, top, left + width // 2, top + height // 2))
    return picture


def deep(values: tuple, dtype: str) -> Image.Image:
    return Image.fromarray(np.array(values, dtype).reshape(2, 2).repeat(24, 0).repeat(32, 1))


def paletted() -> Image.Image:
    picture = quartered((0, 1, 2, 3), "P")
    picture.putpalette([value for colour in QUARTERS for value in colour])
    return picture


def noise() -> Image.Image:
    """Pixels that do not compress, so that a cut nearly anywhere takes some of them."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))


def photo(width: int, height: int) -> Image.Image:
    """Smooth shades with some grain, as a camera sees them."""
    across, down = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 4, height))
    shades = np.stack([np.sin(across + down), np.cos(across), np.sin(down * 2)], axis=-1) * 100 + 128
    grain = np.random.default_rng(2).normal(0, 8, shades.shape)
    return Image.fromarray((shades + grain).clip(0, 255).astype(np.uint8))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def adobe_ycck() -> bytes:
    """A YCCK JPEG of the four quarters: Pillow writes CMYK, so YCC is stored as CMY, and the Adobe marker patched."""
    inks = [Image.new("RGB", (1, 1), tuple(255 - value for value in colour)) for colour in QUARTERS]
    luma = [ink.convert("YCbCr").getpixel((0, 0)) for ink in inks]
    stored = quartered(tuple((*(255 - value for value in ycc), 0) for ycc in luma), "CMYK")
    return saved(stored, "JPEG", quality=95).replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2")


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, before: bytes = b"") -> bytes:
    """A PNG of any size on paper, with hardly any pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + png_chunk(b"IDAT", zlib.compress(b"")) + png_chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    return saved(quartered(), "JPEG").replace(struct.pack(">HH", 48, 64), struct.pack(">HH", height, width))


def gif_of(width: int, height: int, frame: tuple[int, int] | None = None) -> bytes:
    """A GIF whose first frame is to be cleared away: Pillow makes room for it as it opens the file."""
    frame_width, frame_height = frame or (width, height)
    screen = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(range(6))
    return screen + b"!\xf9\4\x08\0\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0) + b"\2\0;"


def tiff_with_shared_tags() -> bytes:
    """A megabyte that 400 tags claim for each of them."""
    entries = b"".join(struct.pack("<HHLL", 40_000 + at, 7, 1_000_000, 8) for at in range(400))
    return struct.pack("<2sHL", b"II", 42, 1_000_008) + bytes(1_000_000) + struct.pack("<H", 400) + entries + bytes(4)


def tiff_with_a_tag_beyond_its_end() -> bytes:
    tiff = saved(quartered(), "TIFF", software="x" * 40)
    entry = struct.pack("<HHL", 305, 2, 41)
    at = tiff.index(entry) + len(entry)
    return tiff[:at] + struct.pack("<L", 10**9) + tiff[at + 4 :]


def archive(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(name, "content")
    return file.getvalue()


def quarters_of(picture: Picture) -> list[tuple[int, ...]]:
    """The colours in the middle of the quarters."""
    assert picture.status is PictureStatus.OK, picture
    height, width, _ = picture.pixels.shape
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return [tuple(picture.pixels[row, column].tolist()) for row in rows for column in columns]


def assert_quarters(picture: Picture, colours: tuple, within: int = 0) -> None:
    expected = [(colour,) * 3 if isinstance(colour, int) else colour for colour in colours]
    seen = quarters_of(picture)
    assert np.abs(np.subtract(seen, expected)).max() <= within, seen


ON_WHITE = (RED, WHITE, (127, 127, 255), YELLOW)  # where GREEN is transparent and BLUE half so
TRANSPARENT = tuple((*colour, alpha) for colour, alpha in zip(QUARTERS, (255, 0, 128, 255), strict=True))
INKS = tuple((*(255 - value for value in colour), 0) for colour in QUARTERS)
SIXTEEN_BITS = tuple(grey * 257 for grey in GREYS)
THIRDS = (0, 1 / 3, 2 / 3, 1)


@pytest.mark.parametrize(
    ("file", "colours", "within"),
    [
        pytest.param(saved(quartered(), "JPEG", quality=95), QUARTERS, 3, id="JPEG"),
        pytest.param(saved(quartered(), "JPEG", quality=95, progressive=True), QUARTERS, 3, id="progressive JPEG"),
        pytest.param(saved(quartered(GREYS, "L"), "JPEG", quality=95), GREYS, 3, id="grey JPEG"),
        pytest.param(
            saved(quartered(INKS, "CMYK"), "JPEG", quality=95), QUARTERS, 3, id="CMYK JPEG, inverted by Adobe"
        ),
        pytest.param(adobe_ycck(), QUARTERS, 4, id="YCCK JPEG"),
        pytest.param(saved(quartered(), "PNG"), QUARTERS, 0, id="PNG"),
        pytest.param(saved(quartered((0, 255, 255, 0), "1"), "PNG"), (0, 255, 255, 0), 0, id="1-bit PNG"),
        pytest.param(saved(quartered(GREYS, "L"), "PNG"), GREYS, 0, id="grey PNG"),
        pytest.param(saved(quartered(GREYS, "L"), "PNG", transparency=85), (0, 255, 170, 255), 0, id="one grey clear"),
        pytest.param(saved(deep(SIXTEEN_BITS, "<u2"), "PNG"), GREYS, 0, id="16-bit grey PNG"),
        pytest.param(saved(paletted(), "PNG"), QUARTERS, 0, id="palette PNG"),
        pytest.param(
            saved(paletted(), "PNG", transparency=1), (RED, WHITE, BLUE, YELLOW), 0, id="one palette entry clear"
        ),
        pytest.param(saved(paletted(), "PNG", transparency=b"\xff\0\x80\xff"), ON_WHITE, 0, id="clear palette PNG"),
        pytest.param(
            saved(quartered(), "PNG", transparency=GREEN), (RED, WHITE, BLUE, YELLOW), 0, id="one colour clear"
        ),
        pytest.param(saved(quartered(TRANSPARENT, "RGBA"), "PNG"), ON_WHITE, 0, id="RGBA PNG"),
        pytest.param(
            saved(quartered(((0, 255), (85, 0), (0, 128), (255, 255)), "LA"), "PNG"), (0, 255, 127, 255), 0, id="LA"
        ),
        pytest.param(saved(quartered(), "WEBP", lossless=True), QUARTERS, 0, id="WEBP"),
        pytest.param(saved(quartered(TRANSPARENT, "RGBA"), "WEBP", lossless=True), ON_WHITE, 0, id="RGBA WEBP"),
        pytest.param(saved(quartered(), "BMP"), QUARTERS, 0, id="BMP"),
        pytest.param(saved(quartered((0, 255, 255, 0), "1"), "BMP"), (0, 255, 255, 0), 0, id="1-bit BMP"),
        pytest.param(saved(paletted(), "BMP"), QUARTERS, 0, id="palette BMP"),
        pytest.param(saved(paletted(), "GIF"), QUARTERS, 0, id="GIF"),
        pytest.param(saved(paletted(), "GIF", transparency=1), (RED, WHITE, BLUE, YELLOW), 0, id="clear GIF"),
        pytest.param(saved(quartered(), "TIFF"), QUARTERS, 0, id="TIFF"),
        pytest.param(saved(quartered(), "TIFF", compression="tiff_lzw"), QUARTERS, 0, id="LZW TIFF"),
        pytest.param(saved(quartered(), "TIFF", big_tiff=True), QUARTERS, 0, id="BigTIFF"),
        pytest.param(saved(quartered(INKS, "CMYK"), "TIFF"), QUARTERS, 0, id="CMYK TIFF"),
        pytest.param(saved(quartered().convert("LAB"), "TIFF"), QUARTERS, 25, id="LAB TIFF"),
        pytest.param(saved(paletted().convert("PA"), "TIFF"), QUARTERS, 0, id="PA TIFF"),
        pytest.param(saved(deep(SIXTEEN_BITS, "<u2"), "TIFF"), GREYS, 0, id="16-bit TIFF"),
        pytest.param(saved(deep(SIXTEEN_BITS, ">u2"), "TIFF"), GREYS, 0, id="16-bit big-endian TIFF"),
        pytest.param(saved(deep(SIXTEEN_BITS, "<i4"), "TIFF"), GREYS, 0, id="16 bits in a 32-bit TIFF"),
        pytest.param(saved(deep((-1, 10**6, 2 * 10**6, 3 * 10**6), "<i4"), "TIFF"), GREYS, 0, id="32-bit TIFF"),
        pytest.param(saved(deep(THIRDS, "<f4"), "TIFF"), GREYS, 0, id="float TIFF to 1"),
        pytest.param(saved(deep(GREYS, "<f4"), "TIFF"), GREYS, 0, id="float TIFF to 255"),
        pytest.param(saved(deep((np.nan, 85, 170, 255), "<f4"), "TIFF"), GREYS, 0, id="float TIFF with a hole"),
    ],
)
def test_a_picture_of_any_mode_has_the_colours_that_were_drawn(file, colours, within):
    picture = decode(file, SIZE, LIMITS)

    assert_quarters(picture, colours, within)
    assert picture.pixels.shape == (24, 32, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", DECODED)
def test_every_format_that_has_a_plugin_is_decoded_where_it_is_allowed(kind):
    picture = decode(saved(quartered(), kind, quality=95), SIZE, PictureLimits(formats=(kind,)))

    assert_quarters(picture, QUARTERS, within=12)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "LZW TIFF"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    # What the file has in its quarters, of 0 top left, 1 top right, 2 bottom left, 3 bottom right as seen (EXIF 2.32).
    [(1, "0123"), (2, "1032"), (3, "3210"), (4, "2301"), (5, "0213"), (6, "1302"), (7, "3120"), (8, "2031")],
)
def test_a_picture_is_turned_upright(kind, orientation, stored):
    lying = quartered(tuple(QUARTERS[int(corner)] for corner in stored))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {
        "JPEG": {"exif": exif, "quality": 95},
        "PNG": {"exif": exif},
        "WEBP": {"exif": exif, "lossless": True},
        "TIFF": {"tiffinfo": {ORIENTATION: orientation}},
        "LZW TIFF": {"tiffinfo": {ORIENTATION: orientation}, "compression": "tiff_lzw"},
    }

    file = saved(lying, kind.split()[-1], **options[kind])
    picture, fitted = (decode(file, size, LIMITS) for size in (SIZE, Within(height=32, width=32)))

    assert picture.pixels.shape == (24, 32, 3)
    assert_quarters(picture, QUARTERS, within=3)
    assert fitted.pixels.shape == ((24, 32, 3) if orientation < 5 else (32, 24, 3))
    assert_quarters(fitted, QUARTERS, within=3)


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(64, 48, (48, 64, 3)), (200, 50, (25, 100, 3)), (3000, 4, (8, 100, 3))]
)
def test_a_picture_that_is_fitted_keeps_its_shape_and_is_not_blown_up(width, height, shape):
    assert decode(saved(photo(width, height), "JPEG"), Within(100, 100), LIMITS).pixels.shape == shape


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(saved(quartered(), "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), id="JPEG"),
        pytest.param(
            saved(quartered(), "JPEG", quality=95, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3"), id="cut EXIF"
        ),
        pytest.param(saved(quartered(), "PNG", exif=b"Exif\0\0nonsense"), id="PNG"),
        pytest.param(saved(quartered(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), id="WEBP"),
        pytest.param(
            saved(quartered(), "JPEG", quality=95).replace(b"\xff\xdb", b"\xff\xe2\0\x0fMPF\0nonsense!\xff\xdb", 1),
            id="MPO",
        ),
    ],
)
def test_broken_metadata_costs_neither_the_picture_nor_a_warning(file):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        picture = decode(file, SIZE, LIMITS)

    assert_quarters(picture, QUARTERS, within=3)
    assert warned == []


def test_a_png_may_keep_its_exif_behind_its_pixels():
    lying = saved(quartered((GREEN, YELLOW, RED, BLUE)), "PNG")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    behind = lying[:-12] + png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + lying[-12:]

    picture = decode(behind, SIZE, LIMITS)

    assert_quarters(picture, QUARTERS)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_tiff_with_a_tag_beyond_its_end_is_still_read():
    file = tiff_with_a_tag_beyond_its_end()

    picture = decode(file, SIZE, LIMITS)

    assert_quarters(picture, QUARTERS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_the_first_frame_or_page_counts(kind):
    file = saved(quartered(), kind, save_all=True, append_images=[quartered((BLUE, BLUE, BLUE, BLUE))])

    picture = decode(file, SIZE, PictureLimits(formats=("JPEG", "PNG", "WEBP", "GIF", "TIFF")))

    assert_quarters(picture, QUARTERS, within=20)


@pytest.mark.parametrize(
    ("file", "detail"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "MP4"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "MOV"),
        (b"\n<!DOCTYPE html><title>404 Not Found</title>", "HTML"),
        (b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">', "HTML"),
        (b'<?xml version="1.0"?><!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "XML"),
        (archive("photo.jpg"), "ZIP"),
        (archive("[Content_Types].xml"), "OFFICE"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64), "OFFICE"),
        (gzip.compress(b"picture", mtime=0), "GZIP"),
        (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "BASE64"),
        ("사진 없음".encode(), "text"),
        (b"BMW M3, front door", "text"),
        (bytes(4096), "all zero bytes"),
        (b"\1\2\3\4", "unknown"),
        (b"\xff\xd8", "unknown"),
    ],
)
def test_what_is_not_a_picture_is_called_by_its_name(file, detail):
    picture = decode(file, SIZE, LIMITS)

    assert (picture.status, picture.detail) == (PictureStatus.NOT_A_PICTURE, detail)


@pytest.mark.parametrize(
    ("file", "detail"),
    [
        (saved(quartered(), "AVIF"), "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "AVIF"),
        (saved(quartered(), "JPEG2000"), "JPEG2000"),
        (saved(quartered(), "ICO"), "ICO"),
        (saved(quartered(), "PPM"), "PPM"),
        (saved(quartered(), "GIF"), "GIF"),
        *((saved(quartered().resize((64, 64)), kind), kind) for kind in ("TGA", "ICNS", "PCX", "DDS", "SGI")),
        *((saved(quartered((0, 255, 255, 0), "1"), kind), kind) for kind in ("XBM",)),
        (saved(quartered(), "ICO").replace(b"\0\0\1\0", b"\0\0\2\0", 1), "CUR"),
    ],
)
def test_a_format_outside_the_limits_is_refused(file, detail):
    picture = decode(file, SIZE, PictureLimits(formats=("JPEG", "PNG")))

    assert (picture.status, picture.detail) == (PictureStatus.FORMAT_NOT_ALLOWED, detail)


TEXT_BOMB = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000)))


@pytest.mark.parametrize(
    ("file", "status", "detail"),
    [
        pytest.param(b"", "empty", None, id="empty"),
        pytest.param(bytes(20_000_001), "too_many_bytes", "20000001 bytes", id="too many bytes"),
        pytest.param(png_of(20_000, 12_000), "too_many_pixels", "240000000 pixels", id="beyond Pillow's error"),
        pytest.param(png_of(12_000, 10_000), "too_many_pixels", "120000000 pixels", id="beyond Pillow's warning"),
        pytest.param(png_of(10_000, 6_000), "too_many_pixels", "60000000 pixels", id="beyond our own limit"),
        pytest.param(png_of(2, 70_000), "too_many_pixels", "a side of 70000 pixels", id="a thread"),
        pytest.param(jpeg_of(12_000, 10_000), "too_many_pixels", "120000000 pixels", id="JPEG, in spite of its draft"),
        pytest.param(gif_of(12_000, 10_000), "too_many_pixels", "120000000 pixels", id="GIF with a frame to clear"),
        pytest.param(png_of(8, 8, before=TEXT_BOMB), "truncated", "PNG", id="zip bomb in a PNG's text: passed over"),
        pytest.param(gif_of(2, 2, frame=(13_300, 13_300)), "too_many_pixels", "176890000 pixels", id="a GIF's frame"),
        pytest.param(
            tiff_with_shared_tags(),
            "too_costly",
            "more than 4019256 bytes of tags",
            id="TIFF tags that share their bytes",
        ),
        pytest.param(
            saved(quartered(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
            "unsupported",
            "JPEG: 12 bits a sample",
            id="12-bit JPEG",
        ),
        pytest.param(
            saved(noise(), "PNG").replace(b"IDAT\x78", b"IDAT\x79"), "decoder_error", "OSError", id="overwritten PNG"
        ),
    ],
)
def test_each_reason_is_told_without_a_warning(file, status, detail):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        picture = decode(file, SIZE, LIMITS)

    assert (picture.status, picture.detail) == (status, detail)
    assert picture.pixels is None
    assert warned == []


NOISE = {
    "JPEG": saved(noise(), "JPEG"),
    "progressive JPEG": saved(noise(), "JPEG", progressive=True),
    "PNG": saved(noise(), "PNG"),
    "WEBP": saved(noise(), "WEBP"),
    "BMP": saved(noise(), "BMP"),
    "GIF": saved(noise(), "GIF"),
    "TIFF": saved(noise(), "TIFF"),
    "LZW TIFF": saved(noise(), "TIFF", compression="tiff_lzw"),
    "JPEG TIFF": saved(noise(), "TIFF", compression="jpeg"),
}


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_file_cut_short_is_truncated_wherever_it_is_cut(kind, share):
    file = NOISE[kind]

    picture = decode(file[: max(18, int(share * len(file)))], SIZE, LIMITS)

    assert (picture.status, picture.detail) == (PictureStatus.TRUNCATED, kind.split()[-1])


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=500, deadline=None)
@given(
    file=st.sampled_from([*NOISE.values(), saved(noise(), "AVIF")]),
    kept=st.floats(0, 1) | st.just(1.0),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True) | st.floats(0, 0.02), st.integers(1, 255)), max_size=20),
)
def test_no_bytes_make_it_raise(file, kept, flips):
    damaged = bytearray(file)
    for place, flip in flips:
        damaged[int(place * len(damaged))] ^= flip

    picture = decode(bytes(damaged[: int(kept * len(damaged))]), SIZE, AVIF_TOO)

    assert (picture.status is PictureStatus.OK) == (picture.pixels is not None)
    if picture.pixels is not None:
        assert picture.pixels.shape == (24, 32, 3)
        assert picture.pixels.dtype == np.uint8


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_no_picture(data):
    picture = decode(data, SIZE, LIMITS)

    assert picture.pixels is None


@pytest.mark.parametrize("resize_filter", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_the_named_filter_squashes_straight_to_the_target(resize_filter):
    drawn = photo(90, 70)

    picture = decode(saved(drawn, "PNG"), PictureSize(24, 32, resize_filter), LIMITS)

    assert np.array_equal(picture.pixels, drawn.resize((32, 24), Image.Resampling[resize_filter.upper()]))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_draft_at_twice_the_target_stays_near_the_whole_picture(mode):
    file = saved(photo(1600, 1200).convert(mode), "JPEG", quality=90)

    drafted = decode(file, PictureSize(224, 224, draft_multiple=2), LIMITS).pixels.astype(int)
    whole = decode(file, PictureSize(224, 224, draft_multiple=0), LIMITS).pixels.astype(int)

    assert 0 < np.abs(drafted - whole).mean() < 1
    assert np.abs(drafted - whole).max() < 12


def test_a_draft_knows_that_the_picture_lies_on_its_side():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    file = saved(photo(1600, 400), "JPEG", exif=exif)  # 800 x 200 is twice the target only if the target is turned

    drafted = decode(file, PictureSize(height=400, width=100, draft_multiple=2), LIMITS)
    whole = decode(file, PictureSize(height=400, width=100, draft_multiple=0), LIMITS)

    assert drafted.pixels.shape == (400, 100, 3)
    assert not np.array_equal(drafted.pixels, whole.pixels)


def test_part_of_a_buffer_is_read_like_bytes():
    file = NOISE["JPEG"]
    buffer = memoryview(b"before" + file + b"after")[6:-5]

    picture = decode(buffer, SIZE, LIMITS)

    assert np.array_equal(picture.pixels, decode(file, SIZE, LIMITS).pixels)


def test_no_setting_of_the_process_is_changed():
    def process_settings():
        return [
            Image.MAX_IMAGE_PIXELS,
            Image.WARN_POSSIBLE_FORMATS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            ImageFile.MAXBLOCK,
            PngImagePlugin.MAX_TEXT_CHUNK,
            GifImagePlugin.LOADING_STRATEGY,
            TiffImagePlugin.READ_LIBTIFF,
            list(warnings.filters),
        ]

    before = process_settings()

    for file in [*NOISE.values(), png_of(12_000, 10_000), NOISE["JPEG"][:500]]:
        decode(file, SIZE, LIMITS)

    assert process_settings() == before


def test_nothing_is_opened_by_its_path(monkeypatch):
    monkeypatch.setattr(builtins, "open", None)

    statuses = {decode(file, SIZE, LIMITS).status for file in NOISE.values()}

    assert statuses == {PictureStatus.OK}


IN_A_FRESH_INTERPRETER = """
import hashlib, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from hs.pictures.decoding import PictureLimits, PictureSize, decode

files = [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
together = threading.Barrier(8)

def digest(file):
    return hashlib.sha256(decode(file, PictureSize(24, 32), PictureLimits()).pixels).hexdigest()

def digests(number):
    together.wait()
    order = files[number:] + files[:number]
    seen = {file: digest(file) for file in order}
    return [seen[file] for file in files]

with ThreadPoolExecutor(8) as threads:
    print(*{" ".join(found) for found in threads.map(digests, range(8))}, sep="\\n")
"""


def test_threads_that_start_together_see_the_same_pixels(tmp_path):
    for at, file in enumerate(NOISE.values()):
        (tmp_path / f"{at}").write_bytes(file)

    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_INTERPRETER, tmp_path], cwd=root, capture_output=True, text=True, check=True
    )

    alone = [hashlib.sha256(decode(file, SIZE, LIMITS).pixels).hexdigest() for file in NOISE.values()]
    assert done.stdout.split("\n") == [" ".join(alone), ""]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PictureSize(0, 224), "height must be a whole number of at least 1, got 0"),
        (lambda: PictureSize(224, 224.0), "width must be a whole number of at least 1, got 224.0"),
        (lambda: PictureSize(224, 224, "cubic"), "resize_filter must be one of .*bicubic.*, got 'cubic'"),
        (
            lambda: PictureSize(224, 224, draft_multiple=-1),
            "draft_multiple must be a whole number of at least 0, got -1",
        ),
        (lambda: PictureLimits(formats=("JPG",)), r"formats must be some of JPEG, .*, got \('JPG',\)"),
        (lambda: PictureLimits(formats=()), r"formats must be some of JPEG, .*, got \(\)"),
        (lambda: PictureLimits(max_bytes=0), "max_bytes must be a whole number of at least 1, got 0"),
        (lambda: PictureLimits(max_pixels=0), "max_pixels must be a whole number of at least 1, got 0"),
        (lambda: Picture(PictureStatus.OK), "pixels must come with status ok"),
        (lambda: Picture(PictureStatus.EMPTY, np.zeros((1, 1, 3), np.uint8)), "with no other, got empty"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
