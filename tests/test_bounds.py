"""Bounds on shares, of which the thresholds make their promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from model.training.bounds import at_most


@given(st.floats(0, 1), st.floats(1, 1e5), st.floats(0.5, 0.99))
def test_a_bound_is_no_smaller_than_what_was_counted(share, of, confidence):
    bound = at_most(share * of, of, confidence)

    assert share <= bound + 1e-9
    assert bound <= 1


@given(st.floats(0, 0.5), st.floats(10, 1e4), st.floats(1.1, 10))
def test_more_cases_make_a_bound_tighter(share, of, times):
    assert at_most(share * of * times, of * times) < at_most(share * of, of)


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_a_bound_holds_for_nine_of_ten_samples(share):
    hits = np.random.default_rng(0).binomial(800, share, 4000)

    held = [at_most(hit, 800) >= share for hit in hits]

    assert np.mean(held) >= 0.89  # of 4,000 draws: half a per cent is one standard error


def test_a_bound_is_the_least_share_that_would_hardly_give_so_few():
    share = at_most(7, 200)

    assert binom.cdf(7, 200, share) == pytest.approx(0.1)
    assert 7 / 200 < share < 0.1
