"""How often the rulings nearest to a picture have its true code, by features and dimensions.

python -m benchmarks.precedents --cases FILE --backbone FILE.keras [--work DIR]
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.unknown_goods import look
from hs.precedents import MOST_RECOMMENDED
from hs.storage.location import Location
from model.quiet import quiet_import

with quiet_import():
    from model.training.folds import hold_out
from model.training.novelty import principal_directions, unit_rows
from model.training.precedents import Precedents

FOLDS = 3
_DIMENSIONS = (32, 64, 128, 256, 512, 1280)
# What `train` takes where a part of the backbone stays frozen; what the whole backbone gives.
_FEATURES = {"marks": "map at the cut", "features": "last features"}


def main() -> None:
    """Prints a table for each way of holding pictures out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Location.parse, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--work", type=Path, help="keep what is computed on the way here")
    args = parser.parse_args()
    examples, rows = look(args.cases, args.backbone, args.work)
    for way in ("alike", "shifted"):
        table = Table("features", "dimensions", "nearest", "one of three", title=f"pictures held out: {way}")
        fold_of = hold_out(examples.labels, examples.groups, FOLDS, 0, way, rows["features"].__getitem__).fold_of
        for of, name in _FEATURES.items():
            for dimensions, shares in found(examples.labels, rows[of], fold_of).items():
                table.add_row(name, str(dimensions), *(f"{share:.3f}" for share in shares))
        Console(width=100).print(table)


def found(labels: np.ndarray, rows: np.ndarray, fold_of: np.ndarray) -> dict[int, tuple[float, float]]:
    """Dimensions → shares of pictures whose true code the nearest of all others has, and one of the three nearest.

    Args:
        labels: int [P], the class of each picture.
        rows: float32 [P, F], of each picture.
        fold_of: int [P], where each is held out.
    """
    right = {some: np.zeros((len(labels), MOST_RECOMMENDED), bool) for some in _dimensions(rows.shape[1])}
    for fold in range(FOLDS):
        held_out, others = fold_of == fold, fold_of != fold
        directions = principal_directions(rows[others], max(right))
        for dimensions, hits in right.items():
            some = directions[:, :dimensions]
            kept = Precedents(some, unit_rows(rows[others] @ some).astype(np.float16), labels[others], ())
            hits[held_out] = labels[others][kept.nearest(rows[held_out], MOST_RECOMMENDED)] == labels[held_out, None]
    return {some: (float(hits[:, 0].mean()), float(hits.any(axis=1).mean())) for some, hits in right.items()}


def _dimensions(features: int) -> list[int]:
    return sorted({min(some, features) for some in _DIMENSIONS})


if __name__ == "__main__":
    main()
