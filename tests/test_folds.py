"""Which cases are held out together: by content, evenly, and whole looks or places where goods come from elsewhere."""

import numpy as np
import pytest

from model.training.folds import deal, hold_out, looks

FOLDS = 3


def goods(kinds: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, kinds and features of goods of several codes, each with kinds that lie apart from one another."""
    random = np.random.default_rng(0)
    kind = np.repeat(np.arange(4 * kinds), 12)
    features = random.normal(size=(4 * kinds, 32))[kind] + 0.1 * random.normal(size=(len(kind), 32))
    return kind // kinds, kind, features.astype(np.float32)


@pytest.mark.parametrize("how", ["alike", "shifted", "both"])
def test_each_fold_has_as_much_of_each_code_and_groups_stay_whole(how):
    labels, _, features = goods()
    groups = np.arange(len(labels)) // 2

    folds = hold_out(labels, groups, FOLDS, 0, how, lambda pictures: features[pictures])

    shares = np.stack([np.bincount(labels[folds.fold_of == fold]) for fold in range(FOLDS)]) / np.bincount(labels)
    assert np.abs(shares - 1 / FOLDS).max() < 0.04
    assert all(len(set(folds.fold_of[groups == group])) == 1 for group in np.unique(groups))
    assert folds.shifted.mean() == {"alike": 0, "shifted": 1, "both": 0.5}[how]


def test_a_shift_holds_out_whole_kinds_of_goods_and_chance_does_not():
    labels, kind, features = goods()

    folds = {
        how: hold_out(labels, np.arange(len(labels)), FOLDS, 0, how, lambda pictures: features[pictures])
        for how in ("alike", "shifted", "both")
    }

    whole = {
        how: np.mean([len(set(each.fold_of[kind == one])) == 1 for one in np.unique(kind)])
        for how, each in folds.items()
    }
    assert (whole["alike"], whole["shifted"], whole["both"]) == (0, 1, 0.5)
    assert all(len(set(folds["both"].shifted[kind == one])) == 1 for one in np.unique(kind))


@pytest.mark.parametrize("how", ["alike", "shifted", "both"])
@pytest.mark.parametrize("order", ["sorted by kind", "reversed", "shuffled"])
def test_the_order_of_the_cases_decides_on_no_fold(how, order):
    labels, kind, features = goods()
    groups = np.random.default_rng(3).permutation(len(labels))  # numbered by content
    places = {
        "sorted by kind": np.argsort(kind[::-1], kind="stable"),
        "reversed": np.arange(len(labels))[::-1],
        "shuffled": np.random.default_rng(1).permutation(len(labels)),
    }[order]

    as_written = hold_out(labels, groups, FOLDS, 0, how, lambda pictures: features[pictures])
    otherwise = hold_out(labels[places], groups[places], FOLDS, 0, how, lambda pictures: features[places[pictures]])

    assert otherwise.fold_of.tolist() == as_written.fold_of[places].tolist()
    assert otherwise.shifted.tolist() == as_written.shifted[places].tolist()


def test_a_look_is_no_larger_than_its_share_and_even_goods_that_are_all_alike_have_several():
    home, groups = np.zeros(60, int), np.arange(60)
    same = np.ones((60, 8), np.float32)

    look = looks(home, groups, 6, lambda pictures: same[pictures])

    assert np.bincount(look).max() <= 10


def test_another_seed_deals_other_folds():
    labels = np.repeat(np.arange(3), 30)

    once, again = (deal(np.arange(90), labels, FOLDS, seed) for seed in (1, 2))

    assert (once != again).any()


def test_all_that_one_place_sent_is_held_out_together():
    labels = np.tile(np.arange(4), 30)
    places = np.concatenate([np.repeat(np.arange(9), 10), np.full(30, -1)])

    folds = hold_out(labels, np.arange(120), FOLDS, 0, "both", lambda pictures: None, places)

    assert all(len(set(folds.fold_of[places == place])) == 1 for place in range(9))
    assert folds.shifted.all()
    assert len(set(folds.fold_of[places == -1])) > 1


def test_a_code_that_one_place_alone_sent_is_learned_in_each_fold_all_the_same():
    labels = np.repeat([0, 1, 2], 20)
    places = np.concatenate([np.tile(np.arange(5), 8), np.full(20, 9)])

    folds = hold_out(labels, np.arange(60), FOLDS, 0, "both", lambda pictures: None, places)

    assert sorted(np.bincount(folds.fold_of[labels == 2]).tolist()) == [6, 7, 7]
    assert not folds.shifted[labels == 2].any()
    assert folds.shifted[labels != 2].all()


def test_a_picture_of_two_places_chains_them_not():
    labels, places = np.zeros(40, int), np.repeat(np.arange(8), 5)
    groups = np.arange(40)
    groups[[4, 5]], groups[[9, 10]] = 4, 9  # the same picture from two places, twice over

    folds = hold_out(labels, groups, FOLDS, 0, "shifted", lambda pictures: None, places)

    assert folds.fold_of[4] == folds.fold_of[5]
    assert np.bincount(folds.fold_of).max() <= 16


def test_a_hundred_thousand_groups_are_dealt_in_seconds():
    labels = np.random.default_rng(0).integers(50, size=100_000)

    fold_of = deal(np.arange(100_000), labels, FOLDS, 0)

    assert np.ptp([np.bincount(labels[fold_of == fold], minlength=50) for fold in range(FOLDS)], axis=0).max() <= 1


@pytest.mark.parametrize(("in_bursts", "shifted"), [(None, 0.5), (0.65, 0.75), (0.1, 0.25), (1.0, 0.75)])
def test_the_more_pictures_come_in_bursts_the_more_is_held_out_by_looks(in_bursts, shifted):
    labels, _, features = goods(kinds=8)

    folds = hold_out(labels, np.arange(len(labels)), FOLDS, 0, "both", lambda some: features[some], None, in_bursts)

    assert folds.shifted.mean() == shifted
