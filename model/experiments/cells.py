"""One cell of a grid of experiments: a data set is drawn, a network is trained, and the test side measures it."""

import json
from pathlib import Path
from typing import Any

from hs.errors import UsageError
from model.cases.data_sets import PRESETS, choose_sides, classes_of_preset, look, write
from model.cases.reading import open_cases, refuse_others
from model.evaluation.metrics import confusion_matrix, per_class
from model.experiments.plan import Cell, Experiments
from model.exported.export import export_trained
from model.exported.predictions import predict
from model.measures import calibration_error, top_k
from model.task import Task
from model.training.backbones import load_backbone
from model.training.networks import Devices
from model.training.recipes import Phase, Recipe
from model.training.trainer import Trainer

_KS = (1, 3, 5)


def prepare_dataset(name: str, grid: Experiments, task: Task) -> Path:
    """The folder with train.parquet and test.parquet of a data set, drawn if it is a preset and not yet there.

    Raises:
        UsageError: if it lacks one of both, or the cases are too few.
    """
    drawn = grid.datasets[name]
    if drawn.preset is None:
        assert drawn.path is not None
        for side in ("train", "test"):
            if not (drawn.path / f"{side}.parquet").is_file():
                raise UsageError(f"the data set {drawn.path} has no {side}.parquet; `hs-audit dataset` makes one")
        return drawn.path
    assert grid.cases is not None
    folder, plan = grid.output / "datasets" / name, PRESETS[drawn.preset]
    done = folder / "counts.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        cases = open_cases(grid.cases, all_pictures=False)
        with task(f"{name}: looking at the cases", cases.count) as advance:
            looked = look(cases, frozenset(), advance)
        sides = choose_sides(looked, plan, classes_of_preset(looked, plan), grid.seed, exact=True)
        with task(f"{name}: writing", cases.count) as advance:
            counts = write(folder, cases, looked, plan, sides, grid.size, grid.seed, advance)
        done.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    return folder


def measure_cell(cell: Cell, grid: Experiments, dataset: Path, folder: Path, task: Task) -> dict[str, Any]:
    """Trains and measures.

    Args:
        cell: what to train.
        grid: what all cells share.
        dataset: folder with train.parquet and test.parquet.
        folder: for the model and the results.
        task: tells how far it is.

    Returns:
        Measurements on the original pictures of the test side, and on all of them where some are generated.
    """
    size = None if Path(cell.backbone).suffix == ".keras" else grid.size
    backbone = load_backbone(cell.backbone, None if size is None else grid.weights_of(cell.backbone), side=size)
    learning = grid.learning
    phase = Phase(cell.epochs, learning.learning_rate, cell.batch_size, steady=learning.steady)
    head = phase if backbone.pretrained else None
    recipe = Recipe(
        head=head,
        tail=None if head and not learning.fine_tune else phase,
        tail_share=learning.fine_tune or 1.0,
        variants=0,
        dropout=learning.dropout,
        measured=1,
        seed=grid.seed,
    )
    cases, test = open_cases(dataset / "train.parquet"), open_cases(dataset / "test.parquet")
    refuse_others(test, cases)
    trainer = Trainer(backbone, recipe, Devices(), grid.output / ".work", task)
    trained = trainer.train(cases)
    _, version = export_trained(trained, backbone, recipe, cases, folder / "model")
    with task("measuring on the test side", test.count) as advance:
        said = predict(version, test, advance)
    whole = {k: [round(top_k(said.probabilities, said.labels, k) * len(said.labels)), len(said.labels)] for k in _KS}
    originals = said.only(~said.generated)
    confusion = confusion_matrix(originals.labels, originals.probabilities.argmax(axis=1), len(said.table))
    f1 = [one.f1 or 0.0 for one in per_class(confusion, said.table.labels) if one.recall.of]
    return {
        "top": {
            k: [
                round(top_k(originals.probabilities, originals.labels, k) * len(originals.labels)),
                len(originals.labels),
            ]
            for k in _KS
        },
        "top_with_generated": whole,
        "macro_f1": sum(f1) / len(f1),
        "calibration_error": calibration_error(originals.probabilities, originals.labels),
        "held_out_top_1": trained.metrics["held_out_top_1"],
        "weights_digest": said.card.weights_digest,
    }
