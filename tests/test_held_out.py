"""`hs-audit train`: which cases are held out and which codes left out; the order in a file decides on neither."""

import json
from pathlib import Path

import numpy as np
import pytest

from hs_audit.cli import main
from tests.archives import COLOURS
from tests.rulings import Ruling, noise, tinted_cases, write_cases
from tests.test_training import backbone_file


def train(folder: Path, cases: Path, *flags: str) -> int:
    usual = ["--epochs=2", "--variants=0"]
    return main(["train", f"--cases={cases}", f"--output={folder / 'model'}", *usual, *flags])


def about(folder: Path) -> dict:
    return json.loads((folder / "model" / "1" / "assets.extra" / "hs_audit.json").read_text())


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backbone_file(tmp_path_factory.mktemp("backbone"))


def hard_to_tell(each: int) -> list[Ruling]:
    """Cases of codes whose colours overlap, sorted by kind: in each code the kinds differ in their colour."""
    random = np.random.default_rng(0)
    cases = []
    for place, (code, colour) in enumerate(COLOURS.items()):
        for kind in range(4):
            middle = np.array(colour) * 0.4 + random.integers(0, 120, 3)
            for number in range(each):
                tint = tuple(int(value) for value in middle + random.integers(-25, 25, 3))
                cases.append((code, [noise(10_000 * place + 1000 * kind + number, tint)]))
    return cases


def held_out_metrics(cases: Path, backbone: Path) -> dict[str, float]:
    """What a head on features says of the cases that are held out in turn."""
    from hs_audit.steps import Steps
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone
    from model.training.networks import Devices
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    recipe = Recipe(Phase(10, 4e-3, 16), None, variants=0)
    trainer = Trainer(load_backbone(str(backbone)), recipe, Devices(), cases.parent / "work", Steps().step)
    return trainer.train(open_cases(cases)).metrics


@pytest.mark.slow  # 144 cases are looked at twice
def test_cases_sorted_by_kind_or_shuffled_give_the_same_held_out_figures(tmp_path, backbone):
    cases = hard_to_tell(12)
    ids = np.array([f"case {number}" for number in range(len(cases))])
    orders = {
        "sorted": np.arange(len(cases)),
        "shuffled": np.random.default_rng(5).permutation(len(cases)),
    }
    top_1, groups = {}, {}
    for name, order in orders.items():
        (tmp_path / name).mkdir()
        path = write_cases(tmp_path / name / "cases.parquet", [cases[place] for place in order], reference=ids[order])
        metrics = held_out_metrics(path, backbone)
        top_1[name] = [metrics[f"held_out{way}_top_1"] for way in ("", "_alike", "_shifted")]
        groups[name] = [metrics[f"held_out{way}_pictures"] for way in ("", "_alike", "_shifted")]

    assert groups["sorted"] == groups["shuffled"]
    assert min(top_1["sorted"]) < 1
    assert top_1["shuffled"] == pytest.approx(
        top_1["sorted"], abs=1 / 144
    )  # the last bits may differ, and turn one case


def test_what_was_grouped_is_said_before_anything_learns_and_a_column_is_held_out_by_its_values(tmp_path, capsys):
    cases = tinted_cases(9)
    shops = [f"shop {number // 3 % 5}" for number in range(len(cases))]
    path = write_cases(tmp_path / "cases.parquet", [*cases, cases[0]], shop=[*shops, None])

    assert not train(tmp_path, path, "--groups=shop")

    said = capsys.readouterr().err.splitlines()
    begins = (
        "28 cases in 27 groups: 1 equal file (as",
        "held out by shop: 5 values; 1 picture without one",
        "part 1 of 3",
    )
    places = [next(place for place, line in enumerate(said) if line.startswith(sentence)) for sentence in begins]
    assert places == sorted(places)
    assert about(tmp_path)["recipe"]["groups"] == "shop"
    assert "held_out_shifted_top_1" in about(tmp_path)["metrics"]
    assert "held_out_alike_top_1" not in about(tmp_path)["metrics"]


def test_a_column_that_is_not_there_is_a_sentence_with_the_nearest_name(tmp_path, capsys):
    path = write_cases(tmp_path / "cases.parquet", tinted_cases(3), importer_id=["a"] * 9)

    code = train(tmp_path, path, "--groups=importer")

    assert code == 2
    assert "has no column 'importer'; did you mean importer_id?" in " ".join(capsys.readouterr().err.split())


def test_small_codes_are_left_out_where_that_is_wanted_and_are_not_measured(tmp_path, capsys):
    twice = noise(77)
    cases = [*tinted_cases(6), ("080810", [noise(1)]), *[("080830", [twice])] * 9]
    path = write_cases(tmp_path / "cases.parquet", cases)
    others = write_cases(tmp_path / "others.parquet", [*tinted_cases(8)[-6:], ("080810", [noise(2)])])

    code = train(tmp_path, path, "--drop-small-codes=3", f"--validation={others}", "--tune-on-validation")

    said = " ".join(capsys.readouterr().err.split())
    assert code == 0
    assert about(tmp_path)["classes"] == sorted(COLOURS)
    assert "left out: 2 HS codes with fewer than 3 different cases (--drop-small-codes): 080810 (1), 080830 (1)" in said
    assert "on others.parquet: top-1" in said


def test_no_threshold_is_drawn_from_what_was_learned_from(tmp_path, capsys):
    path = write_cases(tmp_path / "cases.parquet", tinted_cases(6))
    others = write_cases(tmp_path / "others.parquet", tinted_cases(8)[-9:])

    code = train(tmp_path, path, f"--validation={others}", "--tune-on-validation")

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "3 cases of" in said
    assert "thresholds drawn from what was learned from promise too much" in said
    assert not (tmp_path / "model" / "1").exists()


def test_too_few_different_cases_are_said_before_the_others_are_looked_at(tmp_path, capsys):
    cases = [*tinted_cases(20), *[("080830", [noise(77)])] * 9]
    path = write_cases(tmp_path / "cases.parquet", cases)

    code = train(tmp_path, path)

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "too few: 080830 (1); --drop-small-codes 3 trains without them" in said
    assert "looking at" not in said
