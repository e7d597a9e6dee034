"""Measures of predictions against models whose truth is known, and against sums worked out by hand."""

import numpy as np
import pytest

from model.evaluation.paired import difference_of_means, difference_of_shares
from model.measures import augrc, reliability


def a_model(cases: int, seed: int, too_sure_by: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences as of a good model, and whether it is right."""
    random = np.random.default_rng(seed)
    confidence = random.beta(4, 0.5, cases).clip(0.02, 1)
    return confidence, random.random(cases) < confidence - too_sure_by


@pytest.mark.parametrize("cases", [300, 1200])
@pytest.mark.parametrize(("too_sure_by", "error"), [(0.0, 0.0), (0.04, 0.04), (0.1, 0.1), (0.3, 0.3)])
def test_the_calibration_error_is_that_of_the_model_and_not_of_chance(cases, too_sure_by, error):
    found = [reliability(*a_model(cases, seed, too_sure_by)) for seed in range(60)]

    assert np.mean([one.error for one in found]) == pytest.approx(error, abs=0.015)
    if not too_sure_by:
        plain = np.mean([one.plain for one in found])
        assert plain > 2 * np.mean([one.error for one in found])
        assert plain == pytest.approx(np.mean([one.by_chance for one in found]), rel=0.1)


def test_predictions_in_another_order_have_the_same_calibration_error_where_many_are_equally_sure():
    random = np.random.default_rng(0)
    confidence = random.choice([0.5, 0.9, 1.0], 500)
    right = random.random(500) < confidence - 0.05
    other = random.permutation(500)

    first, second = reliability(confidence, right), reliability(confidence[other], right[other])

    assert first.error == pytest.approx(second.error, rel=1e-9)
    assert first.error == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("cases", [1, 2, 14])
def test_fewer_predictions_than_bins_have_a_bin_each(cases):
    binned = reliability(np.linspace(0.5, 0.6, cases), np.ones(cases, bool))

    assert binned.count.tolist() == [1] * cases
    assert 0 <= binned.error <= 0.5


def by_the_curve(confidence: np.ndarray, right: np.ndarray) -> float:
    """The area under the curve itself, by trapezes; equally sure ones are accepted together."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.concatenate([[0], np.cumsum(~right[order])]) / len(right)
    last_of_equal = np.append(np.diff(confidence[order]) != 0, True)
    corners = np.concatenate([[0], 1 + np.flatnonzero(last_of_equal)])
    return float(np.trapezoid(wrong[corners], corners / len(right)))


@pytest.mark.parametrize("digits", [1, 2, 17])
def test_the_area_of_undetected_mistakes_is_that_under_the_curve(digits):
    confidence, right = a_model(500, 0, 0.1)

    area = augrc(confidence.round(digits), right)

    assert area == pytest.approx(by_the_curve(confidence.round(digits), right))


def test_the_area_is_half_the_square_of_the_mistakes_at_best_and_half_the_mistakes_at_random():
    right = np.arange(1000) >= 100

    assert augrc(np.arange(1000), right) == pytest.approx(0.1**2 / 2)
    assert augrc(np.zeros(1000), right) == pytest.approx(0.1 / 2)
    assert augrc(np.arange(1000), np.ones(1000, bool)) == 0


def test_a_difference_of_two_models_is_within_its_interval_as_often_as_promised():
    held = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        old, new = random.random(200) < 0.88, random.random(200) < 0.92
        found = difference_of_shares(new, old, np.arange(200))
        held.append(found.low <= 0.04 <= found.high)

    assert 0.92 <= np.mean(held) <= 0.985


@pytest.mark.parametrize("difference", [difference_of_shares, difference_of_means])
def test_pictures_of_one_case_tell_less_than_as_many_cases(difference):
    random = np.random.default_rng(0)
    new, old = (np.repeat(random.random(50) < share, 4).astype(float) for share in (0.9, 0.7))

    apart = difference(new, old, np.arange(200))
    together = difference(new, old, np.repeat(np.arange(50), 4))

    assert together.mean == apart.mean
    assert together.high - together.low > 1.7 * (apart.high - apart.low)


def test_models_that_no_case_tells_apart_may_still_differ():
    same = np.ones(300, bool)

    found = difference_of_shares(same, same, np.arange(300))

    assert found.mean == 0
    assert -0.02 < found.low < 0 < found.high < 0.02
    assert not found.better
    assert not found.worse
