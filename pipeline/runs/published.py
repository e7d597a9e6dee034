"""A published run, as the commands that come after it read it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.errors import UsageError
from pipeline.findings.schema import SCHEMA_VERSION


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        UsageError: if the folder is no published run, or one of another schema.
    """
    if not (run / "_SUCCESS").is_file():
        raise UsageError(f"{run} is no published run: it has no _SUCCESS; give a run_date=… folder")
    try:
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{run / 'manifest.json'} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(f"{run / 'manifest.json'} is not of schema_version {SCHEMA_VERSION}")
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


def read_worklist(run: Path) -> pa.Table:
    """The worklist that a run chose, best first.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        return pq.ParquetFile(run / "worklist.parquet").read()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{run / 'worklist.parquet'} cannot be read: {error}") from error
