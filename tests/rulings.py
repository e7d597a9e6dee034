"""Cases that the tests draw themselves."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.archives import COLOURS, IMAGES

Ruling = tuple[str, list[bytes]]


def write_cases(path: Path, cases: Sequence[Ruling], **columns: Sequence) -> Path:
    table = pa.table(
        {
            "case_id": [f"case-{number}" for number in range(len(cases))],
            "hs_code": [hs_code for hs_code, _ in cases],
            "images": pa.array(
                [[{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(pictures)] for _, pictures in cases],
                IMAGES,
            ),
            **columns,
        }
    )
    pq.write_table(table, path)
    return path


def noise(
    seed: int, colour: tuple[int, int, int] = (128, 128, 128), side: int = 24, image_format: str = "PNG"
) -> bytes:
    """A picture like no other, tinted."""
    clouds = np.random.default_rng(seed).integers(-50, 50, (8, 8, 1))
    pixels = np.clip(np.array(colour) + clouds, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(out, image_format)
    return out.getvalue()


def tinted_cases(each: int, codes: dict[str, tuple[int, int, int]] = COLOURS) -> list[Ruling]:
    """Cases that a small network learns to tell apart, no two of them alike."""
    return [
        (code, [noise(1000 * place + number, colour)])
        for number in range(each)
        for place, (code, colour) in enumerate(codes.items())
    ]
