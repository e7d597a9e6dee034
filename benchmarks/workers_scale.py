"""Pictures per second and CPU per picture with 1, 2 and 4 workers, here and on Flink, beside as many loops of Pillow.

python -m benchmarks.workers_scale [--workers 1 2 4] [--engines local flink] [--times 3] [--rows 4000] [--output FILE]

Flink takes Java 17, Maven and Go, and builds its parts once, in a quarter of an hour: see `make cluster-test`.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.engines.night import rows_of, write_night
from benchmarks.material import draw, gpu
from benchmarks.measuring import SIZE, audit_arguments
from benchmarks.process_tree import watched
from tests.cluster.flink import flink
from tests.cluster.parts import build

_PER_PICTURE_MS = 0.1  # no limit to anybody
_SETTINGS = "decoding_threads: 1\n"  # a worker is a process for a core
_LOOP_PICTURES = 2000


@dataclass(frozen=True)
class Rate:
    """How fast pictures went, of all processes together.

    Attributes:
        pictures_per_s: by the clock.
        cpu_ms: for each picture.
    """

    pictures_per_s: float
    cpu_ms: float


@dataclass(frozen=True)
class Scaled:
    """A night by so many workers.

    Attributes:
        engine: `local` or `flink`.
        workers: processes that decode.
        night: from the first request to the last answer, with the CPU of launcher, engine and workers.
        loops: of Pillow alone, as many, just before.
        shuffled_bytes: that tasks hand to others, for each declaration; None where nothing is handed over.
    """

    engine: str
    workers: int
    night: Rate
    loops: Rate
    shuffled_bytes: float | None = None


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2, 4), help="(default: %(default)s)")
    parser.add_argument("--engines", nargs="+", choices=tuple(_MEASURE), default=tuple(_MEASURE))
    parser.add_argument("--times", type=int, default=3, help="how often each (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4000, help="pictures of the night (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="file for all that was measured, as JSON")
    args = parser.parse_args()
    pictures, found = draw(350, 350, 100), list[Scaled]()
    with tempfile.TemporaryDirectory(prefix="workers-") as temporary:
        folder = Path(temporary)
        archives = [write_night(folder / str(rows), pictures, rows) for rows in (args.rows // 10, args.rows)]
        for _ in range(args.times):
            for workers in args.workers:
                found += [_MEASURE[engine](archives, pictures, workers, folder) for engine in args.engines]
    _print(found, Console(width=None if sys.stdout.isatty() else 120))
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        measured = {
            "cores": len(os.sched_getaffinity(0)),
            "rows": args.rows,
            "measured": [asdict(one) for one in found],
        }
        args.output.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def local(archives: Sequence[Path], pictures: list[bytes], workers: int, folder: Path) -> Scaled:
    """Beam's own engine, its workers as processes."""
    flags = ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
    bare = loops(pictures, workers)
    return Scaled("local", workers, _night(archives[-1], flags, folder), bare)


def on_flink(archives: Sequence[Path], pictures: list[bytes], workers: int, folder: Path) -> Scaled:
    """Flink on this machine: a JobManager, and a TaskManager of one slot for each worker."""
    with _folder(folder) as cluster_folder, flink(build(), cluster_folder, workers) as cluster:
        engine = (cluster.job_manager.pid, *(each.pid for each in cluster.task_managers.values()))
        for archive in archives:  # the small one warms it up
            bare = loops(pictures, workers)
            night = _night(archive, cluster.flags, folder, cluster.processes.variables(), engine)
        return Scaled("flink", workers, night, bare, cluster.shuffled_bytes() / sum(map(rows_of, archives)))


_MEASURE = {"local": local, "flink": on_flink}


def _night(
    archive: Path,
    flags: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] = os.environ,
    engine: Sequence[int] = (),
) -> Rate:
    with _folder(folder) as output, gpu(_PER_PICTURE_MS) as served:
        arguments = audit_arguments(archive / "*.parquet", output, f"--server={served.address}", _SETTINGS)
        command = [sys.executable, "-m", "hs_audit.cli", *arguments, *flags]
        ended = watched(command, output / "log", environment, engine, every_s=0.5)
        if ended.code:
            said = (output / "log").read_text("utf-8", "replace")
            raise RuntimeError(f"hs-audit ended with {ended.code}: {said[-2000:]}")
    clock_s = time.time() - time.monotonic()  # looks are by the one, what the server says is by the other
    began_at, ended_at = (clock_s + served.counted[name] for name in ("began_at", "ended_at"))
    at, cpu_s = [look.at for look in ended.looks], [look.cpu_s for look in ended.looks]
    used_s = np.interp(ended_at, at, cpu_s) - np.interp(began_at, at, cpu_s)
    return Rate(served.pictures_per_s, 1000 * float(used_s) / served.counted["pictures"])


def loops(pictures: list[bytes], workers: int) -> Rate:
    """Bare Pillow, in as many processes."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        list(processes.map(_loop, [pictures] * workers, [1] * workers))  # all of them have started
        began_at = time.monotonic()
        cpu_s = sum(processes.map(_loop, [pictures] * workers, [_LOOP_PICTURES] * workers))
        seconds = time.monotonic() - began_at
    count = workers * _LOOP_PICTURES
    return Rate(count / seconds, 1000 * cpu_s / count)


def _loop(pictures: list[bytes], count: int) -> float:
    began_at = time.process_time()
    for number in range(count):
        image = Image.open(io.BytesIO(pictures[number % len(pictures)]))
        np.asarray(image.convert("RGB").resize((SIZE.width, SIZE.height), Image.Resampling.BILINEAR))
    return time.process_time() - began_at


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def _print(found: list[Scaled], console: Console) -> None:
    table = Table(title="medians; in brackets: of as many loops of Pillow alone, just before")
    for column in ("workers", "engine", "pictures/s", "CPU ms/picture", "bytes shuffled/declaration"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for workers, engine in dict.fromkeys((one.workers, one.engine) for one in found):
        ours = [one for one in found if (one.workers, one.engine) == (workers, engine)]
        speed = [one.night.pictures_per_s for one in ours]
        of_speed = [one.night.pictures_per_s / one.loops.pictures_per_s for one in ours]
        cpu_ms = [one.night.cpu_ms for one in ours]
        of_cpu = [one.night.cpu_ms / one.loops.cpu_ms for one in ours]
        shuffled = [one.shuffled_bytes for one in ours if one.shuffled_bytes is not None]
        table.add_row(
            str(workers),
            engine,
            f"{median(speed):.0f} ({median(of_speed):.2f})",
            f"{median(cpu_ms):.2f} ({median(of_cpu):.2f})",
            f"{median(shuffled):.1f}" if shuffled else "",
        )
    console.print(table)


if __name__ == "__main__":
    main()
