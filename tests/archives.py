"""Archives and pictures that the tests make themselves."""

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))

COLOURS = {"870829": (220, 30, 30), "392690": (30, 200, 40), "732690": (30, 40, 220)}
RED, GREEN, BLUE = COLOURS


def picture(hs_code: str, *, size: tuple[int, int] = (40, 30), image_format: str = "PNG", shade: int = 0) -> bytes:
    """A picture that the colour classifier takes for `hs_code`; `shade` makes it another file."""
    colour = tuple(min(255, part + shade) for part in COLOURS[hs_code])
    return encoded(Image.new("RGB", size, colour), image_format)


def grey_picture() -> bytes:
    """A picture that the colour classifier knows nothing about."""
    return encoded(Image.new("RGB", (40, 30), (90, 90, 90)), "PNG")


def encoded(image: Image.Image, image_format: str) -> bytes:
    out = io.BytesIO()
    image.save(out, image_format)
    return out.getvalue()


def row(declaration_id: str | None, declared: object, *pictures: bytes | None, **columns: object) -> dict:
    images = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(pictures)]
    return {"declaration_id": declaration_id, "item_no": 1, "declared_hs_code": declared, "images": images, **columns}


def write_archive(path: Path, rows: Sequence[dict], row_group_size: int = 100, **types: pa.DataType) -> Path:
    schema = pa.schema(
        [
            ("declaration_id", pa.string()),
            ("item_no", pa.int32()),
            ("declared_hs_code", types.pop("declared_hs_code", pa.string())),
            ("images", IMAGES),
            *types.items(),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist(list(rows), schema), path, row_group_size=row_group_size, write_page_checksum=True,
        write_batch_size=16,
    )  # fmt: skip
    return path


def findings_of(published: Path) -> list[dict]:
    """All findings of a run in the order of the archive."""
    table = pa.concat_tables([pq.ParquetFile(part).read() for part in (published / "findings").iterdir()])
    return sorted(table.to_pylist(), key=lambda f: (f["source_file"], f["source_row_group"], f["source_row"]))
