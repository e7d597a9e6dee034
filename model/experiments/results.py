"""The cells of a grid side by side: as CSV, and as a page with plots."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hs.html import template
from hs.proportions import Rate
from model.evaluation.figures import grouped_bars

Result = dict[str, Any]


def results_table(results: Sequence[Result]) -> str:
    """The cells as CSV, one a line."""
    header = ("sweep", "dataset", "backbone", "epochs", "batch_size", "top_1", "low", "high", "top_3", "macro_f1",
              "calibration_error", "held_out_top_1", "pictures")  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    for result in results:
        first, third = _rate(result, 1), _rate(result, 3)
        numbers = (first.share, *first.interval, third.share, result["macro_f1"], result["calibration_error"])
        shown = (f"{number:.4f}" for number in (*numbers, result["held_out_top_1"]))
        writer.writerow([*(result[name] for name in header[:5]), *shown, first.of])
    return out.getvalue()


def experiments_page(results: Sequence[Result], name: str) -> str:
    """The page of a grid.

    Args:
        results: of all cells.
        name: of the grid.
    """
    sweeps: dict[str, list[Result]] = {}
    for result in results:
        sweeps.setdefault(result["sweep"], []).append(result)
    plots = {}
    for sweep, cells in sweeps.items():
        bars: dict[str, dict[str, tuple[float, float, float]]] = {}
        for cell in cells:
            rate = _rate(cell, 1)
            low, high = rate.interval
            bar = f"{cell['epochs']} epochs of {cell['batch_size']}"
            group = f"{cell['dataset']}\n{Path(cell['backbone']).stem}"
            bars.setdefault(group, {})[bar] = (low, rate.share or 0, high)
        plots[sweep] = grouped_bars(bars, "top-1 on the test side, originals")
    page = template("model", "experiment.html")
    return page.render(config=name, sweeps=sweeps, plots=plots, top=_rate, stem=lambda path: Path(path).stem)


def _rate(result: Result, k: int) -> Rate:
    return Rate(*result["top"][str(k)])
