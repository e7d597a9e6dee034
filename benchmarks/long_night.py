"""Nights of 10,000, 100,000 and a million declarations, end to end: time, memory of each step, and what is written.

python -m benchmarks.long_night [--declarations 10000 100000 1000000] [--output FILE] [-- FLAG OF BEAM …]
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.long_archive import SIDE, write_night
from benchmarks.material import gpu
from benchmarks.measuring import audit_arguments, published
from benchmarks.process_tree import Look, watched

_SETTINGS = "log_format: json\n"  # the end of each step stands in the log
_TOOK = " took "
_MOST_LAUNCHER_MB, _MOST_GROWTH = 600, 1.05
_LOOP = 1_000_000  # some 20 ms


@dataclass(frozen=True)
class Step:
    """A step of a run.

    Attributes:
        name: as the manifest has it.
        seconds: by the clock.
        launcher_mb, workers_mb: the most that they held in it, shared pages counted once (PSS).
    """

    name: str
    seconds: float
    launcher_mb: float
    workers_mb: float


@dataclass(frozen=True)
class Audited:
    """What a night took.

    Attributes:
        declarations: of the night.
        seconds: from the start of the interpreter to the end of the process.
        cpu_s: of the launcher and all that it started, without the stand-in.
        loop_ms: what a loop that never changes took beside it, on average: machines change their speed.
        steps: in order; what comes before the first is starting.
        archive_bytes, findings_bytes, worklist_bytes, page_bytes: of files.
    """

    declarations: int
    seconds: float
    cpu_s: float
    loop_ms: float
    steps: tuple[Step, ...]
    archive_bytes: int
    findings_bytes: int
    worklist_bytes: int
    page_bytes: int

    @property
    def launcher_mb(self) -> float:
        """The most that the launcher held."""
        return max(step.launcher_mb for step in self.steps)

    @property
    def workers_mb(self) -> float:
        """The most that the workers held together; 0 where they are threads of the launcher."""
        return max(step.workers_mb for step in self.steps)


def main() -> int:
    """Measures and prints; 1 where a night was not published or does not add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = (10_000, 100_000, 1_000_000)
    parser.add_argument("--declarations", type=int, nargs="+", default=sizes, help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, help="file for all that was measured, as JSON")
    parser.add_argument("beam_flags", nargs="*", help="of Beam, behind --")
    args = parser.parse_args()
    console, nights = Console(stderr=True), list[Audited]()
    for declarations in sorted(args.declarations):
        console.print(_estimate(declarations, nights), highlight=False)
        with tempfile.TemporaryDirectory(prefix="long-night-") as folder:
            nights.append(audited(Path(folder), declarations, args.beam_flags))
        if args.output:  # after each: a night of hours may be interrupted
            args.output.parent.mkdir(parents=True, exist_ok=True)
            args.output.write_text(json.dumps(_as_json(nights), indent=2) + "\n", encoding="utf-8")
    _print(nights, Console(width=None if sys.stdout.isatty() else 120))
    return 0


def audited(folder: Path, declarations: int, beam_flags: Sequence[str] = ()) -> Audited:
    """Writes a night, audits it, and measures that.

    Raises:
        RuntimeError: if it was not published, or has not as many findings as declarations.
    """
    archive = write_night(folder / "archive", declarations)
    with gpu(per_picture_ms=0.1, side=SIDE) as running, _loops_beside() as loops_ms:
        arguments = audit_arguments(archive / "*.parquet", folder, f"--server={running.address}", _SETTINGS)
        began_at = time.time()
        ended = watched([sys.executable, "-m", "hs_audit.cli", *arguments, *beam_flags], folder / "log")
        seconds = time.time() - began_at
    if ended.code:
        raise RuntimeError(f"hs-audit ended with {ended.code}: {(folder / 'log').read_text('utf-8')[-2000:]}")
    run = published(folder)
    findings = json.loads((run / "manifest.json").read_text("utf-8"))["rows"]["findings"]
    if findings != declarations:
        raise RuntimeError(f"{findings} findings of {declarations} declarations")
    return Audited(
        declarations,
        seconds,
        ended.cpu_s,
        mean(loops_ms),
        tuple(_steps(folder / "audits" / "_logs", began_at, ended.looks)),
        *(_bytes(files) for files in ((archive, ""), (run, "findings/"), (run, "worklist."), (run, "report.html"))),
    )


@contextmanager
def _loops_beside() -> Iterator[list[float]]:
    """Milliseconds of CPU that a loop takes, every two seconds."""
    took_ms, ended = list[float](), threading.Event()

    def measure() -> None:
        while not took_ms or not ended.wait(2.0):
            began_at = time.thread_time()
            sum(range(_LOOP))
            took_ms.append(1000 * (time.thread_time() - began_at))

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield took_ms
    finally:
        ended.set()
        thread.join()


def _steps(logs: Path, began_at: float, looks: Sequence[Look]) -> Iterator[Step]:
    """The steps by the log of the run, and what was held from the end of one to that of the next."""
    (log,) = logs.glob("*.log")
    lines = map(json.loads, log.read_text("utf-8").splitlines())
    ends = [(datetime.fromisoformat(line["time"]).timestamp(), line["message"]) for line in lines]
    named = [(at, message.partition(_TOOK)[0]) for at, message in ends if _TOOK in message]
    for (begin, _), (end, name) in pairwise([(began_at, ""), *named]):
        held = [look for look in looks if begin < look.at <= end] or [min(looks, key=lambda look: abs(look.at - end))]
        yield Step(name, end - begin, max(look.launcher_mb for look in held), max(look.others_mb for look in held))


def _bytes(files: tuple[Path, str]) -> int:
    folder, prefix = files
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).as_posix().startswith(prefix)
    )


def _estimate(declarations: int, before: list[Audited]) -> str:
    if not before:
        return f"{declarations:,} declarations; how long is not known yet"
    minutes = before[-1].seconds * declarations / before[-1].declarations / 60
    return f"{declarations:,} declarations; at the pace of the night before: {minutes:.0f} minutes, and to write them"


def _as_json(nights: list[Audited]) -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "nights": [asdict(night) for night in nights],
        "marginal_ms": [1000 * s for s in _marginal(nights, lambda night: night.seconds)],
    }


def _marginal(nights: list[Audited], taken: Callable[[Audited], float]) -> list[float]:
    """What each declaration more took, from one night to the next."""
    return [(taken(many) - taken(few)) / (many.declarations - few.declarations) for few, many in pairwise(nights)]


def _print(nights: list[Audited], console: Console) -> None:
    table = Table("", *(f"{night.declarations:,}" for night in nights), title="nights by their declarations")
    table.add_row("seconds", *(f"{night.seconds:.0f}" for night in nights))
    table.add_row("declarations/s", *(f"{night.declarations / night.seconds:.0f}" for night in nights))
    table.add_row("CPU ms/declaration", *(f"{1000 * night.cpu_s / night.declarations:.2f}" for night in nights))
    table.add_row("ms of a loop beside it", *(f"{night.loop_ms:.1f}" for night in nights))
    marginal = _marginal(nights, lambda night: night.seconds)
    table.add_row("ms for each declaration more", "", *(f"{1000 * seconds:.3f}" for seconds in marginal))
    ways: dict[str, Callable[[Audited], float]] = {
        "": lambda night: night.seconds,
        ", by the loop's time": lambda night: night.seconds / night.loop_ms,
        ", CPU by the loop's time": lambda night: night.cpu_s / night.loop_ms,
    }
    for way, taken in ways.items():
        growth = (f"{later / earlier:.2f}" for earlier, later in pairwise(_marginal(nights, taken)))
        table.add_row(f"/ that before{way}, <= {_MOST_GROWTH}", *[""] * min(2, len(nights)), *growth)
    table.add_row(f"launcher, peak MB, <= {_MOST_LAUNCHER_MB}", *(f"{night.launcher_mb:.0f}" for night in nights))
    table.add_row("workers, peak MB", *(f"{night.workers_mb:.0f}" for night in nights))
    for name in ("archive", "findings", "worklist", "page"):
        table.add_row(f"{name}, MB", *(f"{getattr(night, f'{name}_bytes') / 1e6:.1f}" for night in nights))
    console.print(table)
    steps = Table("step: seconds, launcher MB, workers MB", *(f"{night.declarations:,}" for night in nights))
    for each in zip(*(night.steps for night in nights), strict=True):
        held = (f"{step.seconds:.1f}, {step.launcher_mb:.0f}, {step.workers_mb:.0f}" for step in each)
        steps.add_row(each[0].name, *held)
    console.print(steps)


if __name__ == "__main__":
    sys.exit(main())
