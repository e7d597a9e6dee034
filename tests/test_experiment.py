"""The grid of experiments, in miniature: it ends in the same table however often it is interrupted."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hs_audit.cli import main
from model.cases.data_sets import PRESETS, Amount, Plan
from tests.archives import COLOURS
from tests.rulings import noise, tinted_cases, write_cases

GRID = """
output: {output}
seed: 1
size: 32
weights: none
datasets:
  small: {{path: {dataset}}}
learning: {{learning_rate: 0.002, steady: false}}
sweeps:
  - {{name: batch sizes, datasets: [small], backbones: [compact], epochs: [2], batch_sizes: [8, 16]}}
  - {{name: networks, datasets: [small], backbones: [compact], epochs: [1], best_batch_size_of: batch sizes}}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    cases = write_cases(folder / "cases.parquet", tinted_cases(14))
    flags = ["--train=8", "--test=4", "--variants=1", "--size=32"]
    assert main(["dataset", f"--cases={cases}", f"--output={folder}", *flags]) == 0
    return folder


def grid(dataset: Path, folder: Path) -> Path:
    path = folder / "grid.yaml"
    path.write_text(GRID.format(output=folder / "out", dataset=dataset))
    return path


@pytest.mark.slow  # it trains six times
def test_an_interrupted_grid_ends_in_the_same_table(dataset, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "again").mkdir()
    whole, again = grid(dataset, tmp_path / "whole"), grid(dataset, tmp_path / "again")
    assert main(["experiment", f"--config={whole}"]) == 0

    from model.experiments import cells

    measure, measured = cells.measure_cell, []

    def interrupted(cell, *rest):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(cell)
        return measure(cell, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "measure_cell", interrupted)
        stopped = main(["experiment", f"--config={again}"])
    with monkeypatch.context() as patch:
        patch.setattr(cells, "measure_cell", lambda cell, *rest: measured.append(cell) or measure(cell, *rest))
        finished = main(["experiment", f"--config={again}"])

    table = (tmp_path / "whole" / "out" / "results.csv").read_text()
    page = (tmp_path / "again" / "out" / "index.html").read_text()
    assert (stopped, finished) == (130, 0)
    assert (tmp_path / "again" / "out" / "results.csv").read_text() == table
    assert len(table.splitlines()) == 1 + 2 + 1
    assert len(set(measured)) == len(measured) == 3
    assert page.count("<svg") == 2
    assert "networks" in page


TOP = {"1": [3, 4], "3": [4, 4]}
MEASURED = {"top": TOP, "top_with_generated": TOP, "macro_f1": 0.7, "calibration_error": 0.1, "held_out_top_1": 0.5}
DRAWN = GRID.replace("{{path: {dataset}}}", "{{preset: paper-1}}").replace("seed: 1", "seed: 1\ncases: {dataset}/cases")


@pytest.fixture
def measured(monkeypatch) -> list:
    """The cells that are measured, in their order; none of them is trained."""
    from model.experiments import cells

    found: list = []

    def measure(cell, grid, dataset, folder, task):
        folder.mkdir(parents=True)
        found.append(cell)
        return dict(MEASURED)

    monkeypatch.setattr(cells, "measure_cell", measure)
    return found


def test_a_grid_that_was_interrupted_measures_what_is_left(dataset, tmp_path, measured, monkeypatch):
    from model.experiments import cells

    measure = cells.measure_cell

    def interrupted(cell, *rest):
        if len(measured) == 2:
            raise KeyboardInterrupt
        return measure(cell, *rest)

    path = grid(dataset, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(cells, "measure_cell", interrupted)
        stopped = main(["experiment", f"--config={path}"])
    finished = main(["experiment", f"--config={path}"])

    assert (stopped, finished) == (130, 0)
    assert len(set(measured)) == len(measured) == 3


def rewritten(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "grid.yaml").write_text((folder / "grid.yaml").read_text().replace(old, new))


@pytest.mark.parametrize(
    ("edit", "again"),
    [
        (lambda folder: None, 0),
        (rewritten("batch sizes", "sizes of batches"), 0),
        (rewritten("0.002", "0.003"), 3),
        (rewritten("steady: false", "steady: true"), 3),
        (rewritten("steady: false", "dropout: 0.3"), 3),
        (rewritten("steady: false", "fine_tune: 0.5"), 3),
        (rewritten("seed: 1", "seed: 2"), 3),
        (rewritten("size: 32", "size: 48"), 3),
        (rewritten("weights: none", "weights: imagenet"), 3),
        (rewritten("epochs: [1]", "epochs: [3]"), 1),
        (lambda folder: write_cases(folder / "train.parquet", tinted_cases(3)), 3),
        (lambda folder: write_cases(folder / "test.parquet", tinted_cases(3)), 3),
    ],
)
def test_a_cell_is_measured_again_where_anything_that_decides_on_it_has_changed(tmp_path, measured, edit, again):
    for side in ("train", "test"):
        write_cases(tmp_path / f"{side}.parquet", tinted_cases(2))
    grid(tmp_path, tmp_path)
    assert main(["experiment", f"--config={tmp_path / 'grid.yaml'}"]) == 0
    first = len(measured)

    edit(tmp_path)
    code = main(["experiment", f"--config={tmp_path / 'grid.yaml'}"])

    assert (code, first, len(measured) - first) == (0, 3, again)


@pytest.mark.parametrize("key", ["backbones: [{}]", "weights: {}"])
def test_a_cell_is_measured_again_with_another_network_under_the_same_name(dataset, tmp_path, measured, key):
    network = tmp_path / "network.keras"
    path = grid(dataset, tmp_path)
    path.write_text(re.sub(key.split(":")[0] + ": [^,\n]+", key.format(network), path.read_text()))
    counts = []
    for content in (b"one", b"one", b"two"):
        network.write_bytes(content)
        assert main(["experiment", f"--config={path}"]) == 0
        counts.append(len(measured))

    assert counts == [3, 3, 6]


@pytest.mark.parametrize(
    ("edit", "draws"),
    [
        (lambda folder: None, 1),
        (rewritten("seed: 1", "seed: 2"), 2),
        (rewritten("size: 32", "size: 48"), 2),
        (lambda folder: write_cases(folder / "cases", tinted_cases(7)), 2),
    ],
)
def test_a_preset_is_drawn_again_from_other_cases_or_with_another_seed_or_size(
    tmp_path, measured, monkeypatch, edit, draws
):
    monkeypatch.setitem(PRESETS, "paper-1", Plan("paper-1", {code: (Amount(3, 3), Amount(2, 2)) for code in COLOURS}))
    write_cases(tmp_path / "cases", tinted_cases(6))
    (tmp_path / "grid.yaml").write_text(DRAWN.format(output=tmp_path / "out", dataset=tmp_path))
    assert main(["experiment", f"--config={tmp_path / 'grid.yaml'}"]) == 0

    edit(tmp_path)
    code = main(["experiment", f"--config={tmp_path / 'grid.yaml'}"])

    assert code == 0
    assert len(list((tmp_path / "out" / "datasets").iterdir())) == draws
    assert len(measured) == 3 * draws


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("seed: 1", "seeds: 1"), "unknown key seeds; did you mean seed?"),
        (("datasets: [small], backbones: [compact], epochs", "datasets: [large], backbones: [compact], epochs"),
         "names an unknown data set, 'large'"),
        (("best_batch_size_of: batch sizes", "best_batch_size_of: learning"), "'learning', which is no earlier sweep"),
        (("path: {dataset}", "preset: paper-1"), "so `cases` must be given"),
        (("path: {dataset}", "path: nowhere"), "the data set nowhere has no train.parquet"),
        (("backbones: [compact]", "backbones: [alexnet]"), "--backbone is compact, vgg16"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_grid_is_one_sentence(dataset, tmp_path, capsys, change, sentence):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID.replace(*change).format(output=tmp_path / "out", dataset=dataset))

    code = main(["experiment", f"--config={path}"])

    assert code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_codes_of_the_test_side_that_training_has_not_are_said_before_training(dataset, tmp_path, capsys, monkeypatch):
    shutil.copy(dataset / "train.parquet", tmp_path)
    write_cases(tmp_path / "test.parquet", [("080810", [noise(1)])])
    monkeypatch.setattr("model.training.trainer.Trainer.train", None)

    code = main(["experiment", f"--config={grid(tmp_path, tmp_path)}"])

    assert code == 2
    assert "test.parquet has codes that training has not: 080810" in " ".join(capsys.readouterr().err.split())


def test_a_grid_can_ask_for_windows_averages_and_a_slower_front():
    from model.experiments.cells import _recipe
    from model.experiments.plan import Cell, Learning

    cell = Cell(sweep="s", dataset="d", backbone="own.keras", epochs=3, batch_size=16)
    learning = Learning(fine_tune=0.4, window=0.78, averaged=0.9, front=0.2, variants=2, label_smoothing=0.1)

    recipe = _recipe(cell, learning, seed=0, pretrained=True)

    assert (recipe.tail.window, recipe.tail.averaged, recipe.tail.front) == (0.78, 0.9, 0.2)
    assert (recipe.head.window, recipe.head.averaged, recipe.head.front) == (1.0, 0.0, 1.0)
    assert (recipe.variants, recipe.label_smoothing, recipe.tail_share) == (2, 0.1, 0.4)
