"""Pictures of one scene are found by their features, and goods that merely look alike are not."""

import numpy as np
import pytest

from model.cases.groups import ALWAYS_JOINED
from model.training.bursts import find_bursts

FEATURES = 160


def scenes(scenes_of_code: int, each: int, alike: float, codes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scenes and features: `each` pictures of a scene; `alike` is what all goods of a code have in common."""
    random = np.random.default_rng(0)
    scene = np.repeat(np.arange(codes * scenes_of_code), each)
    label = scene // scenes_of_code
    own, common = random.normal(size=(len(scene), FEATURES)), random.normal(size=(codes, FEATURES))
    features = random.normal(size=(scene.max() + 1, FEATURES))[scene] + 0.3 * own + alike * common[label] + 3
    return label, scene, features.astype(np.float32)


def found_in(label: np.ndarray, features: np.ndarray, places: np.ndarray | None = None) -> set[frozenset[int]]:
    """Bursts as sets of the places that the pictures had before they were put in another order."""
    places = np.arange(len(label)) if places is None else places
    digests = [f"{place:05}" for place in places]
    bursts = find_bursts(label[places], digests, lambda some: features[places[some]])
    return {frozenset(places[burst].tolist()) for burst in bursts or []}


@pytest.mark.parametrize("alike", [0.0, 2.0])
def test_pictures_of_one_scene_are_a_burst_however_alike_the_goods_of_a_code_are(alike):
    label, scene, features = scenes(100, 3, alike)

    found = found_in(label, features)

    truth = {frozenset(np.flatnonzero(scene == one).tolist()) for one in np.unique(scene)}
    assert len(found & truth) > 0.95 * len(truth)
    assert all(len(set(scene[list(burst)])) == 1 for burst in found)


@pytest.mark.parametrize("alike", [0.0, 2.0])
def test_goods_that_look_alike_are_no_burst(alike):
    label, _, features = scenes(300, 1, alike)

    assert found_in(label, features) == set()


def test_a_burst_is_no_larger_than_a_group_may_be():
    label, _, features = scenes(12, 20, 0.0, codes=12)

    found = found_in(label, features)

    assert max(map(len, found)) <= max(ALWAYS_JOINED, 0.05 * 240)


@pytest.mark.parametrize("places", [np.arange(1500)[::-1], np.random.default_rng(1).permutation(1500)])
def test_the_order_of_the_cases_decides_on_no_burst(places):
    label, _, features = scenes(100, 3, 1.0)

    assert found_in(label, features, places) == found_in(label, features)


def test_few_pictures_do_not_tell_bursts():
    label, _, features = scenes(20, 3, 0.0)

    assert find_bursts(label, [str(place) for place in range(len(label))], lambda some: features[some]) is None
