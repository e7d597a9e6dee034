"""`python -m benchmarks [PART …] [--quick] [--output DIR]`: ratios of two things measured alternately in one run."""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Measured, Scale
from benchmarks.parts import PARTS

_QUICK = ("slow-server", "two-cores", "start-up")
_GROSS = 2.0  # machines are noisy: only what is twice as bad as it should be is a regression
_PACKAGES = ("apache-beam", "grpcio", "numpy", "pillow", "protobuf", "pyarrow", "tensorflow")


def main() -> int:
    """Measures; 1 where a quick run is twice as bad as it should be."""
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    # []: argparse compares the list of no words with the choices, too.
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"all, or {', '.join(PARTS)}")
    parser.add_argument("--times", type=int, default=Scale.times, help="how often each side (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few parts, once; fails on a gross regression")
    parser.add_argument(
        "--cases", type=Path, metavar="FILE", help="Parquet with photographs to use instead of drawn ones"
    )
    parser.add_argument(
        "--saved-model", type=Path, metavar="MODEL", help="of these cases: do its answers stay the same?"
    )
    parser.add_argument("--output", type=Path, help="folder for results.json and results.png")
    args = parser.parse_args()
    names = args.parts or (_QUICK if args.quick else PARTS)
    scale = Scale(times=1, rows=1500, peer_rows=100) if args.quick else Scale(times=args.times)
    scale = replace(scale, cases=args.cases, saved_model=args.saved_model)
    console = Console(stderr=True)
    found: list[Measured] = []
    for name in names:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            found += [replace(one, part=name) for one in PARTS[name](scale, Path(folder))]
        console.print(f"{name}: {time.monotonic() - started:.0f} s", style="dim", highlight=False)
        if args.output:  # after each: a run of half an hour may be interrupted
            _write(found, args.output)
    _print(found, Console(width=None if sys.stdout.isatty() else 120))  # in a file Rich would fold it at 80
    return int(args.quick and not all(one.within(_GROSS) for one in found))


def _print(found: list[Measured], console: Console) -> None:
    table = Table("part", "what", "target", "measured", "min to max", "")
    for one in found:
        spread = f"{min(one.ratios):.3g} to {max(one.ratios):.3g}"
        table.add_row(one.part, one.what, one.target, f"{one.median:.3g}", spread, "" if one.within() else "missed")
    console.print(table)


def _write(found: list[Measured], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
    }
    results = {"machine": machine, "results": [asdict(one) | {"median": one.median} for one in found]}
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _draw(found, folder / "results.png")


def _draw(found: list[Measured], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = [(one, one.bound) for one in reversed(found) if one.bound]
    figure, axes = pyplot.subplots(figsize=(9, 0.4 * len(drawn) + 1), layout="constrained")
    for row, (one, bound) in enumerate(drawn):
        shares = [ratio / bound for ratio in one.ratios]
        axes.plot(shares, [row] * len(shares), "o", color="tab:blue" if one.within() else "tab:red", alpha=0.6)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")  # twice and half the target are equally far from it
    axes.set_yticks(range(len(drawn)), [f"{one.part}: {one.what} {one.target}" for one, _ in drawn], fontsize=7)
    axes.set_xlabel("measured / target")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
