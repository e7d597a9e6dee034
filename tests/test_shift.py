"""How far counts have moved, against SciPy and against draws."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from hs.drift import LEVEL, dispersion, shift

EVEN = {"a": 500, "b": 300, "c": 200}


def test_the_figures_are_those_of_their_formulas():
    moved = shift({"a": 20, "b": 60, "d": 20}, [EVEN, EVEN], compared=1)

    now, was = np.array([20.5, 60.5, 0.5, 20.5]) / 102, np.array([1000.5, 600.5, 400.5, 0.5]) / 2002
    assert moved.psi == pytest.approx(np.sum((now - was) * np.log(now / was)))
    assert moved.jensen_shannon == pytest.approx(jensenshannon([20, 60, 0, 20], [1000, 600, 400, 0], base=2))
    assert (moved.moved, moved.was, moved.now) == ("d", 0, 0.2)


def test_what_has_not_moved_is_within_chance_and_what_has_is_not():
    like_before, another = shift({"a": 51, "b": 29, "c": 20}, [EVEN], 8), shift({"a": 20, "b": 60, "c": 20}, [EVEN], 8)

    assert like_before.psi < like_before.chance
    assert another.psi > another.chance


def test_a_small_night_needs_more_to_be_beyond_chance():
    small, large = ({"a": 2 * of, "b": 6 * of, "c": 2 * of} for of in (1, 100))

    assert shift(small, [EVEN], 8).psi < shift(small, [EVEN], 8).chance
    assert shift(large, [EVEN], 8).chance < shift(small, [EVEN], 8).chance / 10


def test_chance_takes_as_many_nights_beyond_the_bound_as_the_level_says():
    random = np.random.default_rng(0)
    table = random.multinomial(200, [0.5, 0.3, 0.15, 0.05], (100, 6))
    nights = [[dict(zip("abcd", counts.tolist(), strict=True)) for counts in six] for six in table]

    beyond = [moved.psi > moved.chance for now, *before in nights for moved in [shift(now, before, compared=1)]]

    assert 0 < LEVEL == 0.01
    assert sum(beyond) <= 4  # one of 100 is expected


def test_nights_of_lots_differ_more_than_draws():
    random = np.random.default_rng(0)
    single = random.multinomial(300, [0.5, 0.3, 0.2], 28)
    lots = 5 * random.multinomial(60, [0.5, 0.3, 0.2], 28)
    one_broke = np.vstack([single, [0, 0, 300]])

    assert dispersion(single) < 2
    assert 3 < dispersion(lots) < 8
    assert dispersion(one_broke) < 4


@pytest.mark.parametrize(("now", "before"), [({}, [EVEN]), ({"a": 0}, [EVEN]), (EVEN, []), (EVEN, [{}, {"a": 0}])])
def test_nothing_is_compared_with_nothing(now, before):
    assert shift(now, before, 8) is None


def test_what_is_all_of_one_kind_has_not_moved():
    moved = shift({"ok": 9}, [{"ok": 900}], 8)

    assert (moved.psi, moved.chance, moved.jensen_shannon) == (0, 0, 0)


def test_more_earlier_cases_than_numpy_draws_from_are_compared_all_the_same():
    moved = shift({"a": 10_000, "b": 30_000}, [{"a": 2 * 10**9, "b": 2 * 10**9}], 8)

    assert moved.psi > 0.25 > moved.chance
