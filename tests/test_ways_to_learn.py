"""What the comparison of variants does to pictures and maps, and that it runs."""

import sys

import numpy as np
import pytest

from benchmarks.ways_to_learn import (
    PICTURES,
    WAYS,
    by_another_camera,
    in_another_light,
    main,
    with_styles_mixed,
)
from tests.rulings import tinted_cases, write_cases


def photo() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("change", [in_another_light, by_another_camera])
def test_what_is_changed_is_a_picture_of_the_same_size_and_the_same_again_by_its_seed(change):
    pixels = photo()

    changed, again, others = (
        [change(pixels, np.random.default_rng([seed, n])) for n in range(9)] for seed in (1, 1, 2)
    )

    assert {(one.dtype, one.shape) for one in changed} == {(np.dtype(np.uint8), (40, 30, 3))}
    np.testing.assert_array_equal(changed, again)
    assert (np.array(changed) != np.array(others)).any()
    np.testing.assert_array_equal(pixels, photo())


def test_a_light_that_is_not_far_is_the_same():
    np.testing.assert_allclose(in_another_light(photo(), np.random.default_rng(0), far=0.0), photo(), atol=1)


def test_all_ways_make_the_same_crops():
    left_dark = np.zeros((40, 40, 3), np.uint8)
    left_dark[:, 20:] = 255
    crops = {}

    for name in ("as-they-are", "light"):
        random = np.random.default_rng(3)
        crops[name] = np.stack([PICTURES[name](left_dark, random, None) for _ in range(4)]).mean(axis=3) > 127

    assert (crops["as-they-are"] == crops["light"]).mean() > 0.97


def test_mixing_styles_moves_means_and_leaves_what_lies_where():
    maps = np.random.default_rng(1).normal(size=(6, 5, 5, 3)).astype(np.float32) + np.arange(6)[:, None, None, None]

    mixed = next(
        some for seed in range(9) if (some := with_styles_mixed(maps, np.random.default_rng(seed))) is not maps
    )

    own, new = (some.reshape(6, 25, 3) for some in (maps, mixed))
    flat_own, flat_new = (
        (some - some.mean(axis=1, keepdims=True)) / some.std(axis=1, keepdims=True) for some in (own, new)
    )
    np.testing.assert_allclose(flat_new, flat_own, atol=1e-2)
    assert np.abs(own.mean(axis=1) - new.mean(axis=1)).max() > 0.01
    assert (np.abs(own.mean(axis=1) - new.mean(axis=1)) <= 2.6).all()  # at least half stays a map's own


def test_each_way_is_measured_on_the_same_pictures(tmp_path, monkeypatch, capsys):
    import keras

    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(16, 1, activation="relu")(x)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(x)).save(tmp_path / "own.keras")
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(9))
    flags = [f"--cases={cases}", f"--backbone={tmp_path / 'own.keras'}", "--held-out=alike", "--times=1", "--epochs=1"]
    monkeypatch.setattr(sys, "argv", ["ways_to_learn", *flags])
    few = {name: WAYS[name] for name in ("default", "styles", "steady-0.0004")}
    monkeypatch.setattr("benchmarks.ways_to_learn.WAYS", few)

    main()

    said = capsys.readouterr().out
    assert all(name in said for name in few)
