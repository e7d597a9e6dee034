"""`python -m benchmarks.engines [ENGINE …]`: the same night by other engines and by ours, alternately in one run."""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.engines.engine import ENGINES, OURS, Engine
from benchmarks.engines.night import Night, lost, measure, write_night
from benchmarks.material import draw
from benchmarks.measuring import decoding_rate


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser("benchmarks.engines", description=__doc__)
    # []: argparse compares the list of no words with the choices, too.
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], metavar="ENGINE", help=", ".join(ENGINES))
    parser.add_argument("--environments", type=Path, default=Path(".venv-peers"), help="(default: %(default)s)")
    parser.add_argument("--times", type=int, default=5, help="how often each (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=4000, help="pictures of the night (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="file for all that was measured, as JSON")
    args = parser.parse_args()
    engines = [OURS, *(ENGINES[name] for name in args.engines or ENGINES)]
    pictures = draw(350, 350, 100)
    nights: dict[str, list[Night]] = {engine.name: [] for engine in engines}
    with tempfile.TemporaryDirectory(prefix="engines-") as temporary:
        folder = Path(temporary)
        few, many = (write_night(folder / str(rows), pictures, rows) for rows in (args.rows // 10, args.rows))
        broken = write_night(folder / "broken", [*pictures[:49], pictures[0][: len(pictures[0]) // 2]], args.rows)
        for _ in range(args.times):
            for engine in engines:
                cost_ms = 1000 / decoding_rate(pictures, 1000)
                nights[engine.name].append(measure(engine, args.environments, (few, many), folder, cost_ms))
        rows_lost = {engine.name: lost(engine, args.environments, broken, folder) for engine in engines}
    _print(engines, nights, rows_lost, args.rows)
    if args.output:
        measured = {
            name: {"nights": [asdict(night) for night in found], "rows_lost": rows_lost[name]}
            for name, found in nights.items()
        }
        cores = len(os.sched_getaffinity(0))
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps({"cores": cores, "rows": args.rows, "engines": measured}, indent=2) + "\n")


def _print(engines: list[Engine], nights: dict[str, list[Night]], rows_lost: dict[str, int], rows: int) -> None:
    table = Table(title="median; in brackets ours / its, the median of the pairs")
    for column in ("engine", "pictures/s", "CPU ms/picture", f"rows lost of {rows}", "peak MB", "lines"):
        table.add_column(column, justify="left" if column == "engine" else "right")
    for engine in engines:
        speed, cpu, peak = (
            _beside(nights[OURS.name], nights[engine.name], name) for name in ("pictures_per_s", "cpu_ms", "peak_mb")
        )
        table.add_row(engine.name, speed, cpu, str(rows_lost[engine.name]), peak, str(engine.lines()))
    Console(width=None if sys.stdout.isatty() else 120).print(table)  # in a file Rich would fold it at 80


def _beside(ours: list[Night], theirs: list[Night], name: str) -> str:
    pairs = [(getattr(one, name), getattr(other, name)) for one, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(one / other for one, other in pairs)
    return f"{statistics.median(other for _, other in pairs):.3g} ({ratio:.2f})"


if __name__ == "__main__":
    main()
