"""Who uses a picture: importer and code, in few bytes; and which uses of a picture and of nearly the same are known.

A use is (hash, importer, code), three numbers. So many declarations of an importer that have one picture under one code
are one use, whatever their number.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hs.codes import may_be_one
from pipeline.findings.as_python import values_of

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
