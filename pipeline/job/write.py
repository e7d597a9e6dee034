"""Findings → Parquet files of a staging folder, and a receipt for each file.

Only files with a receipt are published: what a worker left behind when its bundle was tried again has none.
"""

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import GlobalWindows

from pipeline.job.counters import DECLARATIONS
from pipeline.job.in_process import PROGRESS

_ROW_GROUP_ROWS, _ROW_GROUP_BYTES = 2048, 32 << 20


@dataclasses.dataclass
class WriteFindings(beam.PTransform):
    """Batches of findings → the names of the files that hold them."""

    schema: pa.Schema
    folder: Path

    def expand(self, findings: beam.PCollection) -> beam.PCollection:
        """Writes one file per bundle."""
        return findings | beam.ParDo(_Write(self.schema, self.folder))


class _Write(beam.DoFn):
    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        self._schema, self._folder = schema, folder

    def start_bundle(self) -> None:
        self._name = f"part-{uuid.uuid4().hex}.parquet"
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0

    def process(self, findings: pa.RecordBatch) -> None:
        self._pending.append(findings)
        self._pending_rows += findings.num_rows
        self._pending_bytes += findings.nbytes
        PROGRESS.declarations += findings.num_rows
        DECLARATIONS.inc(findings.num_rows)
        if self._pending_rows >= _ROW_GROUP_ROWS or self._pending_bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def finish_bundle(self) -> Iterator[Any]:
        if self._pending:
            self._flush()
        if self._writer:
            self._writer.close()
            yield GlobalWindows.windowed_value(self._name)  # at the end of a bundle Beam knows no window

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._folder / self._name, self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
