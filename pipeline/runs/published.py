"""A published run, as the commands that come after it read it."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hs.errors import UsageError
from pipeline.findings.finding import SOURCE_ROW, Finding, findings_in
from pipeline.findings.schema import SCHEMA_VERSION
from pipeline.findings.worklist import ADDED

_BATCH_ROWS = 4096


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        UsageError: if the folder is no published run, or one of a schema that is newer than ours.
    """
    if not (run / "_SUCCESS").is_file():
        raise UsageError(f"{run} is no published run: it has no _SUCCESS; give a run_date=… folder")
    try:
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{run / 'manifest.json'} cannot be read: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version not in range(1, SCHEMA_VERSION + 1):
        raise UsageError(f"{run / 'manifest.json'} is of schema_version {version}, expected 1 to {SCHEMA_VERSION}")
    return manifest


def findings_of(run: Path) -> list[Path]:
    """The files of a run's findings.

    Raises:
        UsageError: if there are none.
    """
    parts = sorted((run / "findings").glob("*.parquet"))
    if not parts:
        raise UsageError(f"{run} has no findings")
    return parts


def read_findings(run: Path, declarations: Collection[str]) -> Iterator[Finding]:
    """The findings of some declarations, in the order of the files; the others never become Python values.

    Args:
        run: a published run.
        declarations: their ids.

    Raises:
        UsageError: if the findings cannot be read.
    """
    ids = pa.array(list(declarations), pa.string())
    try:
        for part in findings_of(run):
            for batch in pq.ParquetFile(part).iter_batches(_BATCH_ROWS):
                yield from findings_in(batch.filter(pc.is_in(batch.column("declaration_id"), ids)))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UsageError(f"the findings in {run} cannot be read: {error}") from error


def outside(run: Path, output: Path) -> Path:
    """The folder to write to, made if it is not there.

    Raises:
        UsageError: if it lies in the run, where nothing is written after publication, or cannot be made.
    """
    if output.resolve().is_relative_to(run.resolve()):
        raise UsageError(f"nothing is written into a published run; give an --output outside {run}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output} cannot be made: {error.strerror}") from error
    return output


def read_worklist(path: Path) -> pa.Table:
    """The worklist that a run chose, or that was chosen anew, best first; a column that it did not have yet is null.

    Args:
        path: a worklist.parquet.

    Raises:
        UsageError: if it cannot be read, or is no worklist.
    """
    try:
        worklist = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    missing = [name for name in ("chosen_by", *SOURCE_ROW) if name not in worklist.column_names]
    if missing:
        raise UsageError(f"{path} is no worklist: it has no column {', '.join(missing)}")
    for field in ADDED:
        if field.name not in worklist.column_names:
            worklist = worklist.append_column(field, pa.nulls(worklist.num_rows, field.type))
    return worklist
