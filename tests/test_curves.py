"""Learning curves: what training keeps of each epoch, and what is read of versions with and without them."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hs.card import Card
from hs_audit.cli import main
from model.training.curves import Curve, HeldOut, curve_of, curves_as_json, read_curves
from tests.rulings import noise, tinted_cases, write_cases

COLOURS_SEEN = [(code, [noise(5000 + n, colour)]) for n in range(3) for code, colour in (("870829", (200, 40, 40)),)]


def curves_of(folder: Path, *flags: str) -> tuple[Curve, ...]:
    """What a small training keeps."""
    cases = write_cases(folder / "cases.parquet", tinted_cases(6))
    arguments = [f"--cases={cases}", f"--output={folder / 'model'}", "--epochs=3", "--size=32", "--variants=0"]
    assert main(["train", *arguments, *flags]) == 0
    return read_curves(folder / "model" / "1")


def test_the_held_out_loss_is_that_of_training_with_its_smoothing():
    import keras

    logits = np.random.default_rng(0).normal(size=(2, 7, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0, 1, 2])

    found = curve_of("all", "head", np.zeros(9), (logits, labels), 0.1).held_out

    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    wanted = [float(loss(np.eye(4, dtype=np.float32)[labels], said)) for said in logits]
    assert [each.loss for each in found] == pytest.approx(wanted, rel=1e-4)
    assert [each.epoch for each in found] == [8, 9]
    assert found[0].top_1 == pytest.approx((logits[0].argmax(axis=1) == labels).mean(), abs=1e-4)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Curve, ...]]:
    folder = tmp_path_factory.mktemp("curves")
    return folder / "model", curves_of(folder, "--folds=2", "--measured=2")


def test_each_fold_and_the_last_fit_keep_the_loss_of_every_epoch_and_are_measured_where_they_were(trained):
    model, curves = trained

    assert [(curve.fit, curve.phase) for curve in curves] == [
        ("part 1 of 2 held out", "blocks"),
        ("part 2 of 2 held out", "blocks"),
        ("all", "blocks"),
    ]
    assert [len(curve.losses) for curve in curves] == [3, 3, 3]
    assert [[each.epoch for each in curve.held_out] for curve in curves] == [[3], [3], []]
    about = json.loads((model / "1" / "assets.extra" / "hs_audit.json").read_text())
    right = sum(curve.held_out[0].top_1 for curve in curves[:2]) / 2  # of 9 cases each
    assert right == pytest.approx(about["metrics"]["held_out_top_1"], abs=1e-4)


def test_a_training_that_may_stop_early_is_measured_at_every_epoch(tmp_path):
    curves = curves_of(tmp_path, "--early-stopping")

    assert [each.epoch for each in curves[0].held_out] == [1, 2, 3]


def test_thresholds_from_other_cases_measure_the_fit_on_all(tmp_path):
    others = write_cases(tmp_path / "others.parquet", COLOURS_SEEN)

    curves = curves_of(tmp_path, f"--validation={others}", "--tune-on-validation")

    assert [(curve.fit, len(curve.held_out)) for curve in curves] == [("all", 1)]


def test_the_card_that_servers_tell_has_none_of_it_and_a_version_with_it_passes_its_check(trained, capsys):
    model, _ = trained

    card = Card.from_json((model / "1" / "assets.extra" / "hs_audit.json").read_text())

    assert "losses" not in card.to_json()
    assert main(["check", "model", str(model)]) == 0


def test_what_is_written_is_read_again_and_a_loss_that_is_no_number_stays_one(tmp_path):
    curves = (Curve("all", "head", (0.5, 0.25)), Curve("all", "blocks", (0.2, math.inf), (HeldOut(2, 0.3, 0.9),)))
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "learning_curves.json").write_text(curves_as_json(curves))

    head, blocks = read_curves(tmp_path)

    assert head == curves[0]
    assert (blocks.losses[0], math.isnan(blocks.losses[1]), blocks.held_out) == (0.2, True, curves[1].held_out)


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "[",
        "{}",
        "[1]",
        '[{"fit": 1}]',
        "null",
        '[{"fit": "a", "phase": "b", "losses": ["x"], "held_out": []}]',
    ],
)
def test_a_version_without_curves_or_with_something_else_in_their_place_has_none(tmp_path, written):
    (tmp_path / "assets.extra").mkdir()
    if written is not None:
        (tmp_path / "assets.extra" / "learning_curves.json").write_text(written)

    assert read_curves(tmp_path) == ()
