"""A night by an engine: what it takes, and what it loses."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.engines.engine import Engine
from benchmarks.material import gpu, write_archive
from benchmarks.process_tree import Ended, watched

_FILES = 8  # engines hand out files: with one alone some would leave cores idle
# Ray gives up where a busy machine takes half a minute to start it, and would keep a token in the home folder.
_ENVIRONMENT = {"RAY_raylet_start_wait_time_s": "600", "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Night:
    """What a night took.

    Attributes:
        pictures_per_s: from the first request to the last answer.
        cpu_ms: of all processes, for one picture more; what it takes to start falls out.
        peak_mb: of all processes together.
    """

    pictures_per_s: float
    cpu_ms: float
    peak_mb: float


def write_night(folder: Path, pictures: Sequence[bytes], rows: int) -> Path:
    """An archive of several files with one declaration for each picture; returns its folder."""
    starts = [rows * number // _FILES for number in range(_FILES + 1)]
    for first, end in pairwise(starts):
        write_archive(folder / f"{first:08}.parquet", pictures, end - first, first=first)
    return folder


def run(engine: Engine, environments: Path, archive: Path, address: str, folder: Path) -> Ended:
    """Runs a night; what the engine said is in `folder / "log"`."""
    command = engine.command(environments, archive, address, folder)
    return watched(command, folder / "log", os.environ | _ENVIRONMENT)


def measure(
    engine: Engine, environments: Path, archives: tuple[Path, Path], folder: Path, per_picture_ms: float
) -> Night:
    """A small night, and a large one.

    Raises:
        RuntimeError: if one fails.
    """
    rows, cpu_s = [], []
    for archive in archives:
        with tempfile.TemporaryDirectory(dir=folder) as output, gpu(per_picture_ms) as running:
            ended = run(engine, environments, archive, running.address, Path(output))
            if ended.code:
                said = (Path(output) / "log").read_text("utf-8", "replace")
                raise RuntimeError(f"{engine.name} ended with {ended.code}: {said[-2000:]}")
        rows.append(rows_of(archive))
        cpu_s.append(ended.cpu_s)
    cpu_ms = 1000 * (cpu_s[1] - cpu_s[0]) / (rows[1] - rows[0])
    return Night(running.pictures_per_s, cpu_ms, ended.peak_mb)


def lost(engine: Engine, environments: Path, archive: Path, folder: Path) -> int:
    """Declarations that come out in no row; all of them where the engine gives up."""
    with tempfile.TemporaryDirectory(dir=folder) as output, gpu(0.1) as running:
        ended = run(engine, environments, archive, running.address, Path(output))
        came = 0 if ended.code else len(engine.findings(Path(output)))
    return rows_of(archive) - came


def rows_of(archive: Path) -> int:
    """Declarations of an archive."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in archive.glob("*.parquet"))
