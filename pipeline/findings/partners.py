"""Findings and what is known of their pictures → findings that name their partners, and pictures that tell nothing.

A partner is a declaration of another importer, or under another code, that has the same picture or nearly. At most five
are named: those under other codes first, then the nearest, then the latest.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.errors import NotPublished
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.finding import source_of
from pipeline.findings.hash_store import StoredNight, read_named
from pipeline.findings.parts import opened
from pipeline.findings.uses import (
    BATCH_ROWS,
    Known,
    Neighbourhood,
    Use,
    code_number,
    codes_differ,
    columns_of_uses,
    named_uses,
    uses_in,
)

_MOST_NAMED = 5
_MOST_STOCK = 10
_NAMED = ("declaration_id", "item_no", "importer", "declared_hs_code", "sha256")

Named = Mapping[str, Any]
"""A declaration that uses a picture, a row of `NAMED_USES`."""


@dataclass
class SharedPictures:
    """What the pictures of a night have in common with others.

    Attributes:
        findings: that have partners.
        under_other_codes: of these, how many have one under another code.
        stock: SHA-256 → findings, of pictures that too many use to tell anything.
        nights: earlier ones that were compared with.
    """

    findings: int = 0
    under_other_codes: int = 0
    stock: Counter[str] = field(default_factory=Counter)
    nights: int = 0

    def described(self) -> dict[str, Any]:
        """For the manifest, JSON-ready."""
        return {
            "findings": self.findings,
            "under_other_codes": self.under_other_codes,
            "stock_pictures": len(self.stock),
            "most_used": [{"sha256": sha256, "findings": count} for sha256, count in self._most_used()],
            "earlier_nights": self.nights,
        }

    def _most_used(self) -> list[tuple[str, int]]:
        return sorted(self.stock.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST_STOCK]

    def count(self, uses: Sequence[Use], partners: Sequence[Mapping[str, Any]], stock: Sequence[str]) -> None:
        """Counts a finding."""
        self.findings += bool(partners)
        self.stock.update(stock)
        code = uses[0][2]
        self.under_other_codes += any(codes_differ(code_number(each["declared_hs_code"]), code) for each in partners)


def name_partners(
    parts: Sequence[Location],
    neighbourhoods: Mapping[int, Neighbourhood],
    run_date: date,
    earlier: Sequence[StoredNight],
    attempt_id: str,
    stores: Stores,
) -> tuple[list[Location], SharedPictures]:
    """Writes the files of findings again in which some have partners.

    Args:
        parts: the staged files.
        neighbourhoods: hash → who uses such a picture.
        run_date: the night.
        earlier: the nights that were compared with.
        attempt_id: stands in the names of the files.
        stores: how files are reached.

    Returns:
        The files, and what was found.

    Raises:
        NotPublished: if the hashes of an earlier night cannot be read any more.
    """
    shared = SharedPictures(nights=len(earlier))
    if not neighbourhoods:
        return list(parts), shared
    wanted = _wanted(neighbourhoods)
    named = {(run_date, use): row for use, row in _named_in(parts, wanted.pop(run_date, set()), stores).items()}
    for night in earlier:
        if uses := wanted.get(night.run_date):
            named |= {(night.run_date, use): row for use, row in _named_on(night, uses, stores).items()}
    naming = _Naming(neighbourhoods, named)
    return [_written_again(part, naming, shared, attempt_id, stores) for part in parts], shared


def _wanted(neighbourhoods: Mapping[int, Neighbourhood]) -> dict[date, set[Use]]:
    """The uses that may be named, by night."""
    wanted: dict[date, set[Use]] = defaultdict(set)
    for neighbourhood in neighbourhoods.values():
        for who, known in (neighbourhood or {}).items():
            wanted[_night_of(known)].add((known.hash, *who))
    return wanted


def _named_on(night: StoredNight, uses: Set[Use], stores: Stores) -> Mapping[Use, Named]:
    try:
        return read_named(night, uses, stores)
    except (pa.ArrowException, OSError) as error:
        raise NotPublished(
            f"same_picture.store: the hashes of {night.run_date} cannot be read any more: {error}; "
            "nothing was published"
        ) from error


def _night_of(known: Known) -> date:
    return date.fromordinal(-known.days_back)


def _named_in(parts: Sequence[Location], wanted: Set[Use], stores: Stores) -> dict[Use, Named]:
    """The first declaration of each use in the order of the archive."""
    first: dict[Use, Named] = {}
    for row in chain.from_iterable(named_uses(parts, stores, wanted)):
        use = (row["hash"], row["importer_number"], row["code_number"])
        first[use] = min(first.get(use, row), row, key=source_of)
    return first


@dataclass(frozen=True)
class _Naming:
    neighbourhoods: Mapping[int, Neighbourhood]
    named: Mapping[tuple[date, Use], Named]

    def partners(self, uses: Sequence[Use]) -> list[dict[str, Any]]:
        """Of a declaration that uses pictures so; those under other codes first."""
        importer, code = uses[0][1:]
        nearest: dict[tuple[int, int], Known] = {}
        for hash_, *_ in uses:
            for who, known in (self.neighbourhoods.get(hash_) or {}).items():
                if who[0] != importer or codes_differ(who[1], code):
                    nearest[who] = min(known, nearest.get(who, known))
        ordered = sorted((not codes_differ(who[1], code), known, who) for who, known in nearest.items())
        return [
            {
                "run_date": _night_of(known),
                **{name: self.named[_night_of(known), (known.hash, *who)][name] for name in _NAMED},
                "distance": known.distance,
            }
            for _, known, who in ordered[:_MOST_NAMED]
        ]

    def stock(self, uses: Sequence[Use], pictures: pa.Scalar) -> list[str]:
        """SHA-256 of the pictures of a declaration that too many use."""
        telling_nothing = {f"{hash_:016x}" for hash_, *_ in uses if self.neighbourhoods.get(hash_, {}) is None}
        if not telling_nothing:  # as nearly always: no picture need become a Python value
            return []
        found = (picture["sha256"] for picture in pictures.as_py() if picture["hash"] in telling_nothing)
        return list(dict.fromkeys(found))


def _written_again(
    part: Location, naming: _Naming, shared: SharedPictures, attempt_id: str, stores: Stores
) -> Location:
    with opened(part, stores) as file:
        told = _told(file, naming, shared)
        if not told:
            return part
        # Another name: on HDFS nothing is renamed to what is there.
        again = part.parent / f"part-{uuid.uuid4().hex}-{attempt_id}.parquet"
        with stores.open_output(again) as sink, pq.ParquetWriter(sink, file.schema_arrow, compression="zstd") as writer:
            first = 0
            for batch in file.iter_batches(BATCH_ROWS):
                rows = [told.get(row, (None, None)) for row in range(first, first + batch.num_rows)]
                for place, name in enumerate(("partners", "stock_pictures")):
                    values = pa.array([row[place] or None for row in rows], batch.schema.field(name).type)
                    batch = batch.set_column(batch.schema.get_field_index(name), name, values)
                writer.write_batch(batch)
                first += batch.num_rows
    stores.delete(part)
    return again


def _told(
    file: pq.ParquetFile, naming: _Naming, shared: SharedPictures
) -> dict[int, tuple[list[dict[str, Any]], list[str]]]:
    """Number of a row → its partners and its pictures that tell nothing, where it has any."""
    told, first = {}, 0
    for batch in file.iter_batches(BATCH_ROWS, columns=columns_of_uses(file)):
        for row, uses in uses_in(batch):
            partners = naming.partners(uses)
            stock = naming.stock(uses, batch.column("pictures")[row])
            if partners or stock:
                told[first + row] = partners, stock
                shared.count(uses, partners, stock)
        first += batch.num_rows
    return told
