"""Novelty: how unlike a picture's features are to all that was learned from."""

import tracemalloc

import numpy as np
import pytest

from model.training.novelty import look_at


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
