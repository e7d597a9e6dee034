"""Pictures per second and CPU per picture with 1, 2 and 4 workers, here and on Flink, beside as many loops of Pillow.

python -m benchmarks.workers_scale [--workers 1 2 4] [--engines local flink] [--rows 4000] [--output FILE]

Flink takes Java 17, Maven and Go, and builds its parts once, in a quarter of an hour: see `make cluster-test`.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.engines.night import write_night
from benchmarks.material import Gpu, draw, gpu
from benchmarks.measuring import SIZE, audit_arguments
from benchmarks.process_tree import Ended, watched
from tests.cluster.flink import flink
from tests.cluster.parts import build

_PER_PICTURE_MS = 0.1  # no limit to anybody
_SETTINGS = "decoding_threads: 1\n"  # a worker is a process for a core
_LOOP_PICTURES = 1000

Run = Callable[[list[str], Path], Ended]


@dataclass(frozen=True)
class Scaled:
    """A night by so many workers.

    Attributes:
        engine: `local`, `flink`, or `loops` of Pillow alone.
        workers: processes that decode.
        pictures_per_s: from the first request to the last answer; of loops, all of them together.
        cpu_ms: of launcher, engine and workers, for one picture more.
        shuffled_bytes: that tasks hand to others, for each declaration; None where nothing is handed over.
    """

    engine: str
    workers: int
    pictures_per_s: float
    cpu_ms: float
    shuffled_bytes: float | None = None


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2, 4), help="(default: %(default)s)")
    parser.add_argument("--engines", nargs="+", choices=("local", "flink"), default=("local", "flink"))
    parser.add_argument("--rows", type=int, default=4000, help="pictures of the night (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="file for all that was measured, as JSON")
    args = parser.parse_args()
    measure = {"local": local, "flink": on_flink}
    pictures, found = draw(350, 350, 100), list[Scaled]()
    with tempfile.TemporaryDirectory(prefix="workers-") as temporary:
        folder = Path(temporary)
        nights = tuple((rows, write_night(folder / str(rows), pictures, rows)) for rows in (args.rows // 10, args.rows))
        for workers in args.workers:
            found.append(loops(pictures, workers))
            for engine in args.engines:
                found.append(measure[engine](nights, workers, folder))
    _print(found, Console(width=None if sys.stdout.isatty() else 120))
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        measured = {
            "cores": len(os.sched_getaffinity(0)),
            "rows": args.rows,
            "measured": [asdict(one) for one in found],
        }
        args.output.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def loops(pictures: list[bytes], workers: int) -> Scaled:
    """Bare Pillow, in as many processes."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        list(processes.map(_loop, [pictures] * workers, [1] * workers))  # all of them have started
        began_at = time.monotonic()
        cpu_s = sum(processes.map(_loop, [pictures] * workers, [_LOOP_PICTURES] * workers))
        seconds = time.monotonic() - began_at
    count = workers * _LOOP_PICTURES
    return Scaled("loops", workers, count / seconds, 1000 * cpu_s / count)


def _loop(pictures: list[bytes], count: int) -> float:
    began_at = time.process_time()
    for number in range(count):
        image = Image.open(io.BytesIO(pictures[number % len(pictures)]))
        np.asarray(image.convert("RGB").resize((SIZE.width, SIZE.height), Image.Resampling.BILINEAR))
    return time.process_time() - began_at


def local(nights: tuple[tuple[int, Path], ...], workers: int, folder: Path) -> Scaled:
    """Beam's own engine, its workers as processes."""
    flags = ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
    served, cpu_ms = _few_and_many(nights, flags, folder, watched)
    return Scaled("local", workers, served.pictures_per_s, cpu_ms)


def on_flink(nights: tuple[tuple[int, Path], ...], workers: int, folder: Path) -> Scaled:
    """Flink on this machine: a JobManager, and a TaskManager of one slot for each worker."""
    with _folder(folder) as cluster_folder, flink(build(), cluster_folder, workers) as cluster:

        def run(command: list[str], log: Path) -> Ended:
            engine = [cluster.job_manager.pid, *(each.pid for each in cluster.task_managers.values())]
            return watched(command, log, cluster.processes.variables(), engine)

        served, cpu_ms = _few_and_many(nights, list(cluster.flags), folder, run)
        shuffled = cluster.shuffled_bytes() / sum(rows for rows, _ in (nights[0], *nights))
    return Scaled("flink", workers, served.pictures_per_s, cpu_ms, shuffled)


def _few_and_many(nights: tuple[tuple[int, Path], ...], flags: list[str], folder: Path, run: Run) -> tuple[Gpu, float]:
    """The server of the large night, and milliseconds for one picture more."""
    cpu_s = []
    for _, archive in (nights[0], *nights):  # first once for the engine to warm up
        with _folder(folder) as output, gpu(_PER_PICTURE_MS) as served:
            arguments = audit_arguments(archive / "*.parquet", output, f"--server={served.address}", _SETTINGS)
            ended = run([sys.executable, "-m", "hs_audit.cli", *arguments, *flags], output / "log")
            if ended.code:
                said = (output / "log").read_text("utf-8", "replace")
                raise RuntimeError(f"hs-audit ended with {ended.code}: {said[-2000:]}")
        cpu_s.append(ended.cpu_s)
    (few, _), (many, _) = nights
    return served, 1000 * (cpu_s[2] - cpu_s[1]) / (many - few)


@contextmanager
def _folder(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def _print(found: list[Scaled], console: Console) -> None:
    table = Table(title="in brackets: of as many loops")
    for column in ("workers", "engine", "pictures/s", "CPU ms/picture", "bytes shuffled/declaration"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    bare = {one.workers: one for one in found if one.engine == "loops"}
    for one in found:
        loop = bare[one.workers]
        speed = f"{one.pictures_per_s:.0f} ({one.pictures_per_s / loop.pictures_per_s:.2f})"
        cpu = f"{one.cpu_ms:.2f} ({one.cpu_ms / loop.cpu_ms:.2f})"
        shuffled = "" if one.shuffled_bytes is None else f"{one.shuffled_bytes:.1f}"
        table.add_row(str(one.workers), one.engine, speed, cpu, shuffled)
    console.print(table)


if __name__ == "__main__":
    main()
