"""Pictures that ask for minutes or gigabytes, are misread by Pillow, or look broken and are not."""

import struct
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs.pictures.room import Room
from hs.pictures.work import TooCostly
from tests.hostile import COSTLY, QUARTERS, REFUSED, UNSUPPORTED, bmp, jpeg_of_scans, png_chunk, quartered, saved

SIZE = PictureSize(height=24, width=32)
LIMITS = PictureLimits()
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def corners(data: bytes) -> list[tuple[int, ...]]:
    """The colours in the middle of the quarters."""
    picture = decode(data, SIZE, LIMITS)
    assert picture.pixels is not None, picture
    return [tuple(picture.pixels[row, column].tolist()) for row in (6, 18) for column in (8, 24)]


def near(seen: list[tuple[int, ...]], wanted: tuple[tuple[int, ...], ...], within: int = 4) -> bool:
    return bool(np.abs(np.subtract(seen, wanted)).max() <= within)


@pytest.mark.parametrize("what", COSTLY)
def test_what_would_cost_too_much_is_refused_at_once_with_what_was_found(what):
    make, found = COSTLY[what]
    data = make()
    started = time.process_time()

    picture = decode(data, SIZE, LIMITS)

    assert picture.status is PictureStatus.TOO_COSTLY
    assert found in (picture.detail or "")
    assert time.process_time() - started < 1


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


def test_a_jpeg_of_many_scans_that_lacks_its_end_is_not_decoded_again_and_again():
    few, many = jpeg_of_scans(5, 64, 48), jpeg_of_scans(30, 64, 48)

    assert decode(many, SIZE, LIMITS).status is PictureStatus.OK
    assert decode(few[:-2], SIZE, LIMITS).status is PictureStatus.OK
    assert decode(many[:-2], SIZE, LIMITS).status is PictureStatus.TRUNCATED


def test_memory_for_all_coefficients_is_counted_wherever_a_jpeg_has_several_scans():
    one_colour = saved(Image.new("L", (1200, 1000), 100), "JPEG")
    frame, scan = one_colour.index(b"\xff\xc0"), one_colour.index(b"\xff\xda")
    colours = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 1000, 1200, 3) + bytes([1, 17, 0, 2, 17, 0, 3, 17, 0])
    scans = [b"\xff\xda\0\x08\1" + bytes([colour, 0, 0, 63, 0]) + one_colour[scan + 10 : -2] for colour in (1, 2, 3)]
    not_interleaved = one_colour[:frame] + colours + one_colour[frame + 13 : scan] + b"".join(scans) + b"\xff\xd9"

    assert decode(not_interleaved, SIZE, PictureLimits(max_decoding_bytes=12_000_000)).status is PictureStatus.OK
    assert decode(not_interleaved, SIZE, PictureLimits(max_decoding_bytes=11_999_999)).detail == (
        "12 MB of memory to decode"
    )


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000))),
        png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2_000_000))),
        png_chunk(b"tEXt", b"transparency\0\xff"),
        png_chunk(b"iTXt", b"exif\0\0\0\0\0x"),
    ],
)
def test_a_png_is_read_whatever_its_text_and_its_profile_are(chunk):
    png = saved(quartered(), "PNG")
    at = png.index(b"IDAT") - 4

    assert corners(png[:at] + chunk + png[at:]) == list(QUARTERS)


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


def test_a_large_bitmap_of_odd_channels_takes_little_more_memory_than_its_pixels():
    bitmap = bmp(2000, 2000, 16, 3, bytes(8_000_000), struct.pack("<3I", 0xF00, 0xF0, 0xF))
    tracemalloc.start()

    picture = decode(bitmap, SIZE, LIMITS)

    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert picture.status is PictureStatus.OK
    assert most_bytes < 40_000_000


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


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_broken_or_no_format_of_ours_is_refused_without_a_word_on_stderr(what, capfd):
    picture = decode(REFUSED[what](), SIZE, LIMITS)

    assert picture.status not in (PictureStatus.OK, PictureStatus.TOO_COSTLY)
    assert capfd.readouterr().err == ""
