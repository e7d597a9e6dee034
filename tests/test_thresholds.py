"""Thresholds with a bound, and at which level they speak, from predictions whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from hs.card import Mistake, Thresholds
from hs.class_table import ClassTable
from model.training.calibration import fit_calibration, fit_temperature
from model.training.thresholds import (
    Aims,
    Unseen,
    aims_of,
    draw_thresholds,
    right_flagged,
    thresholds_by_mistake,
    wrong_flagged,
)

TABLE = ClassTable(("040110", "040120", "040610", "080410", "080430", "080810", "200911", "200912", "200919", "220210"))
AIMS = Aims()


def goods(count: int, seed: int = 0, table: ClassTable = TABLE) -> Unseen:
    """Probabilities that are calibrated, as the labels are drawn from them, with headings that look alike."""
    random = np.random.default_rng(seed)
    near = np.array([[2.0 * (one[:4] == other[:4]) for other in table.labels] for one in table.labels])
    logits = random.normal(size=(count, len(table))) * 4
    probabilities = softmax(logits + near[logits.argmax(axis=1)], axis=1)
    labels = (probabilities.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return Unseen(probabilities, labels, np.arange(count), table)


def precision(unseen: Unseen, thresholds: Thresholds, mistake: Mistake) -> float:
    wrong, right = wrong_flagged(unseen, thresholds, mistake), right_flagged(unseen, thresholds)[0]
    return 0.05 * wrong / (0.05 * wrong + 0.95 * right)


@pytest.fixture(scope="module")
def night() -> Unseen:
    return goods(6000, seed=1000)


@pytest.mark.parametrize("wanted", [0.8, 0.95])
@pytest.mark.parametrize("mistake", Mistake)
def test_the_flag_has_the_stated_precision_on_a_night_like_the_cases(wanted, mistake, night):
    thresholds = draw_thresholds(goods(4000), mistake, aims_of(wanted, 0.05))

    assert precision(night, thresholds, mistake) == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("count", [80, 500])
def test_the_promises_hold_for_nine_of_ten_training_sets_however_few_cases_they_have(count, night):
    drawn = [draw_thresholds(goods(count, seed), Mistake.AT_RANDOM, AIMS) for seed in range(40)]

    within = [right_flagged(night, each)[0] <= each.right_flagged_at_most for each in drawn]
    precise = [precision(night, each, Mistake.AT_RANDOM) >= AIMS.surely for each in drawn]

    assert np.mean(within) >= 0.9
    assert np.mean(precise) >= 0.9
    assert np.median([wrong_flagged(night, each, Mistake.AT_RANDOM) for each in drawn]) > 0.5


def test_few_cases_make_a_cautious_threshold_and_not_a_lucky_one(night):
    lucky = replace(AIMS, surely=0.01)

    bounded, not_bounded = (
        [draw_thresholds(goods(80, seed), Mistake.AT_RANDOM, aims) for seed in range(20)] for aims in (AIMS, lucky)
    )

    below_four_in_five = [
        np.mean([precision(night, each, Mistake.AT_RANDOM) < 0.8 for each in drawn]) for drawn in (bounded, not_bounded)
    ]
    assert below_four_in_five[0] <= 0.1 < 0.2 < below_four_in_five[1]
    assert all(each.right_flagged_at_most > 0.02 for each in bounded)  # 80 cases bear out no more


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 400), st.integers(0, 1000), st.sampled_from(Mistake))
def test_a_bound_stands_above_its_estimate_and_fewer_groups_loosen_it(count, seed, mistake):
    unseen = goods(count, seed)
    thresholds = draw_thresholds(unseen, mistake, AIMS)
    bursts = replace(unseen, groups=np.arange(count) // 5)

    assert thresholds.right_flagged <= thresholds.right_flagged_at_most
    assert all(each.right_flagged <= thresholds.right_flagged + 1e-12 for each in thresholds.levels)
    assert right_flagged(bursts, thresholds)[1] > thresholds.right_flagged_at_most
    assert all(each.differs_below <= 0.5 <= thresholds.agrees_above for each in thresholds.levels)


def test_each_kind_of_mistake_is_found_best_by_the_thresholds_for_it():
    drawn, night = thresholds_by_mistake(goods(4000), AIMS), goods(4000, seed=1)

    found = {
        mistake: {assumed: wrong_flagged(night, thresholds, mistake) for assumed, thresholds in drawn.items()}
        for mistake in Mistake
    }

    for mistake, by_assumed in found.items():
        assert by_assumed[mistake] == max(by_assumed.values())
        assert min(by_assumed.values()) > 0.2  # none goes unseen


def test_within_the_heading_the_share_of_the_heading_finds_more_than_the_probability():
    drawn, night = draw_thresholds(goods(4000), Mistake.WITHIN_HEADING, AIMS), goods(4000, seed=1)

    by_share, by_probability = (
        wrong_flagged(night, each, Mistake.WITHIN_HEADING) for each in (drawn, replace(drawn, levels=()))
    )

    assert by_share > by_probability


def test_a_classifier_that_knows_nothing_flags_nothing():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    clueless = Unseen(np.full((1000, 10), 0.1), labels, np.arange(1000), TABLE)

    drawn = thresholds_by_mistake(clueless, AIMS)

    assert [wrong_flagged(clueless, thresholds, mistake) for mistake, thresholds in drawn.items()] == [0, 0, 0]


def test_a_declaration_agrees_only_if_its_code_is_more_likely_than_not():
    assert all(thresholds.agrees_above >= 0.5 for thresholds in thresholds_by_mistake(goods(500), AIMS).values())


def test_codes_of_several_depths_and_the_rest_of_a_chapter_are_judged_as_deep_as_they_go():
    table = ClassTable(("0401", "04061010", "04061020", "08*", "080410"))

    drawn = thresholds_by_mistake(goods(2000, table=table), AIMS)

    assert {each.digits for each in drawn[Mistake.AT_RANDOM].levels} == {2, 4, 6, 8}
    assert {(each.digits, each.within) for each in drawn[Mistake.WITHIN_HEADING].levels if each.within == 4} == {
        (6, 4), (8, 4),
    }  # fmt: skip


def test_mistakes_that_the_classes_do_not_allow_have_no_thresholds():
    drawn = thresholds_by_mistake(goods(200, table=ClassTable(("040110", "080410"))), AIMS)

    assert list(drawn) == [Mistake.AT_RANDOM]


def test_wrong_declarations_of_goods_with_look_alikes_are_found_all_the_same():
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 3000)
    taken_for = np.where(random.random(3000) < 0.9, labels, labels ^ 1)
    logits = 8 * np.eye(10)[taken_for] + random.normal(size=(3000, 10))
    plain = softmax(logits / fit_temperature(logits, labels), axis=1)
    _, calibrated = fit_calibration(logits, labels, np.arange(3000) % 3)

    found = []
    for said in (plain, calibrated):
        unseen = Unseen(said, labels, np.arange(3000), TABLE)
        thresholds = draw_thresholds(unseen, Mistake.AT_RANDOM, AIMS)
        found.append(wrong_flagged(unseen, thresholds, Mistake.AT_RANDOM))

    assert found[0] < 0.3
    assert found[1] > 0.85
