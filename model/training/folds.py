"""Which pictures are held out together, for the use at hand: pure functions of content, never of the order in a file.

alike     new declarations are like the cases: groups at random, each code evenly
shifted   they come from elsewhere: whole looks of a code's goods, or all that one importer, office or shop sent
both      some of each code in either way, the more by looks the more of its pictures come in bursts
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.training.novelty import unit_rows
from model.training.recipes import HeldOut

FeaturesOf = Callable[[np.ndarray], np.ndarray]

LOOKS_PER_FOLD = 2  # docs/evaluation.md: a look is at most a sixth of its code where there are three folds
_ROUNDS = 20


@dataclass(frozen=True)
class Folds:
    """Where pictures are held out.

    Attributes:
        fold_of: int [N], the fold in which each is held out.
        shifted: bool [N], whether the whole look, or place, that it belongs to is held out with it.
    """

    fold_of: np.ndarray
    shifted: np.ndarray


def hold_out(
    labels: np.ndarray,
    groups: np.ndarray,
    folds: int,
    seed: int,
    how: HeldOut,
    features_of: FeaturesOf,
    places: np.ndarray | None = None,
    in_bursts: float | None = None,
) -> Folds:
    """Cuts pictures into folds.

    Args:
        labels: int [N], the class of each picture.
        groups: int [N], what stays together, numbered by content.
        folds: how many.
        seed: of all that is random.
        how: see the module.
        features_of: int [n], numbers of pictures → float32 [n, F]; the fewer the angle between two, the more alike.
        places: int [N], where each comes from; a group is held out with the place of most of it. -1 is a place of its
            own. None goes by the looks.
        in_bursts: share of the pictures that are of a burst, where that is known.
    """
    home = _most_frequent(groups, labels)
    if places is not None:
        return _by_place(labels, groups, home, folds, seed, how, places)
    nothing = np.zeros(len(labels), bool)
    if how == "alike":
        return Folds(deal(groups, labels, folds, seed), nothing)
    look = looks(home, groups, folds * LOOKS_PER_FOLD, features_of)
    # Both ways are dealt to looks, each code evenly: of one look all pictures are held out in the same way.
    shifted = ~nothing if how == "shifted" else deal(look, labels, 4, seed) < quarters_shifted(in_bursts)
    units = np.where(shifted, look, look.max() + 1 + groups)
    return Folds(deal(units, labels, folds, seed), shifted)


def quarters_shifted(in_bursts: float | None) -> int:
    """How many quarters of each code are held out by looks, where both ways are wanted; one at least in either way.

    >>> [quarters_shifted(share) for share in (None, 0.0, 0.25, 0.65, 1.0)]
    [2, 1, 1, 3, 3]
    """
    return 2 if in_bursts is None else min(3, max(1, round(4 * in_bursts)))


def deal(units: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Deals whole units to folds, so that each fold has as much of each code as can be.

    >>> folds = deal(np.arange(9), np.repeat([0, 1, 2], 3), 3, seed=0)
    >>> [sorted(folds[code * 3 : code * 3 + 3].tolist()) for code in range(3)]
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]

    Args:
        units: int [N], what stays together, numbered by content.
        labels: int [N], the class of each picture.
        folds: how many.
        seed: of the order in which units of one size are dealt.

    Returns:
        int [N], the fold of each picture.
    """
    _, unit_of, size = np.unique(units, return_inverse=True, return_counts=True)
    classes = int(labels.max()) + 1
    pairs, count = np.unique(unit_of * classes + labels, return_counts=True)
    begins = np.searchsorted(pairs, np.arange(len(size) + 1) * classes).tolist()
    its_labels = pairs % classes
    shares = (count / np.bincount(labels, minlength=classes)[its_labels]).tolist()
    order = np.random.default_rng(seed).permutation(len(size))
    order = order[np.argsort(-size[order], kind="stable")]
    dealt = [[0.0] * classes for _ in range(folds)]  # shares of each code, so far
    total = [0] * folds
    fold_of = np.empty(len(size), int)
    listed = its_labels.tolist()
    for unit, its_size in zip(order.tolist(), size[order].tolist(), strict=True):
        mine = [(listed[place], shares[place]) for place in range(begins[unit], begins[unit + 1])]
        burdens = [sum(share * has[label] for label, share in mine) for has in dealt]
        fold = min(range(folds), key=lambda fold: (round(burdens[fold], 9), total[fold]))
        for label, share in mine:
            dealt[fold][label] += share
        total[fold] += its_size
        fold_of[unit] = fold
    return fold_of[unit_of]


def looks(home: np.ndarray, groups: np.ndarray, parts: int, features_of: FeaturesOf) -> np.ndarray:
    """Looks of the goods of each code: groups that are alike in their features, none more than 1/parts of the code.

    The largest look is cut in two by 2-means, from the direction in which its groups differ most, until none is too
    large. A single group is not cut.

    Args:
        home: int [N], the code that each picture counts for; one for all of a group.
        groups: int [N], what stays together.
        parts: see above.
        features_of: int [n], numbers of pictures → float32 [n, F].

    Returns:
        int [N], the look of each picture, numbered over all codes.
    """
    look = np.empty(len(home), int)
    number = 0
    for code in np.unique(home):
        pictures = np.flatnonzero(home == code)
        pictures = pictures[np.argsort(groups[pictures], kind="stable")]  # by content
        _, group_of, size = np.unique(groups[pictures], return_inverse=True, return_counts=True)
        middles = _middles(features_of(pictures), group_of, size)
        for members in cut_alike(middles, size, len(pictures) / parts):
            look[pictures[np.isin(group_of, members)]] = number
            number += 1
    return look


def _middles(features: np.ndarray, group_of: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Mean direction of each group, float32 [G, F]; groups are in rising order."""
    begins = np.cumsum(size) - size
    return unit_rows(np.add.reduceat(unit_rows(features), begins, axis=0))


def cut_alike(rows: np.ndarray, size: np.ndarray, most: float) -> list[np.ndarray]:
    """Cuts rows float32 [n, F] by what is alike until no part is larger than `most`, or a single row: int [m] each.

    Args:
        rows: in an order that goes by content.
        size: int [n], what each row counts.
        most: that a part may count.
    """
    done, waiting = [], [np.arange(len(size))]
    while waiting:
        members = waiting.pop()
        if size[members].sum() <= most or len(members) == 1:
            done.append(members)
            continue
        second = _second_of_two(rows[members])
        waiting += [members[~second], members[second]]
    return done


def _second_of_two(rows: np.ndarray) -> np.ndarray:
    """2-means over float32 [n, F]: bool [n], neither side empty."""
    about_mean = rows - rows.mean(axis=0)
    direction = about_mean[np.argmax((about_mean**2).sum(axis=1))]
    for _ in range(_ROUNDS):  # the power method
        direction = about_mean.T @ (about_mean @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-12)
    along = about_mean @ direction
    second = along > np.median(along)
    for _ in range(_ROUNDS):
        if not 0 < second.sum() < len(rows):
            break
        apart = rows[second].mean(axis=0) - rows[~second].mean(axis=0)
        middle = (rows[second].mean(axis=0) + rows[~second].mean(axis=0)) / 2
        moved = (rows - middle) @ apart > 0
        if (moved == second).all():
            return second
        second = moved
    if 0 < second.sum() < len(rows):
        return second
    return np.arange(len(rows)) >= len(rows) // 2  # all alike: any halves will do


def _by_place(
    labels: np.ndarray, groups: np.ndarray, home: np.ndarray, folds: int, seed: int, how: HeldOut, places: np.ndarray
) -> Folds:
    of_group = _most_frequent(groups, places)
    units = np.where(of_group >= 0, of_group, places.max() + 1 + groups)
    fold_of = deal(units, labels, folds, seed)
    # A code that one place alone sent would be held out where it was never learned: its groups are dealt instead.
    first = fold_of[np.unique(home, return_index=True)[1]]
    one_fold = np.array(
        [(fold_of[home == code] == fold).all() for code, fold in zip(np.unique(home), first, strict=True)]
    )
    alone = np.isin(home, np.unique(home)[one_fold])
    if alone.any():
        fold_of[alone] = deal(groups[alone], labels[alone], folds, seed)
    return Folds(fold_of, ~alone & (how != "alike"))


def _most_frequent(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The value that most pictures of a group have, the lowest of several, for each picture: int [N].

    >>> _most_frequent(np.array([0, 0, 0, 1, 1]), np.array([5, 6, 6, 9, 8])).tolist()
    [6, 6, 6, 8, 8]
    """
    known, value_of = np.unique(values, return_inverse=True)
    _, group_of = np.unique(groups, return_inverse=True)
    pairs, count = np.unique(group_of * len(known) + value_of, return_counts=True)
    order = np.lexsort((pairs, -count, pairs // len(known)))  # by group, the most frequent first, then the lowest
    _, first = np.unique(pairs[order] // len(known), return_index=True)
    return known[pairs[order][first] % len(known)][group_of]
