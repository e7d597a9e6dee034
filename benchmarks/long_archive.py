"""A night of any number of declarations with pictures so small that neither disk nor decoding hides the rest.

Each declaration has a JPEG of 48 x 48 pixels of its own, 1.1 kB, one in a hundred that of another declaration; one code
in twenty is not what the stand-in sees. Offices, importers and values are there, so that worklist and page have what
they show.
"""

import io
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.material import IMAGES
from benchmarks.stand_in import MODEL

SIDE = 48  # pixels
_FILE_ROWS, _ROW_GROUP_ROWS = 50_000, 5_000
_COPIED, _OTHER_CODE = 0.01, 0.05
_IMPORTERS, _OFFICES = 5_000, ("010", "020", "030", "040")
_DECLARED_ON = date(2026, 11, 21)


def write_night(folder: Path, declarations: int) -> Path:
    """Writes the night's files, as many at once as there are cores; returns their folder."""
    folder.mkdir(parents=True)
    bounds = [*range(0, declarations, _FILE_ROWS), declarations]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as processes:
        for _ in processes.map(_write_file, [folder] * (len(bounds) - 1), pairwise(bounds)):
            pass  # what failed is raised here
    return folder


def _write_file(folder: Path, rows: tuple[int, int]) -> None:
    first, end = rows
    random = np.random.default_rng(first)
    writer = None
    for begin in range(first, end, _ROW_GROUP_ROWS):
        table = _table(random, begin, min(end, begin + _ROW_GROUP_ROWS))
        if writer is None:
            path = folder / f"{first:09}.parquet"
            # Small pages, as docs/operations.md asks for; and pictures are compressed already.
            writer = pq.ParquetWriter(path, table.schema, write_batch_size=64, use_dictionary=False, compression="none")
        writer.write_table(table)
    if writer:
        writer.close()


def _table(random: np.random.Generator, begin: int, end: int) -> pa.Table:
    rows, codes = end - begin, np.array(MODEL.table.labels)
    seen, other = codes[-1], codes[:-1]
    declared = np.where(random.random(rows) < _OTHER_CODE, random.choice(other, rows), seen)
    images = [[{"bytes": picture, "path": "a.jpg"}] for picture in _pictures(random, rows)]
    return pa.table(
        {
            "declaration_id": [f"D{number:09}" for number in range(begin, end)],
            "item_no": pa.array([1] * rows, pa.int32()),
            "declared_hs_code": declared,
            "declared_on": pa.array([_DECLARED_ON] * rows),
            "office": random.choice(_OFFICES, rows),
            "importer_id": [f"importer-{number}" for number in random.integers(0, _IMPORTERS, rows)],
            "origin": ["KR"] * rows,
            "customs_value": random.integers(100, 100_000, rows).astype(float),
            "images": pa.array(images, IMAGES),
        }
    )


def _pictures(random: np.random.Generator, count: int) -> Iterator[bytes]:
    written: list[bytes] = []
    for copied in random.random(count) < _COPIED:
        if copied and written:
            written.append(written[int(random.integers(len(written)))])
        else:
            coarse = random.integers(0, 255, (SIDE // 4, SIDE // 4, 3), np.uint8)
            out = io.BytesIO()
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(out, "JPEG", quality=75)
            written.append(out.getvalue())
        yield written[-1]
