"""Findings → Parquet files of a staging folder, a receipt for each file, and what ended the writing, if anything.

Only files with a receipt are published: what a worker left behind when its bundle was tried again has none.
"""

import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import GlobalWindows

from hs.errors import NotPublished, StorageLost
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.job.counters import DECLARATIONS
from pipeline.job.in_process import PROGRESS, STOP
from pipeline.job.post import why_stopped

_ROW_GROUP_ROWS, _ROW_GROUP_BYTES = 2048, 32 << 20


@dataclasses.dataclass
class WriteFindings(beam.PTransform):
    """Batches of findings → reports: the names of the files that hold them, or trouble."""

    schema: pa.Schema
    folder: Location
    attempt_id: str
    stores: Stores

    def expand(self, findings: beam.PCollection) -> beam.PCollection:
        """Writes one file per bundle."""
        write = _Write(self.schema, self.folder, self.attempt_id, self.stores)
        return findings | beam.ParDo(write)


class _Write(beam.DoFn):
    def __init__(self, schema: pa.Schema, folder: Location, attempt_id: str, stores: Stores) -> None:
        self._schema, self._folder, self._attempt_id, self._stores = schema, folder, attempt_id, stores
        self._trouble: tuple[int, str] | None = None  # longer than a bundle: nothing will be published

    def start_bundle(self) -> None:
        # The attempt, so that a reader never mixes two runs; and no number, as no two workers count together.
        self._name = f"part-{uuid.uuid4().hex}-{self._attempt_id}.parquet"
        self._sink = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0

    def process(self, findings: pa.RecordBatch) -> None:
        if self._trouble:
            return
        self._pending.append(findings)
        self._pending_rows += findings.num_rows
        self._pending_bytes += findings.nbytes
        PROGRESS.declarations += findings.num_rows
        DECLARATIONS.inc(findings.num_rows)
        if self._pending_rows >= _ROW_GROUP_ROWS or self._pending_bytes >= _ROW_GROUP_BYTES:
            self._try(self._flush)

    def finish_bundle(self) -> Iterator[Any]:
        self._try(self._finish)
        report: dict[str, Any] = {}
        if self._trouble:
            report = {"trouble": self._trouble}
        elif STOP.is_set():  # something may be missing in it: no receipt
            report = {"trouble": why_stopped()}
        elif self._writer:
            report = {"part": self._name}
        if report:
            yield GlobalWindows.windowed_value(report)  # at the end of a bundle Beam knows no window

    def _try(self, write: Callable[[], None]) -> None:
        """Writes, unless that failed before; a full disk is data, as Beam wraps exceptions."""
        if self._trouble:
            return
        try:
            write()
        except StorageLost as error:
            self._give_up(error.exit_code, str(error))
        except (pa.ArrowException, OSError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            self._give_up(NotPublished.exit_code, f"the findings cannot be written to {self._folder}: {why}")

    def _give_up(self, exit_code: int, sentence: str) -> None:
        self._trouble, self._pending = (exit_code, sentence), []
        # So that half a file is not taken for one; to close it may fail as writing it did.
        with suppress(_GivenUp, OSError), self._sink:
            raise _GivenUp

    def _flush(self) -> None:
        if self._writer is None:
            sink = self._sink.enter_context(self._stores.open_output(self._folder / self._name))
            self._writer = pq.ParquetWriter(sink, self._schema, compression="zstd")
        self._writer.write_table(pa.Table.from_batches(self._pending))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0

    def _finish(self) -> None:
        if self._pending:
            self._flush()
        if self._writer:
            self._writer.close()
        self._sink.close()  # the writer does not: only now the file is there, and may have its receipt


class _GivenUp(Exception):
    """What is written to is left as if by an error."""
