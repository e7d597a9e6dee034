"""`hs-audit experiment`: a grid of trainings from one YAML file, side by side in a table and plots.

Cells that are done are not done again: an interrupted grid goes on where it was. A cell is another one as soon as
anything that decides on it is: what it learns from and how, the seed, the network or its weights.
"""

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hs.files import write_whole
from hs.proportions import Rate
from hs_audit.steps import Steps
from hs_audit.terminal import PlainConsole
from model.quiet import quiet_import

_KS = (1, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "--config", type=Path, required=True, help="the grid; `hs-audit config paper` prints the paper's"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the grid and writes results.csv and index.html."""
    from model.experiments.plan import cells_of, load_experiments

    grid = load_experiments(args.config)
    with quiet_import():
        from model.experiments.cells import folder_of, measure_cell, prepare_dataset
        from model.experiments.results import experiments_page, results_table

    grid.output.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    with Steps() as steps:
        datasets = {name: prepare_dataset(name, grid, steps.step) for name in grid.datasets}
        for sweep in grid.sweeps:
            best = _best_batch_size(results, sweep.best_batch_size_of)
            for cell in cells_of(sweep, best):
                dataset = datasets[cell.dataset]
                path = folder_of(cell, grid, dataset) / "result.json"
                if not path.exists():
                    steps.say(
                        f"{sweep.name}: {cell.dataset}, {cell.backbone}, {cell.epochs} epochs of {cell.batch_size}"
                    )
                    started = time.monotonic()
                    measured = measure_cell(cell, grid, dataset, path.parent, steps.step)
                    measured["seconds"] = round(time.monotonic() - started, 1)
                    write_whole(path, json.dumps(measured, indent=2) + "\n")
                # Read back also where it was just measured: JSON makes text of the keys.
                results.append(json.loads(path.read_text(encoding="utf-8")) | cell.model_dump())
    write_whole(grid.output / "results.csv", results_table(results))
    write_whole(grid.output / "index.html", experiments_page(results, args.config.name))
    _print(results, PlainConsole())
    print(f"written: {grid.output / 'index.html'}, {grid.output / 'results.csv'}")
    return 0


def _best_batch_size(results: Iterable[dict[str, Any]], sweep: str | None) -> int | None:
    """That of the cell which did best on held-out cases of its own training side: the test side measures only."""
    if sweep is None:
        return None
    cells = [result for result in results if result["sweep"] == sweep]
    return max(cells, key=lambda cell: (cell["held_out_top_1"], -cell["batch_size"]))["batch_size"]


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
        table.add_row(*map(str, cells), *(str(Rate(*result["top"][str(k)])) for k in _KS))
    console.print(table)
