"""Hostile files that the tests make: pictures that cost too much or are rare kinds, archives that lie or unpack.

A night of all of them is in tests/test_hostile_night.py.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.archives import RED, picture

MEGABYTES = 18_000_000  # just under what a file may have
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
ROWS = 12_345
PICTURE = picture(RED)
NOISE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


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


def jpeg_with(segment: bytes) -> bytes:
    """A small JPEG with megabytes of one segment."""
    jpeg = saved(Image.new("L", (64, 64)), "JPEG")
    return jpeg[:2] + segment * (MEGABYTES // len(segment)) + jpeg[2:]


def jpeg_of_scans(scans: int, width: int = 8000, height: int = 6000) -> bytes:
    """A progressive JPEG whose last scan is repeated, in some 75 bytes each."""
    jpeg = saved(Image.new("L", (width, height), 128), "JPEG", progressive=True, quality=50)
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


def tiff_of_tiles(
    width: int, height: int, tile_width: int, tile_height: int, stored: int, padding: int = 0, bits: int = 8
) -> bytes:
    """Tiles that all claim the same bytes."""
    count = -(-width // tile_width) * -(-height // tile_height)
    offsets = 8 + 2 + 12 * 11 + 4
    data = offsets + 8 * count
    arrays = struct.pack(f"<{2 * count}I", *[data] * count, *[stored] * count)
    packed = zlib.compress(bytes(min(tile_width * tile_height, 1 << 22)), 9).ljust(stored, b"\0")
    return tiff(
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
        (322, 4, 1, tile_width), (323, 4, 1, tile_height),
        (324, 4, count, offsets), (325, 4, count, offsets + 4 * count), (339, 3, 1, 3 if bits == 32 else 1),
        data=arrays + packed + bytes(padding),
    )  # fmt: skip


def tiff_of_strips(strips: int) -> bytes:
    """Strips of one byte each, the same one, far more than the picture has rows."""
    data = 8 + 2 + 12 * 8 + 4
    return tiff(
        (256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, data), (278, 4, 1, 1), (279, 4, strips, data + 4 * strips),
        data=struct.pack("<I", 8) * strips + struct.pack("<I", 1) * strips,
    )  # fmt: skip


COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "a progressive JPEG of 400 scans": (lambda: jpeg_of_scans(400), "more than 100 scans"),
    "a JPEG of small comments": (lambda: jpeg_with(b"\xff\xfe\0\2"), "more than 20000 segments"),
    "a JPEG of small EXIF": (lambda: jpeg_with(b"\xff\xe1\0\x0aExif\0\0xx"), "more than 100 segments of EXIF"),
    "a JPEG of large EXIF": (
        lambda: jpeg_with(b"\xff\xe1\xff\xffExif\0\0".ljust(65537, b"x")),
        "more than 100 segments of EXIF",
    ),
    "a JPEG of filling bytes": (lambda: jpeg_with(b"\xff"), "more than 1000000 bytes between segments"),
    "a JPEG of anything between its segments": (
        lambda: jpeg_with(b"\xff\0"),
        "more than 1000000 bytes between segments",
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
    "a TIFF of two million strips": (lambda: tiff_of_strips(2_000_000), "more than 300000 strips or tiles"),
    "a TIFF of one tile of 180 megapixels": (
        lambda: tiff_of_tiles(6800, 6800, 13_424, 13_424, 200_000, bits=32),
        "905 MB of memory to decode",
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


def gif_on_a_larger_screen() -> bytes:
    gif = saved(Image.new("P", (32, 24)), "GIF")
    return gif[:6] + struct.pack("<HH", 64, 48) + gif[10:]


def jpeg_of_late_height() -> bytes:
    """Its height stands behind its pixels."""
    jpeg = saved(quartered(), "JPEG", quality=95)
    frame = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:frame] + b"\0\0" + jpeg[frame + 2 : -2] + b"\xff\xdc\0\4" + struct.pack(">H", 48) + jpeg[-2:]


def png_with_text(bytes_of_text: int) -> bytes:
    png = saved(quartered(), "PNG")
    at = png.index(b"IDAT") - 4
    return png[:at] + png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(bytes_of_text), 9)) + png[at:]


def large_grey(kind: str, mode: str, **options: object) -> bytes:
    """49 megapixels in some kilobytes."""
    return saved(Image.new(mode, (7000, 7000)), kind, **options)


READ: dict[str, Callable[[], bytes]] = {
    "a GIF on a larger screen": gif_on_a_larger_screen,
    "a JPEG without its end": lambda: saved(quartered(), "JPEG")[:-2],
    "a JPEG of late height": jpeg_of_late_height,
    "a 16-bit grey with a transparent shade": lambda: saved(Image.new("I;16", (8, 8), 300), "PNG", transparency=300),
    "a bitmap of odd channels": lambda: bmp(8, 8, 16, 3, bytes(128), struct.pack("<3I", 0xF00, 0xF0, 0xF)),
    "a PNG of much text": lambda: png_with_text(200_000_000),
    "49 megapixels of RGBA in a PNG": lambda: large_grey("PNG", "RGBA", compress_level=1),
    "49 megapixels of floats in a TIFF": lambda: large_grey("TIFF", "F", compression="tiff_lzw"),
    "49 megapixels in a GIF": lambda: large_grey("GIF", "P", transparency=0),
    "37 megapixels in a WEBP": lambda: saved(Image.new("RGB", (8000, 4600)), "WEBP", lossless=True, method=0),
    "a progressive JPEG of 40 scans": lambda: jpeg_of_scans(30),
}
REFUSED: dict[str, Callable[[], bytes]] = {
    "TGA": lambda: saved(quartered(), "TGA"),
    "ICNS": lambda: saved(Image.new("RGBA", (32, 32)), "ICNS"),
    "CUR": lambda: b"\0\0\2\0\1\0" + bytes(100),
    "a JPEG cut short": lambda: saved(Image.fromarray(NOISE), "JPEG")[:-200],
    "a JPEG overwritten": lambda: saved(Image.fromarray(NOISE), "JPEG")[:700] + b"\xff\xc4" * 50,
    "a TIFF overwritten": lambda: saved(Image.fromarray(NOISE), "TIFF", compression="tiff_lzw")[:-300] + bytes(300),
    "a PNG overwritten": lambda: saved(Image.fromarray(NOISE), "PNG")[:200] + bytes(3000),
    "65500 x 65500 pixels": lambda: bmp(65_500, 65_500, 1, 0, b"\0"),
}


def archive(path: Path, rows: int, row_group_size: int | None = None, **columns: pa.Array) -> Path:
    """A file of plain columns; those given stand in place of good ones."""
    good = {
        "declaration_id": pa.array([f"D{row}" for row in range(rows)]),
        "declared_hs_code": pa.array(["870829"] * rows),
        "images": pa.array([PICTURE] * rows, pa.binary()),
    }
    pq.write_table(pa.table(good | columns), path, row_group_size=row_group_size, compression="zstd")
    return path


def with_row_counts(path: Path, written: bytes, times: int = -1) -> Path:
    """Puts another number in place of 12,345 wherever the footer counts rows or values."""
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = data[start:].replace(b"\x16\xf2\xc0\x01", b"\x16" + written, times)  # an i64, the field after the last one
    assert footer != data[start:]
    path.write_bytes(data[:start] + footer)
    return path


def once(value: bytes | str, rows: int, kind: pa.DataType) -> pa.Array:
    """One value for all rows, of which a file has one copy."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], kind))


UNPACKS: dict[str, Callable[[int], dict[str, pa.Array]]] = {
    "pictures of 100 MB": lambda rows: {"images": once(b"\0" * 100_000_000, rows, pa.large_binary())},
    "pages of zeros": lambda rows: {
        "images": pa.array([b"\0" * 20_000_000] * 14 + [PICTURE] * (rows - 14), pa.binary())
    },
    "ids of 50 MB": lambda rows: {"declaration_id": once("x" * 50_000_000, rows, pa.large_string())},
    "ids of 400 MB": lambda rows: {"declaration_id": once("x" * 400_000_000, rows, pa.large_string())},
    "a passed-through text of 20 MB": lambda rows: {"office": once("x" * 20_000_000, rows, pa.string())},
    "codes of 1 MB": lambda rows: {"declared_hs_code": once("0\u0301" * 500_000, rows, pa.string())},
}


def odd_archives(folder: Path) -> None:
    """Files of strange columns, counts and row groups."""
    bare = [{"bytes": PICTURE, "a.b": "x"}]
    archive(folder / "dotted.parquet", 3, images=pa.array([bare] * 3))
    archive(folder / "many.parquet", 2_000, row_group_size=2)
    for name, count in {"no rows": b"\x80\x80\x00", "minus one": b"\x81\x80\x00", "a million": b"\x80\x89\x7a"}.items():
        with_row_counts(archive(folder / f"{name}.parquet", ROWS), count)
