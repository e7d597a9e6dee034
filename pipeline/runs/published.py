"""A published run, as the commands that come after it read it, wherever it lies."""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hs.errors import UsageError
from hs.files import make_folder
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE, Stores
from pipeline.findings.finding import SOURCE_ROW, Finding, SourceRow, findings_in
from pipeline.findings.parts import opened
from pipeline.findings.schema import FIELD_NAMES, SCHEMA_VERSION
from pipeline.findings.worklist import ADDED
from pipeline.runs.current import CURRENT, Current

_BATCH_ROWS = 4096


@dataclass(frozen=True)
class Run:
    """A published run.

    Attributes:
        name: as whoever asks for it calls it.
        folder: of its files; on object storage that of the attempt that stood when it was asked for.
        manifest: of the run.
        stores: how it is reached.
    """

    name: str
    folder: Location
    manifest: dict[str, Any]
    stores: Stores

    def files(self, kind: str) -> list[Location]:
        """Its Parquet files of a kind, `findings` or `dead_letters`, by name."""
        if self.folder.is_local:  # a folder is replaced as a whole: what lies in it belongs to it
            return sorted(map(Location.parse, (self.folder.path / kind).glob("*.parquet")))
        # What a worker left behind whose bundle was tried again lies there, too: the manifest does not name it.
        named = [output["path"] for output in self.manifest["outputs"] if output["path"].startswith(f"{kind}/")]
        return [self.folder / path for path in sorted(named)]


def published_run(written: str | Path, stores: Stores = ANYWHERE) -> Run:
    """Finds a run.

    Args:
        written: a `run_date=…` folder, or an `attempt-…` folder in it.
        stores: how it is reached.

    Raises:
        UsageError: if it is no published run, or one of a schema that is newer than ours.
        StorageLost: if its storage stayed away.
    """
    run = Location.parse(written)
    try:
        folder, digest = _standing(run, stores)
        content = stores.read_bytes(folder / "manifest.json")
    except FileNotFoundError as error:
        missing = "_SUCCESS" if run.has_folders else CURRENT
        raise UsageError(f"{written} is no published run: it has no {missing}; give a run_date=… folder") from error
    except OSError as error:
        raise UsageError(f"{written} cannot be read: {error.strerror or error}") from error
    if digest not in (None, hashlib.sha256(content).hexdigest()):
        raise UsageError(f"{folder / 'manifest.json'} is not the one that was published: its digest is another one")
    return Run(str(written), folder, _checked(folder / "manifest.json", content), stores)


def _standing(run: Location, stores: Stores) -> tuple[Location, str | None]:
    """The folder of a run's files, and the digest of its manifest where that is known.

    Raises:
        FileNotFoundError: if nothing is published there.
        UsageError: if what says so is damaged.
    """
    if run.has_folders or run.name.startswith("attempt-"):
        stores.info(run / "_SUCCESS")
        return run, None
    try:
        current = Current.parse(stores.read_bytes(run / CURRENT))
    except ValueError as error:
        raise UsageError(f"{run / CURRENT} cannot be read: {error}") from error
    return run / f"attempt-{current.attempt_id}", current.manifest_sha256


def _checked(file: Location, content: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if version not in range(1, SCHEMA_VERSION + 1):
        raise UsageError(f"{file} is of schema_version {version}, expected 1 to {SCHEMA_VERSION}")
    return manifest


def findings_of(run: Run) -> list[Location]:
    """The files of a run's findings.

    Raises:
        UsageError: if there are none.
    """
    parts = run.files("findings")
    if not parts:
        raise UsageError(f"{run.name} has no findings")
    return parts


def read_findings(run: Run, declarations: Collection[str]) -> Iterator[Finding]:
    """The findings of some declarations, in the order of the files; the others never become Python values.

    Args:
        run: a published run.
        declarations: their ids.

    Raises:
        UsageError: if the findings cannot be read.
    """
    yield from _read(run, "declaration_id", pa.array(list(declarations), pa.string()))


def findings_at(run: Run, sources: Collection[SourceRow]) -> dict[SourceRow, Finding]:
    """The findings of some source rows.

    Raises:
        UsageError: if the findings cannot be read.
    """
    rows = pa.array({source.row for source in sources}, pa.int64())
    return {found.source: found for found in _read(run, "source_row", rows) if found.source in sources}


def _read(run: Run, column: str, values: pa.Array) -> Iterator[Finding]:
    try:
        for part in findings_of(run):
            with opened(part, run.stores) as file:
                for batch in file.iter_batches(_BATCH_ROWS):
                    yield from findings_in(batch.filter(pc.is_in(batch.column(column), values)))
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UsageError(f"the findings in {run.name} cannot be read: {error}") from error


def kept_types(run: Run) -> tuple[tuple[str, pa.DataType], ...]:
    """Name and type of each column that was passed through.

    Raises:
        UsageError: if the findings cannot be read.
    """
    try:
        with opened(findings_of(run)[0], run.stores) as file:
            return tuple((field.name, field.type) for field in file.schema_arrow if field.name not in FIELD_NAMES)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"the findings in {run.name} cannot be read: {error}") from error


def outside(run: Run, output: Path) -> Path:
    """The folder to write to, made if it is not there.

    Raises:
        UsageError: if it lies in the run, where nothing is written after publication, or cannot be made.
    """
    if run.folder.is_local and output.resolve().is_relative_to(run.folder.path.resolve()):
        raise UsageError(f"nothing is written into a published run; give an --output outside {run.name}")
    make_folder(output, str(output))
    return output


def read_worklist(worklist_file: str | Path | Location, stores: Stores = ANYWHERE) -> pa.Table:
    """The worklist that a run chose, or that was chosen anew, best first; a column that it did not have yet is null.

    Args:
        worklist_file: a worklist.parquet.
        stores: how it is reached.

    Raises:
        UsageError: if it cannot be read, or is no worklist.
    """
    try:
        with opened(Location.parse(worklist_file), stores) as file:
            worklist = file.read()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{worklist_file} cannot be read: {error}") from error
    missing = [name for name in ("chosen_by", *SOURCE_ROW) if name not in worklist.column_names]
    if missing:
        raise UsageError(f"{worklist_file} is no worklist: it has no column {', '.join(missing)}")
    for field in ADDED:
        if field.name not in worklist.column_names:
            worklist = worklist.append_column(field, pa.nulls(worklist.num_rows, field.type))
    return worklist
