"""How well frozen features tell goods that were never seen: headings are left out, and told from known goods held out.

python -m benchmarks.unknown_goods --cases FILE --backbone FILE.keras [--headings 4] [--times 4] [--work DIR]
"""

import argparse
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu

from hs.pictures.decoding import PictureSize
from hs.storage.location import Location
from hs_audit.steps import Steps
from model.cases.reading import open_cases
from model.quiet import quiet_import

with quiet_import():
    from model.training.backbones import load_backbone
    from model.training.examples import Examples, Preparation, prepare
    from model.training.folds import hold_out
    from model.training.networks import cut
from model.training.novelty import Seen, look_at, look_at_frozen, marks
from model.training.recipes import PRETRAINED, HeldOut
from model.training.unknown_goods import KnownGoods, draw

_SHARE = 0.05  # of known goods
_PARTS = 3
Look = Callable[[np.ndarray], Seen]
# What novelty goes by, and how: the last is what `train` takes where a part of the backbone stays frozen.
MEASURES: dict[str, tuple[str, Look]] = {
    "last features, 32 directions": ("features", look_at),
    "last features, 128 directions": ("features", look_at_frozen),
    "map at the cut, 32 directions": ("marks", look_at),
    "map at the cut, 128 directions": ("marks", look_at_frozen),
}


def main() -> None:
    """Prints a table for each way of holding known goods out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Location.parse, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--headings", type=int, default=4, help="left out each time (default: %(default)s)")
    parser.add_argument("--times", type=int, default=4, help="how often (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keep what is computed on the way here")
    args = parser.parse_args()
    examples, rows = look(args.cases, args.backbone, args.work)
    for way in ("alike", "shifted"):
        _print(compare(examples, rows, args.headings, args.times, way), way)


def look(cases: Location, backbone: str, work: Path | None) -> tuple[Examples, dict[str, np.ndarray]]:
    """Pictures of cases without variants, and float32 [P, F] of each, by what they are: `features` or `marks`.

    Args:
        cases: to look at.
        backbone: a pretrained network, by its name or file.
        work: what is computed on the way is kept here; None for nowhere.
    """
    with nullcontext(work) if work else tempfile.TemporaryDirectory() as folder:
        examples = _look(cases, backbone, Path(folder))
        pictures = np.arange(len(examples.labels))
        assert examples.features is not None
        return examples, {
            "features": examples.features.read(examples.rows(pictures)),
            "marks": np.concatenate([marks(examples.inputs.read(examples.rows(pictures[[p]]))) for p in pictures]),
        }


def _look(cases: Location, backbone: str, folder: Path) -> Examples:
    network = load_backbone(backbone)
    parts = cut(network.network, PRETRAINED.tail_share)
    how = Preparation(network, parts, PictureSize(*network.height_width), 0, 0)
    opened = open_cases(cases)
    with Steps() as steps, steps.step(f"looking at the cases of {cases.name}", opened.count) as advance:
        return prepare(opened, how, folder, advance)


def compare(
    examples: Examples, rows: dict[str, np.ndarray], headings: int, times: int, way: HeldOut
) -> dict[str, np.ndarray]:
    """Measure → float [times, 3]: AUROC, unknown goods caught where 5 % of known ones are above, and with the bound.

    Args:
        examples: without variants.
        rows: float32 [P, F], of each picture, by what they are.
        headings: how many are left out each time.
        times: how often.
        way: how known goods are held out, a third each time.
    """
    heading = np.array([code[:4] for code in examples.classes])[examples.labels]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MEASURES}
    for seed in range(times):
        unknown = np.isin(heading, np.random.default_rng(seed).permutation(np.unique(heading))[:headings])
        known = np.flatnonzero(~unknown)
        _, labels = np.unique(examples.labels[known], return_inverse=True)
        groups = examples.groups[known]
        features = rows["features"][known]
        held_out = hold_out(labels, groups, _PARTS, seed, way, features.__getitem__).fold_of == 0
        for name, (of, look) in MEASURES.items():
            seen = look(rows[of][known[~held_out]])
            alarms, novel = seen.novelty(rows[of][known[held_out]]), seen.novelty(rows[of][unknown])
            area = float(mannwhitneyu(novel, alarms).statistic) / len(novel) / len(alarms)
            bound = draw([KnownGoods(alarms, groups[held_out])], _SHARE).novel_above
            caught = [float((novel > limit).mean()) for limit in (np.quantile(alarms, 1 - _SHARE), bound)]
            found[name].append((area, caught[0], caught[1]))
    return {name: np.array(of) for name, of in found.items()}


def _print(found: dict[str, np.ndarray], way: str) -> None:
    table = Table("measure", "AUROC", "caught", "with the bound", title=f"known goods held out: {way}")
    for name, of in found.items():
        table.add_row(name, *(f"{mean:.3f}" for mean in of.mean(axis=0)))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
