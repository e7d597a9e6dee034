"""`hs-audit experiment`: a grid of trainings from one YAML file, side by side in a table and plots.

Cells that are done are not done again: an interrupted grid goes on where it was.
"""

import argparse
import csv
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model.quiet import quiet_import
from pipeline.rules.statistics import Rate

_KS = (1, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "--config", type=Path, required=True, help="the grid; `hs-audit config paper` prints the paper's"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the grid and writes results.csv and index.html."""
    from model.experiments import cells_of, load_experiments

    grid = load_experiments(args.config)
    with quiet_import():
        from model.grid import measure_cell, prepare_dataset
        from model.progress import Steps

    grid.output.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    with Steps() as steps:
        folders = {name: prepare_dataset(name, grid, steps) for name in grid.datasets}
        for sweep in grid.sweeps:
            best = _best_batch_size(results, sweep.best_batch_size_of)
            for cell in cells_of(sweep, best):
                path = grid.output / "cells" / cell.name / "result.json"
                if not path.exists():
                    steps.say(
                        f"{sweep.name}: {cell.dataset}, {cell.backbone}, {cell.epochs} epochs of {cell.batch_size}"
                    )
                    started = time.monotonic()
                    measured = measure_cell(cell, grid, folders[cell.dataset], path.parent, steps)
                    _write_whole(path, measured | {"seconds": round(time.monotonic() - started, 1)})
                results.append(json.loads(path.read_text(encoding="utf-8")) | cell.model_dump())
    _write_table(results, grid.output / "results.csv")
    (grid.output / "index.html").write_text(_page(results, args.config), encoding="utf-8")
    _print(results, Console())
    print(f"written: {grid.output / 'index.html'}, {grid.output / 'results.csv'}")
    return 0


def _best_batch_size(results: Iterable[dict[str, Any]], sweep: str | None) -> int | None:
    """That of the cell which did best on held-out cases of its own training side: the test side measures only."""
    if sweep is None:
        return None
    cells = [result for result in results if result["sweep"] == sweep]
    return max(cells, key=lambda cell: (cell["held_out_top_1"], -cell["batch_size"]))["batch_size"]


def _write_whole(path: Path, result: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def _rate(result: dict[str, Any], k: int) -> Rate:
    return Rate(*result["top"][str(k)])


def _write_table(results: list[dict[str, Any]], path: Path) -> None:
    header = ("sweep", "dataset", "backbone", "epochs", "batch_size", "top_1", "low", "high", "top_3", "macro_f1",
              "calibration_error", "held_out_top_1", "pictures")  # fmt: skip
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for result in results:
            first, third = _rate(result, 1), _rate(result, 3)
            numbers = (first.share, *first.interval, third.share, result["macro_f1"], result["calibration_error"])
            writer.writerow(
                [
                    *(result[name] for name in header[:5]),
                    *(f"{number:.4f}" for number in (*numbers, result["held_out_top_1"])),
                    first.of,
                ]
            )


def _page(results: list[dict[str, Any]], config: Path) -> str:
    from model.figures import grouped_bars
    from model.pages import render

    sweeps: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        sweeps.setdefault(result["sweep"], []).append(result)
    plots = {}
    for name, cells in sweeps.items():
        bars: dict[str, dict[str, tuple[float, float, float]]] = {}
        for cell in cells:
            rate = _rate(cell, 1)
            low, high = rate.interval
            label = f"{cell['epochs']} epochs of {cell['batch_size']}"
            bars.setdefault(f"{cell['dataset']}\n{Path(cell['backbone']).stem}", {})[label] = (
                low,
                rate.share or 0,
                high,
            )
        plots[name] = grouped_bars(bars, "top-1 on the test side, originals")
    return render(
        "experiment.html", config=config.name, sweeps=sweeps, plots=plots, top=_rate, stem=lambda p: Path(p).stem
    )


def _print(results: list[dict[str, Any]], console: Console) -> None:
    table = Table("sweep", "data set", "backbone", "epochs", "batch", "top-1", "top-3")
    for result in results:
        cells = (
            result["sweep"],
            result["dataset"],
            Path(result["backbone"]).stem,
            result["epochs"],
            result["batch_size"],
        )
        table.add_row(*map(str, cells), *(str(_rate(result, k)) for k in _KS))
    console.print(table)
