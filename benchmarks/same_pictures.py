"""The same picture again: which copies are found, which different photographs are taken for one, and what a year costs.

python -m benchmarks.same_pictures --cases FILE [--copies 600]
python -m benchmarks.same_pictures --stored 10000000 [--tonight 100000]
"""

import argparse
import hashlib
import io
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance
from rich.console import Console
from rich.table import Table

from hs.pictures.decoding import PictureLimits, PictureSize, decode
from hs.pictures.looks import perceptual_hash
from hs.pictures.near import QUARTERS, SAME_WITHIN
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE
from pipeline.findings.hash_store import HashStore
from pipeline.findings.uses import NAMED_USES, digits_of
from pipeline.job.same_pictures import meet

_SIZE = PictureSize(224, 224)
_TONIGHT = date(2026, 11, 21)
_NIGHTS = 365
_IMPORTERS, _CODES, _MOST = 5_000, 1_000, 10
_COPIED = 0.01  # of the night's pictures, each from some night of the store


def main() -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, metavar="FILE", help="Parquet with photographs, each another one")
    parser.add_argument("--copies", type=int, default=600, help="photographs to copy (default: %(default)s)")
    parser.add_argument("--stored", type=int, metavar="N", help="hashes of the year before")
    parser.add_argument("--tonight", type=int, default=100_000, help="hashes of the night (default: %(default)s)")
    args = parser.parse_args()
    if args.cases:
        _photographs(args.cases, args.copies)
    if args.stored:
        with tempfile.TemporaryDirectory() as folder:
            _year(args.stored, args.tonight, Path(folder))


def _photographs(cases: Path, copies: int) -> None:
    files = [row[0]["bytes"] for row in pq.read_table(cases, columns=["images"])["images"].to_pylist()]
    hashes = np.array([_hash(file) for file in files], np.uint64)
    table = Table("copy", f"within {SAME_WITHIN} bits")
    chosen = np.random.default_rng(0).choice(len(files), min(copies, len(files)), replace=False)
    for name, copy in _copies().items():
        again = [_hash(copy(Image.open(io.BytesIO(files[place])).convert("RGB"))) for place in chosen]
        near = np.bitwise_count(hashes[chosen] ^ np.array(again, np.uint64)) <= SAME_WITHIN
        table.add_row(name, f"{near.mean():.3f}")
    Console(width=100).print(table)
    apart = np.bitwise_count(hashes[:, None] ^ hashes)[np.triu_indices(len(hashes), 1)]
    print(f"of {len(apart):,} pairs of {len(files):,} photographs {(apart <= SAME_WITHIN).sum()} are that near")


def _hash(file: bytes) -> int:
    pixels = decode(file, _SIZE, PictureLimits()).pixels
    assert pixels is not None
    return perceptual_hash(pixels)


def _copies() -> dict[str, Callable[[Image.Image], bytes]]:
    def half(image: Image.Image) -> Image.Image:
        return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)

    def cropped(image: Image.Image, share: float) -> Image.Image:
        left, top = round(image.width * share / 2), round(image.height * share / 2)
        return image.crop((left, top, image.width - left, image.height - top))

    return {
        "JPEG, quality 60": lambda image: _saved(image, 60),
        "JPEG, quality 40": lambda image: _saved(image, 40),
        "WEBP, quality 60": lambda image: _saved(image, 60, "WEBP"),
        "half the size": lambda image: _saved(half(image)),
        "half the size, quality 60": lambda image: _saved(half(image), 60),
        "cropped by 2 %": lambda image: _saved(cropped(image, 0.02)),
        "cropped by 5 %": lambda image: _saved(cropped(image, 0.05)),
        "cropped by 10 %": lambda image: _saved(cropped(image, 0.10)),
        "brighter by 10 %": lambda image: _saved(ImageEnhance.Brightness(image).enhance(1.1)),
        "brighter by 30 %": lambda image: _saved(ImageEnhance.Brightness(image).enhance(1.3)),
    }


def _saved(image: Image.Image, quality: int = 85, image_format: str = "JPEG") -> bytes:
    out = io.BytesIO()
    image.save(out, image_format, quality=quality)
    return out.getvalue()


def _year(stored: int, tonight: int, folder: Path) -> None:
    """A store of random hashes, and a night of which some are copies: what is found, and what it takes."""
    random = np.random.default_rng(0)
    copied = round(tonight * _COPIED)
    store = HashStore(Location.parse(folder), _NIGHTS, ANYWHERE)
    uses = _uses(random, tonight)
    for number in range(_NIGHTS):
        night = _uses(random, stored // _NIGHTS)
        night[: copied // _NIGHTS + 1, 0] = [
            _nearly(random, hash_) for hash_ in uses[number::_NIGHTS, 0][: copied // _NIGHTS + 1]
        ]
        store.write(_TONIGHT - timedelta(days=number + 1), _named(night))
    size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
    started = time.monotonic()
    earlier = store.before(_TONIGHT).nights
    checked_s, began = time.monotonic() - started, time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    met = [meet(quarter, uses, _TONIGHT, _MOST, earlier, ANYWHERE) for quarter in range(QUARTERS)]
    took_s = time.process_time() - began
    found = len({hash_ for each in met for hash_ in each})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{stored:,} hashes of {len(earlier)} nights, {size / 1e6:.0f} MB: read and checked in {checked_s:.1f} s; "
        f"{tonight:,} of a night compared in {took_s:.1f} s of processor time, {took_s / QUARTERS:.1f} s each quarter, "
        f"{grown / 1024:.0f} MB more; {found:,} found of {(copied // _NIGHTS + 1) * _NIGHTS:,} copies"
    )


def _uses(random: np.random.Generator, count: int) -> np.ndarray:
    """Random uses of pictures, uint64 [count, 3]."""
    return np.column_stack(
        [
            random.integers(1, 2**64 - 1, count, np.uint64),
            random.integers(1, _IMPORTERS, count, np.uint64),
            random.integers(1, _CODES, count, np.uint64) << np.uint64(4) | np.uint64(6),
        ]
    )


def _nearly(random: np.random.Generator, hash_: int) -> int:
    return int(hash_) ^ sum(1 << int(bit) for bit in random.choice(64, SAME_WITHIN, replace=False))


def _named(uses: np.ndarray) -> pa.Table:
    """The uses with declarations that nobody has seen, as the store has them."""
    uses = uses[np.lexsort(uses.T[::-1])]
    numbers = range(len(uses))
    columns = [
        *(pa.array(column) for column in uses.T),
        pa.array([f"D-{number:08d}" for number in numbers]),
        pa.nulls(len(uses), pa.int64()),
        pa.array([f"importer-{number}" for number in uses[:, 1].tolist()]),
        pa.array([digits_of(code) for code in uses[:, 2].tolist()]),
        pa.array([hashlib.sha256(number.to_bytes(8)).hexdigest() for number in uses[:, 0].tolist()]),
        pa.repeat(pa.scalar("/archive/declarations-1.parquet"), len(uses)),
        pa.array(numbers, pa.int32()),
        pa.array(numbers, pa.int64()),
    ]
    return pa.Table.from_arrays(columns, schema=NAMED_USES)


if __name__ == "__main__":
    main()
