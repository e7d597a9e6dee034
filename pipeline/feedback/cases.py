"""Decisions → cases that `hs-audit train --cases` reads: the pictures that the officer saw, under the code that holds.

FOLDER/cases/2026-11-21.parquet

Codes have six digits, as officers give them. Pictures that are filed once are never read from the archive again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.codes import HSCode
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.feedback.decision import Ruling
from pipeline.feedback.records import Record
from pipeline.findings.finding import SourceRow, source_of
from pipeline.findings.parts import opened
from pipeline.findings.schema import SOURCE_FIELDS

CASES = pa.schema(
    [
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("hs_code", pa.string(), nullable=False),
        pa.field("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])), nullable=False),
        pa.field("run_date", pa.date32(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        *SOURCE_FIELDS,
        pa.field("declaration_id", pa.string()),
        pa.field("item_no", pa.int64()),
        pa.field("importer", pa.string()),
        pa.field("declared_hs_code", pa.string()),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("officer", pa.string(), nullable=False),
        pa.field("decided_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.int64(), nullable=False),
    ]
)
_ABOUT = [name for name in CASES.names if name != "images"]
_AS_FILED = [name for name in _ABOUT if name not in ("case_id", "hs_code", "run_date")]
_ROWS, _BYTES = 32, 16 << 20  # of what is in memory, and in a row group


@dataclass(frozen=True)
class CasesFile:
    """The cases of a night: those that are filed, and those that should be.

    Attributes:
        file: where they lie.
        filed: row → what is filed of it beside its pictures.
        wanted: row → what should be.
    """

    file: Location
    filed: Mapping[SourceRow, dict[str, Any]]
    wanted: Mapping[SourceRow, dict[str, Any]]

    @property
    def lacking(self) -> set[SourceRow]:
        """The rows whose pictures must come from the archive."""
        return set(self.wanted) - set(self.filed)

    @property
    def is_as_it_should_be(self) -> bool:
        """Whether nothing is to be changed, but for pictures that are to be had."""
        return dict(self.filed) == {source: self.wanted[source] for source in self.filed if source in self.wanted}


def cases_file(folder: Location, run_date: date, records: Iterable[Record], stores: Stores) -> CasesFile:
    """Compares what is filed of a night with what its decisions ask for."""
    file = folder / "cases" / f"{run_date}.parquet"
    wanted = {source_of(record): about for record in records if (about := _about(record, run_date))}
    filed: dict[SourceRow, dict[str, Any]] = {}
    if stores.exists(file):
        with opened(file, stores) as parquet:
            filed = {source_of(row): row for row in parquet.read(_ABOUT).to_pylist()}
    return CasesFile(file, filed, wanted)


def write_cases(
    cases: CasesFile, found: Iterable[tuple[SourceRow, Mapping[str, bytes]]], stores: Stores
) -> Collection[SourceRow]:
    """Writes a night's cases anew, whole: those that were filed, and those whose pictures come from the archive.

    Args:
        cases: what is filed, and what should be.
        found: row → SHA-256 → bytes of its pictures, of the lacking ones; one at a time is in memory.
        stores: how the file is reached.

    Returns:
        The rows that are filed now.
    """
    written: set[SourceRow] = set()
    with stores.open_output(cases.file) as out, pq.ParquetWriter(out, CASES) as writer:
        rows: list[dict[str, Any]] = []
        for source, images in _all(cases, found, stores):
            rows.append(cases.wanted[source] | {"images": images})
            written.add(source)
            if len(rows) == _ROWS or sum(len(image["bytes"]) for row in rows for image in row["images"]) > _BYTES:
                writer.write_table(pa.Table.from_pylist(rows, CASES))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, CASES))
    if not written:
        stores.delete(cases.file)
    return written


def _all(
    cases: CasesFile, found: Iterable[tuple[SourceRow, Mapping[str, bytes]]], stores: Stores
) -> Iterator[tuple[SourceRow, list[dict[str, Any]]]]:
    if cases.filed:
        with opened(cases.file, stores) as parquet:
            for batch in parquet.iter_batches(1):
                for row in batch.to_pylist():
                    if (source := source_of(row)) in cases.wanted:
                        yield source, row["images"]
    for source, pictures in found:
        if pictures:
            yield source, [{"bytes": data, "path": f"{digest[:16]}"} for digest, data in pictures.items()]


def _about(record: Record, run_date: date) -> dict[str, Any] | None:
    """What is filed of a case beside its pictures; None where a decision says no code."""
    code = _code(record)
    if code is None:
        return None
    source = source_of(record)
    name = sha256("\0".join(map(str, (record["run_id"], *source))).encode()).hexdigest()[:16]
    filed = {name: record[name] for name in _AS_FILED}
    return {"case_id": f"{run_date}-{name}", "hs_code": code.digits, "run_date": run_date} | filed


def _code(record: Record) -> HSCode | None:
    if record["decision"] == Ruling.WRONG:
        return record["correct_code"] and HSCode(record["correct_code"])
    if record["decision"] == Ruling.RIGHT and record["declared_hs_code"]:
        return HSCode(record["declared_hs_code"]).at(6)
    return None
