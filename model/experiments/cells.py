"""One cell of a grid of experiments: a data set is drawn, a network is trained, and the test side measures it.

Data sets and cells are kept under the key of everything that decides on them: what is there under its key is done.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hs.errors import UsageError
from hs.files import sha256_of, write_whole
from model.cases.data_sets import PRESETS
from model.cases.drawing import draw, planned_as
from model.cases.reading import open_cases, refuse_others
from model.evaluation.metrics import confusion_matrix, per_class
from model.experiments.plan import Cell, Experiments, Learning
from model.exported.export import export_trained
from model.exported.predictions import Predictions, predict
from model.keys import key_of
from model.measures import calibration_error, top_k
from model.task import Task
from model.training.backbones import load_backbone
from model.training.networks import Devices
from model.training.recipes import Phase, Recipe
from model.training.trainer import Trainer

_KS = (1, 3, 5)


@dataclass(frozen=True)
class Prepared:
    """A data set that is there.

    Attributes:
        folder: with train.parquet and test.parquet.
        digests: of both.
    """

    folder: Path
    digests: tuple[str, str]


def prepare_dataset(name: str, grid: Experiments, task: Task) -> Prepared:
    """Finds a data set; one that is a preset is drawn unless that was done from the same cases in the same way.

    Raises:
        UsageError: if it lacks one of both files, or the cases are too few.
    """
    wanted = grid.datasets[name]
    folder = _drawn(name, wanted.preset, grid, task) if wanted.preset else wanted.path
    assert folder is not None
    for side in ("train", "test"):
        if not (folder / f"{side}.parquet").is_file():
            raise UsageError(f"the data set {folder} has no {side}.parquet; `hs-audit dataset` makes one")
    return Prepared(folder, (sha256_of(folder / "train.parquet"), sha256_of(folder / "test.parquet")))


def _drawn(name: str, preset: str, grid: Experiments, task: Task) -> Path:
    assert grid.cases is not None
    cases = open_cases(grid.cases, all_pictures=False)
    key = key_of(cases.digest(), asdict(PRESETS[preset]), grid.seed, grid.size)
    folder = grid.output / "datasets" / f"{name}-{key}"
    if not (folder / "counts.json").exists():
        drawn = draw(
            cases, folder, planned_as(preset), lambda step, total: task(f"{name}: {step}", total),
            exact=True, seed=grid.seed, side_px=grid.size,
        )  # fmt: skip
        # Last, as it says that the data set is whole.
        write_whole(folder / "counts.json", json.dumps(drawn.counts, indent=2) + "\n")
    return folder


def folder_of(cell: Cell, grid: Experiments, dataset: Prepared) -> Path:
    """Where the model and the results of a cell lie."""
    # By content, as other weights may come under the same name.
    network = {
        name: sha256_of(Path(value)) if isinstance(value, str) and Path(value).is_file() else value
        for name, value in _network(cell, grid).items()
    }
    key = key_of(dataset.digests, network, cell.epochs, cell.batch_size, grid.learning.model_dump(), grid.seed)
    shown = f"{cell.dataset}-{Path(cell.backbone).stem}-{cell.epochs}-{cell.batch_size}"
    return grid.output / "cells" / f"{shown}-{key}"


def _network(cell: Cell, grid: Experiments) -> dict[str, Any]:
    """What `load_backbone` is asked for; a network in a file brings its weights and its size along."""
    if Path(cell.backbone).suffix == ".keras":
        return {"name": cell.backbone}
    return {"name": cell.backbone, "weights": grid.weights_of(cell.backbone), "side": grid.size}


def measure_cell(cell: Cell, grid: Experiments, dataset: Prepared, folder: Path, task: Task) -> dict[str, Any]:
    """Trains and measures.

    Args:
        cell: what to train.
        grid: what all cells share.
        dataset: what to learn from and to measure on.
        folder: for the model and the results.
        task: tells how far it is.

    Returns:
        Measurements on the original pictures of the test side, and on all of them where some are generated.
    """
    cases, test = open_cases(dataset.folder / "train.parquet"), open_cases(dataset.folder / "test.parquet")
    refuse_others(test, cases)
    backbone = load_backbone(**_network(cell, grid))
    recipe = _recipe(cell, grid.learning, grid.seed, backbone.pretrained)
    trained = Trainer(backbone, recipe, Devices(), grid.output / ".work", task).train(cases)
    _, version = export_trained(trained, backbone, recipe, cases, folder / "model")
    with task("measuring on the test side", test.count) as advance:
        said = predict(version, test, advance)
    return _measurements(said) | {"held_out_top_1": trained.metrics["held_out_top_1"]}


def _recipe(cell: Cell, learning: Learning, seed: int, pretrained: bool) -> Recipe:
    phase = Phase(cell.epochs, learning.learning_rate, cell.batch_size, steady=learning.steady)
    head = phase if pretrained else None
    blocks = replace(phase, front=learning.front, averaged=learning.averaged, window=learning.window)
    return Recipe(
        head=head,
        tail=None if head and not learning.fine_tune else blocks,
        tail_share=learning.fine_tune or 1.0,
        variants=learning.variants,
        dropout=learning.dropout,
        label_smoothing=learning.label_smoothing,
        measured=1,
        seed=seed,
    )


def _measurements(said: Predictions) -> dict[str, Any]:
    originals = said.only(~said.generated)
    confusion = confusion_matrix(originals.labels, originals.probabilities.argmax(axis=1), len(said.table))
    f1 = [one.f1 or 0.0 for one in per_class(confusion, said.table.labels) if one.recall.of]
    return {
        "top": _hits(originals),
        "top_with_generated": _hits(said),
        "macro_f1": sum(f1) / len(f1),
        "calibration_error": calibration_error(originals.probabilities, originals.labels),
        "weights_digest": said.card.weights_digest,
    }


def _hits(said: Predictions) -> dict[int, list[int]]:
    """How often the true code is among the k most probable ones, and of how many, by k."""
    count = len(said.labels)
    return {k: [round(top_k(said.probabilities, said.labels, k) * count), count] for k in _KS}
