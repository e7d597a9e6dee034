"""Novelty: how unlike a picture's features are to all that was learned from."""

import tracemalloc

import numpy as np
import pytest

from model.training.novelty import look_at, look_at_frozen, marks


@pytest.fixture
def features() -> np.ndarray:
    """Two kinds of goods in 80 dimensions, of different lengths."""
    random = np.random.default_rng(0)
    kinds = np.repeat(np.eye(80, dtype=np.float32)[:2], 20, axis=0)
    return (kinds + random.uniform(0, 0.05, (40, 80)).astype(np.float32)) * random.uniform(1, 9, (40, 1))


def test_what_was_learned_from_is_not_novel_whatever_its_length(features):
    assert look_at(features).novelty(3 * features).max() == pytest.approx(0, abs=1e-5)


def test_between_the_kinds_is_more_novel_than_among_one_of_them(features):
    seen = look_at(features)

    among, between = seen.novelty(np.stack([features[:20].mean(axis=0), features.mean(axis=0)]))

    assert among < 0.02 < 0.2 < between <= 1


def test_opposite_and_empty_features_are_as_novel_as_can_be(features):
    seen = look_at(features)

    assert seen.novelty(np.stack([-features[0], 0 * features[0]])).tolist() == [1, 1]


def test_a_model_keeps_few_numbers_of_each_picture(features):
    seen = look_at(features)

    assert seen.examples.shape == (40, 32)
    np.testing.assert_allclose(seen.directions.T @ seen.directions, np.eye(32), atol=1e-5)


def test_marks_of_a_map_are_what_it_has_wherever_it_stands():
    maps = np.random.default_rng(0).random((2, 4, 5, 3), np.float32)

    moved = np.roll(maps, (1, 2), axis=(1, 2))

    np.testing.assert_allclose(marks(moved), marks(maps), atol=1e-6)
    np.testing.assert_allclose(marks(maps)[:, 3:], maps.reshape(2, 20, 3).std(axis=1), atol=1e-6)
    np.testing.assert_array_equal(marks(maps[:, 0, 0]), maps[:, 0, 0])
    assert marks(maps.astype(np.float16)).dtype == np.float32


def test_by_frozen_features_a_blank_sheet_is_novel_though_goods_stand_on_white():
    random = np.random.default_rng(0)
    goods = 1 + random.normal(size=(60, 8, 8, 20)).astype(np.float32) * random.uniform(0, 2, (60, 1, 1, 20))
    seen = look_at_frozen(marks(goods))

    blank = marks(np.ones((1, 8, 8, 20), np.float32))

    assert seen.novelty(marks(goods)).max() == pytest.approx(0, abs=1e-4)
    assert seen.novelty(blank) > 0.1


def test_the_graph_gives_the_novelty_that_numpy_gives():
    import tensorflow as tf

    from model.exported.export import _novelty

    random = np.random.default_rng(0)
    maps = random.random((50, 3, 4, 6), np.float32) ** 2
    by_maps, by_features = look_at_frozen(marks(maps[:40])), look_at(marks(maps[:40]))

    of_maps = tf.function(lambda: _novelty(tf.constant(maps), by_maps))().numpy()
    of_features = tf.function(lambda: _novelty(tf.constant(marks(maps)), by_features))().numpy()

    np.testing.assert_allclose(of_maps, by_maps.novelty(marks(maps)), atol=1e-5)
    np.testing.assert_allclose(of_features, by_features.novelty(marks(maps)), atol=1e-5)
    assert of_maps[:40].max() < 1e-4 < of_maps[40:].min()


def test_novelty_takes_little_memory_however_many_pictures_there_are():
    features = np.random.default_rng(0).random((20_000, 40), np.float32)
    seen = look_at(features[:5_000])

    tracemalloc.start()
    novelty = seen.novelty(features)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()

    projected = features @ seen.directions
    cosines = projected @ seen.examples.T / np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(novelty, 1 - cosines.max(axis=1), atol=1e-6)
    assert novelty.dtype == np.float32
    assert peak_mb < 40
