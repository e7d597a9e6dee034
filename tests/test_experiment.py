"""The grid of experiments, in miniature: it ends in the same table however often it is interrupted."""

import shutil
from pathlib import Path

import pytest

from hs_audit.cli import main
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
    assert len({cell.name for cell in measured}) == len(measured) == 3
    assert page.count("<svg") == 2
    assert "networks" in page


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
