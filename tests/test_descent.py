"""How weights move: rates by depth, averages, windows of maps."""

from pathlib import Path

import numpy as np
import pytest

from hs.errors import UsageError
from model.training.recipes import Phase, Recipe


def line(*sizes: int, frozen: tuple[int, ...] = ()):
    """Dense layers one after the other, without bias, all but the last in a network of their own; always the same."""
    import keras

    keras.utils.set_random_seed(3)
    layers = [
        keras.layers.Dense(size, use_bias=False, name=f"layer_{number}", trainable=number not in frozen)
        for number, size in enumerate(sizes)
    ]
    inner = keras.Sequential([keras.Input((2,)), *layers[:-1]])
    return keras.Sequential([keras.Input((2,)), inner, layers[-1]])


def fit_on_noise(folder: Path, network, phase: Phase, epochs: int, held_out: bool = False, classes: int = 2):
    """Fits a network to 64 random rows of its input's size, 16 at a time."""
    from model.training.epochs import Shown, fit
    from model.training.examples import Examples
    from model.training.row_files import RowFile

    folder.mkdir(exist_ok=True)
    random, numbers = np.random.default_rng(0), np.arange(64)
    shape = tuple(side or 9 for side in network.input_shape[1:])
    rows = RowFile(folder / "rows", shape, "float32")
    rows.append(random.normal(size=(64, *shape)), at=0)
    names = tuple("abcdefgh"[:classes])
    labels = random.integers(classes, size=64)
    examples = Examples(rows, None, names, labels, numbers, numbers, np.zeros(64, bool), 0, ())
    return fit(
        network,
        Shown(rows, numbers, examples),
        phase,
        Recipe(None, phase, early_stopping=held_out),
        precision="float32",
        epochs=epochs,
        held_out=(rows, numbers) if held_out else None,
        checkpoint=folder / "fit.npz",
        advance=lambda _: None,
    )


def test_the_rate_grows_evenly_from_the_first_layer_that_learns_to_the_last():
    from model.training.descent import rates_by_depth

    rates = rates_by_depth(line(2, 3, 4, 5, frozen=(0,)), front=0.01)

    assert rates == pytest.approx([0.01, 0.1, 1.0])


def test_a_layer_in_front_moves_by_its_share_of_what_the_last_one_moves(tmp_path):
    network = line(2, 2)
    before = [weight.copy() for weight in network.get_weights()]

    fit_on_noise(tmp_path, network, Phase(1, 1e-3, 64, steady=True, front=0.1), 1)

    # The first step of RMSprop moves a weight by rate / sqrt(1 - rho), however large its gradient, unless that is tiny.
    moved = [np.abs(after - first).max() for after, first in zip(network.get_weights(), before, strict=True)]
    assert moved == pytest.approx([1e-4 / np.sqrt(0.1), 1e-3 / np.sqrt(0.1)], rel=0.05)


def test_what_is_learned_is_the_average_of_the_weights_of_all_steps(tmp_path):
    phase = Phase(3, 1e-2, 64, steady=True)
    paths = []
    for epochs in (1, 2, 3):
        network = line(3, 2)
        fit_on_noise(tmp_path / f"{epochs}", network, phase, epochs)
        paths.append(network.get_weights())
    averaged = line(3, 2)

    fit_on_noise(tmp_path / "averaged", averaged, Phase(3, 1e-2, 64, steady=True, averaged=1.0), 3)

    for first, second, third, found in zip(*paths, averaged.get_weights(), strict=True):
        expected = (2 * (2 * first + second) / 3 + third) / 3
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_held_out_pictures_are_shown_to_the_average_and_training_goes_on_from_the_weights(tmp_path):
    network, unseen = line(3, 2), line(3, 2)
    phase = Phase(2, 1e-2, 16, steady=True, averaged=0.9)

    fitted = fit_on_noise(tmp_path / "measured", network, phase, 2, held_out=True)
    fit_on_noise(tmp_path / "unmeasured", unseen, phase, 2)

    assert len(fitted.held_out) == 2
    for measured, other in zip(network.get_weights(), unseen.get_weights(), strict=True):
        np.testing.assert_array_equal(measured, other)
    rows = np.fromfile(tmp_path / "measured" / "rows", np.float32).reshape(64, 2)
    np.testing.assert_allclose(fitted.held_out[-1], network.predict(rows, verbose=0), atol=1e-6)


def test_an_average_goes_on_where_it_was_interrupted(tmp_path):
    whole, again = line(3, 2), line(3, 2)
    phase = Phase(4, 1e-2, 16, averaged=0.9)
    fit_on_noise(tmp_path / "whole", whole, phase, 4)

    fit_on_noise(tmp_path / "again", line(3, 2), phase, 2)
    fit_on_noise(tmp_path / "again", again, phase, 4)

    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def maps(flat: bool):
    """A small network over maps of 9 x 9."""
    import keras

    from model.training.networks import fresh_copy

    images = keras.Input((9, 9, 2))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu")(images)
    pooled = keras.layers.Flatten()(x) if flat else keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(images, keras.layers.Dense(2)(pooled))
    return fresh_copy(network, "float32", keep_weights=True, keep_statistics=True, any_size=True), network


def test_each_step_is_shown_a_window_of_the_maps_at_another_place(tmp_path):
    from model.training.epochs import _windows

    windows = _windows((9, 9, 2), 0.78, 200, np.random.default_rng(0))

    assert set(np.unique(windows[:, 1] - windows[:, 0])) == {7}
    assert windows.min() == 0
    assert windows.max() == 9
    assert len(np.unique(windows.reshape(200, 4), axis=0)) == 9


def test_a_network_that_learned_from_windows_is_asked_about_whole_maps(tmp_path):
    copy, network = maps(flat=False)
    pictures = np.random.default_rng(0).normal(size=(4, 9, 9, 2)).astype(np.float32)
    np.testing.assert_allclose(copy.predict(pictures, verbose=0), network.predict(pictures, verbose=0), atol=1e-6)

    fitted = fit_on_noise(tmp_path, copy, Phase(1, 1e-3, 16, window=0.78), 1, held_out=True)

    assert copy.input_shape == (None, None, None, 2)
    assert fitted.held_out.shape == (1, 64, 2)
    assert fitted.losses[0] > 0


def test_a_network_that_flattens_its_maps_is_shown_all_of_them(tmp_path):
    copy, _ = maps(flat=True)

    fit_on_noise(tmp_path, copy, Phase(1, 1e-3, 16, window=0.78), 1)

    assert copy.input_shape == (None, 9, 9, 2)


@pytest.mark.parametrize("wrong", [{"front": 0.0}, {"front": 1.5}, {"averaged": 1.1}, {"window": 0.0}, {"window": 1.1}])
def test_a_phase_that_makes_no_sense_is_refused_in_a_sentence(wrong):
    with pytest.raises(UsageError, match=r"front and window must be in \(0, 1\], averaged in \[0, 1\]"):
        Phase(1, 1e-3, 16, **wrong)
