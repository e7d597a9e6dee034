"""Who uses a picture: importer and code, in few bytes; and which uses of a picture and of nearly the same are known.

A use is (hash, importer, code), three numbers. So many declarations of an importer that have one picture under one code
are one use, whatever their number.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hs.codes import may_be_one
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.as_python import values_of
from pipeline.findings.finding import SOURCE_ROW, rows_of
from pipeline.findings.parts import opened
from pipeline.findings.schema import SOURCE_FIELDS

USE = ("hash", "importer_number", "code_number")
NAMED_USES = pa.schema(
    [
        *(pa.field(name, pa.uint64(), nullable=False) for name in USE),
        pa.field("declaration_id", pa.string()),
        pa.field("item_no", pa.int64()),
        pa.field("importer", pa.string()),
        pa.field("declared_hs_code", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        *SOURCE_FIELDS,
    ]
)
BATCH_ROWS = 2048
_COLUMNS = ("declaration_id", "item_no", "importer", "declared_hs_code_normalized", "pictures", *SOURCE_ROW)

Use = tuple[int, int, int]


class Known(NamedTuple):
    """The best known use of an importer and a code: the nearest, of these the latest.

    Attributes:
        distance: bits that differ.
        days_back: minus the number of its night, as `date.toordinal` has it.
        hash: of that picture.
    """

    distance: int
    days_back: int
    hash: int


Neighbourhood = Mapping[tuple[int, int], Known] | None
"""Importer and code → the use; None where there are so many that the picture tells nothing."""


@lru_cache(65536)
def importer_number(importer: str | None) -> int:
    """64 bits of an importer as text; 0 for none."""
    if importer is None:
        return 0
    return int.from_bytes(hashlib.blake2b(importer.encode(), digest_size=8).digest()) or 1


@lru_cache(65536)
def code_number(digits: str | None) -> int:
    """The digits of a code with their number; 0 for none.

    >>> code_number("080810"), digits_of(code_number("080810"))
    (1292966, '080810')
    """
    return int(digits) << 4 | len(digits) if digits else 0


def digits_of(code: int) -> str | None:
    """What `code_number` was given."""
    return f"{code >> 4:0{code & 15}d}" if code else None


def codes_differ(one: int, other: int) -> bool:
    """Whether two codes are known, and neither lies under the other."""
    digits, others = digits_of(one), digits_of(other)
    return digits is not None and others is not None and not may_be_one(digits, others)


def uses_in(findings: pa.RecordBatch) -> Iterator[tuple[int, list[Use]]]:
    """The rows of a batch that have pictures with a hash, and how they use them, in the order of the pictures."""
    pictures = findings.column("pictures")
    if pictures.type.value_type.get_field_index("hash") < 0:  # of an older run
        return
    hashes = pc.struct_field(pictures.flatten(), "hash").to_pylist()
    importers = values_of(findings.column("importer")) if "importer" in findings.schema.names else None
    codes, counts = findings.column("declared_hs_code_normalized").to_pylist(), pc.list_value_length(pictures)
    at = 0
    for row, count in enumerate(counts.to_pylist()):
        mine, at = [hash_ for hash_ in hashes[at : at + count] if hash_], at + count
        if mine:
            importer = importers[row] if importers else None
            who = (importer_number(None if importer is None else str(importer)), code_number(codes[row]))
            yield row, [(int(hash_, 16), *who) for hash_ in mine]


def named_uses(
    parts: Iterable[Location], stores: Stores, wanted: Collection[Use] | None = None
) -> Iterator[list[dict[str, Any]]]:
    """The uses in files of findings, with the declarations that they are of, as `NAMED_USES` has them; batch by batch.

    Args:
        parts: the files.
        stores: how they are reached.
        wanted: the uses that are asked for; None for all.
    """
    for part in parts:
        with opened(part, stores) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns_of_uses(file)):
                used = [(row, use) for row, uses in uses_in(batch) for use in uses if wanted is None or use in wanted]
                rows = rows_of(batch) if used else []
                yield [_named(use, rows[row]) for row, use in used]


def columns_of_uses(file: pq.ParquetFile) -> list[str]:
    """The columns of findings that uses are made of, as far as a file has them."""
    return [name for name in _COLUMNS if name in file.schema_arrow.names]


def _named(use: Use, row: Mapping[str, Any]) -> dict[str, Any]:
    importer, hash_ = row.get("importer"), f"{use[0]:016x}"
    return {
        **dict(zip(USE, use, strict=True)),
        "declaration_id": row["declaration_id"],
        "item_no": row["item_no"],
        "importer": None if importer is None else str(importer),
        "declared_hs_code": row["declared_hs_code_normalized"],
        "sha256": next(picture["sha256"] for picture in row["pictures"] if picture["hash"] == hash_),
        **{name: row[name] for name in SOURCE_ROW},
    }


def merged(neighbourhoods: Iterable[Neighbourhood], most: int) -> Neighbourhood:
    """One neighbourhood of several of the same picture.

    Args:
        neighbourhoods: as found in different places, in any order.
        most: importers, and codes, that may use one picture before it tells nothing.
    """
    best: dict[tuple[int, int], Known] = {}
    for neighbourhood in neighbourhoods:
        if neighbourhood is None:
            return None
        for who, known in neighbourhood.items():
            best[who] = min(known, best.get(who, known))
    return None if is_stock(best, most) else best


def is_stock(uses: Collection[tuple[int, int]], most: int) -> bool:
    """Whether more importers, or more codes, than `most` are among the uses."""
    importers, codes = zip(*uses, strict=True) if uses else ((), ())
    return len(set(importers)) > most or len(set(codes)) > most
