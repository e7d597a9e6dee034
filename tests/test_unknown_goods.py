"""Where goods begin to be unknown, and what is promised of it."""

import numpy as np
import pytest

from model.training.novelty import look_at_frozen
from model.training.unknown_goods import KnownGoods, by_scenes, draw, novelty_held_out


def known_goods(count: int, seed: int = 0, scale: float = 0.1, copies: int = 1) -> KnownGoods:
    """So many groups of so many equal pictures."""
    novelty = np.random.default_rng(seed).exponential(scale, count).clip(0, 1)
    return KnownGoods(np.repeat(novelty, copies).astype(np.float32), np.repeat(np.arange(count), copies))


def test_the_share_of_known_goods_above_the_threshold_stays_within_the_promise_nine_times_in_ten():
    truly = []
    for seed in range(200):
        drawn = draw([known_goods(300, seed)], 0.05)
        truly.append(np.exp(-drawn.novel_above / 0.1))  # how much of the distribution lies above

    kept = np.mean(np.array(truly) <= 0.05)
    assert 0.85 <= kept <= 0.97
    assert np.mean(truly) > 0.02


def test_few_cases_give_a_more_cautious_threshold_and_tell_so():
    few, many = draw([known_goods(60)], 0.05), draw([known_goods(6000)], 0.05)

    assert few.novel_above > many.novel_above
    assert few.known_as_unknown_at_most <= 0.05
    assert many.known_as_unknown == pytest.approx(0.046, abs=0.003)
    assert many.known_as_unknown_at_most == pytest.approx(0.05, abs=0.001)


def test_pictures_of_one_group_tell_no_more_than_one():
    once, often = draw([known_goods(100)], 0.05), draw([known_goods(100, copies=9)], 0.05)

    assert often == once


def test_the_promise_is_kept_on_goods_from_elsewhere_too():
    alike, shifted = known_goods(500), known_goods(500, seed=1, scale=0.2)

    drawn = draw([alike, shifted], 0.05)

    assert drawn == draw([shifted, alike], 0.05)
    assert shifted.share_at_most(drawn.novel_above) <= 0.05
    assert drawn.known_as_unknown == shifted.share_above(drawn.novel_above)
    assert drawn.abstain_above > drawn.novel_above


def test_where_a_promise_cannot_be_borne_out_nothing_that_was_seen_is_unknown_and_the_bound_says_what_that_is_worth():
    known = known_goods(10)

    drawn = draw([known], 0.05)

    assert drawn.novel_above == drawn.abstain_above == known.novelty.max()
    assert (drawn.known_as_unknown, round(drawn.known_as_unknown_at_most, 3)) == (0, 0.206)


def test_goods_from_a_shop_that_no_case_shows_are_known_within_the_promise_though_shops_look_more_alike_than_goods():
    random = np.random.default_rng(0)
    shops, codes = random.normal(size=(60, 24)), random.normal(size=(8, 24)) / 5
    shop, code, _ = (numbers.ravel() for numbers in np.mgrid[:60, :8, :5])
    rows = (6 + shops[shop] + codes[code] + random.normal(size=(2400, 24)) / 9).astype(np.float32)
    cases, elsewhere, groups = shop < 40, shop >= 40, np.arange(1600)

    alike = KnownGoods(novelty_held_out(rows[cases], groups % 5), groups)
    scenes = by_scenes(rows[cases], code[cases], groups, 5, seed=0)

    novelty = look_at_frozen(rows[cases]).novelty(rows[elsewhere])
    assert (novelty > draw([alike], 0.05).novel_above).mean() > 0.9
    assert (novelty > draw([alike, scenes], 0.05).novel_above).mean() < 0.1
