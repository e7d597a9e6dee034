"""Thresholds of the verdicts, from predictions on cases that the network had not seen. NumPy and SciPy only.

A wrong code has next to nothing of some probability: of all, where any code may stand on the goods; of its chapter's,
or of its heading's, where mistakes stay within. So each kind of mistake has a level that speaks of it, and all levels
share one budget of right declarations that may be flagged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hs.card import LevelThreshold, Mistake, Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.flags import columns_at_levels, differs_at, normalised_entropy, sums_at_levels
from model.declared import Declared, parts
from model.training.bounds import at_most

_EMPHASIS = 0.9  # of the kind of mistake that is expected; the others share the rest, so that none goes unseen
_WRONG_AMONG_AGREEING = 0.005  # the share that is allowed
_AGREES_AT_LEAST = 0.5  # of the probability, whatever the shares: more likely than not
_UNKNOWN_BY_ENTROPY = 0.02  # of known goods, where a model gives no novelty
_LEAST = 1e-12  # of a probability that is divided by


@dataclass(frozen=True)
class Unseen:
    """Predictions on cases that the network had not seen.

    Attributes:
        probabilities: float [N, C], calibrated.
        labels: int [N], the true class of each.
        groups: int [N]; pictures of one are alike, and tell as much as one.
        table: what the columns stand for.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    table: ClassTable

    def mistakes(self, mistake: Mistake) -> np.ndarray:
        """Which codes may stand on each by mistake, bool [N, C]."""
        return Declared(self.table).mistakes(mistake)[self.labels]

    @cached_property
    def right(self) -> np.ndarray:
        """Those that can be declared right, int [n]: nobody declares the rest of a prefix."""
        return np.flatnonzero(Declared(self.table).can_be[self.labels])

    @cached_property
    def right_weights(self) -> tuple[np.ndarray, int]:
        """What each of them counts, so that each group counts as one and all sum to 1; how many groups there are."""
        _, group, sizes = np.unique(self.groups[self.right], return_inverse=True, return_counts=True)
        return 1 / (sizes[group] * len(sizes)), len(sizes)


@dataclass(frozen=True)
class Aims:
    """What thresholds shall reach.

    Attributes:
        precision: share of truly wrong declarations wanted among those that differ, as held-out cases say.
        surely: the same that is wanted at 90 % confidence, so that few cases make a cautious threshold.
        wrong_share: assumed share of wrong declarations.
    """

    precision: float = 0.9
    surely: float = 0.8
    wrong_share: float = 0.05

    def most_right(self, recall: np.ndarray, precision: float) -> np.ndarray:
        """The share of right declarations that may be flagged beside a share of the wrong ones, to keep a precision."""
        return recall * self.wrong_share / (1 - self.wrong_share) * (1 - precision) / precision


def aims_of(precision: float, wrong_share: float) -> Aims:
    """What a recipe asks for; at 90 % confidence twice as many flags may be false.

    >>> aims_of(0.9, 0.05).surely
    0.8
    """
    return Aims(precision, round(max(precision / 2, 2 * precision - 1), 6), wrong_share)


def thresholds_by_mistake(unseen: Unseen, aims: Aims) -> dict[Mistake, Thresholds]:
    """Thresholds for each kind of mistake that the classes allow."""
    return {expected: draw_thresholds(unseen, expected, aims) for expected in _able(unseen)}


def draw_thresholds(unseen: Unseen, expected: Mistake, aims: Aims) -> Thresholds:
    """Draws the thresholds for one kind of mistake.

    Every case stands for a right declaration under its own code, and for wrong ones under each code that it may be
    mistaken for, these weighted so that `aims.wrong_share` of all declarations are wrong. By Bayes' rule a code is the
    less to be believed the more its heading, its chapter, or all codes have beside it, each by the share of mistakes
    that stay within. One number is drawn, how much the largest of these three may be; a threshold for each follows.

    Args:
        unseen: the cases.
        expected: a kind that the classes allow; the precision is counted by it.
        aims: what the thresholds shall reach.
    """
    able = _able(unseen)
    emphasis = {other: _EMPHASIS if other is expected else (1 - _EMPHASIS) / (len(able) - 1) for other in able}
    weights = {each.shared: emphasis[each] / _alternatives(unseen, each) for each in able}
    limit = _lowest_limit(unseen, weights, expected, aims)
    plain = _lowest_limit(unseen, {0: 1.0}, expected, aims)  # for versions that know no levels
    levels = tuple(
        LevelThreshold(digits, within, float(weight / (weight + limit)))
        for within, weight in sorted(weights.items())
        for digits in _depths(unseen.table)
        if digits > within
    )
    differs_below = float(1 / (1 + plain))
    highest = max(differs_below, *(level.differs_below for level in levels))
    entropy = [normalised_entropy(row) for row in unseen.probabilities]
    drawn = Thresholds(
        differs_below,
        max(highest, _AGREES_AT_LEAST, _agrees_above(unseen, expected, aims)),
        float(np.quantile(entropy, 1 - _UNKNOWN_BY_ENTROPY)),
        aims.wrong_share,
        levels=levels,
    )
    share, bound = right_flagged(unseen, drawn)
    with_promises = []
    for level in levels:
        alone = right_flagged(unseen, replace(drawn, levels=(level,)))
        with_promises.append(replace(level, right_flagged=alone[0], right_flagged_at_most=alone[1]))
    return replace(drawn, levels=tuple(with_promises), right_flagged=share, right_flagged_at_most=bound)


def wrong_flagged(unseen: Unseen, thresholds: Thresholds, mistake: Mistake) -> float:
    """Share of wrong declarations that thresholds flag, each case under each code that it may be mistaken for.

    Args:
        unseen: the cases.
        thresholds: where the verdicts part.
        mistake: the kind; the classes must allow it.
    """
    declared, flagged, wrong = Declared(unseen.table), 0, 0
    for part in parts(len(unseen.labels)):
        speaks = declared.differs(declared.sums(unseen.probabilities[part]), thresholds)
        may_be = declared.mistakes(mistake)[unseen.labels[part]]
        flagged, wrong = flagged + int((speaks & may_be).sum()), wrong + int(may_be.sum())
    return flagged / wrong


def right_flagged(unseen: Unseen, thresholds: Thresholds) -> tuple[float, float]:
    """Share of right declarations that thresholds flag, each group counting as one, and the bound on it."""
    labels = unseen.labels[unseen.right]
    speaks = np.zeros(len(labels), bool)
    for label in np.unique(labels).tolist():
        mine, code = labels == label, HSCode(unseen.table.labels[label])
        said = unseen.probabilities[unseen.right[mine]]
        speaks[mine] = differs_at(said, code, unseen.table, thresholds) > 0
    weights, groups = unseen.right_weights
    share = float(weights[speaks].sum())
    return share, at_most(share * groups, groups)


def _able(unseen: Unseen) -> list[Mistake]:
    """The kinds of mistake that the classes allow."""
    return [each for each in Mistake if len(unseen.right) and unseen.mistakes(each).any()]


def _depths(table: ClassTable) -> list[int]:
    """The levels at which some class can be judged."""
    codes = [HSCode(label) for label in table.labels if not label.endswith("*")]
    return sorted({level for code in codes for level in columns_at_levels(code, table)})


def _alternatives(unseen: Unseen, mistake: Mistake) -> float:
    """How many wrong codes a declaration may have by a kind of mistake, on average of those that have any."""
    count = unseen.mistakes(mistake).sum(axis=1)
    return float(count[count > 0].mean())


def _against(unseen: Unseen, weights: Mapping[int, float]) -> np.ndarray:
    """How much speaks against each code on each case, float [N, C]: the largest of the weighted odds.

    Args:
        unseen: the cases.
        weights: digits of a level → how much what that level has beside the code counts; 0 is all there is.
    """
    against = np.zeros(unseen.probabilities.shape)
    for column, label in enumerate(unseen.table.labels):
        if label.endswith("*"):
            continue
        sums = sums_at_levels(unseen.probabilities, columns_at_levels(HSCode(label), unseen.table))
        own = np.maximum(sums[max(sums)], _LEAST)
        for within, weight in weights.items():
            if within < max(sums) and (not within or within in sums):
                whole = sums[within] if within else np.ones(len(own))
                against[:, column] = np.maximum(against[:, column], weight * np.maximum(whole / own - 1, 0))
    return against


def _lowest_limit(unseen: Unseen, weights: Mapping[int, float], expected: Mistake, aims: Aims) -> float:
    """How much must speak against a code so that the flags are precise enough; infinite where that is not to be had."""
    against = _against(unseen, weights)
    right = against[unseen.right, unseen.labels[unseen.right]]
    wrong = np.sort(against[unseen.mistakes(expected)])
    weight, groups = unseen.right_weights
    order = np.argsort(right)
    candidates = np.unique(right)
    until = np.searchsorted(right[order], candidates, side="right")
    above = np.maximum(0.0, 1 - np.cumsum(weight[order])[until - 1])  # of the right ones, those beyond each candidate
    recall = 1 - np.searchsorted(wrong, candidates, side="right") / len(wrong)
    worth = above <= aims.most_right(recall, aims.precision)
    bound = np.array([at_most(share * groups, groups) if so else 1.0 for share, so in zip(above, worth, strict=True)])
    fits = worth & (bound <= aims.most_right(recall, aims.surely))
    least = max(weights.values())  # half of a probability is more likely than not
    if fits.any():
        return max(float(candidates[fits].min()), least)
    # Even to flag none of the held-out ones promises too little. Below, as many right ones lie as the limit grows.
    allowed = float(aims.most_right(recall[-1], aims.surely))
    return max(float(candidates[-1]) * float(bound[-1]) / allowed, least) if allowed else float("inf")


def _agrees_above(unseen: Unseen, expected: Mistake, aims: Aims) -> float:
    """The declared code's probability from which on few enough are wrong."""
    of_code = np.zeros(unseen.probabilities.shape)
    for column, label in enumerate(unseen.table.labels):
        of_code[:, column] = unseen.probabilities[:, unseen.table.columns(label.rstrip("*"))].sum(axis=1)
    right = np.sort(of_code[unseen.right, unseen.labels[unseen.right]])
    wrong = np.sort(of_code[unseen.mistakes(expected)])
    candidates = np.unique(np.concatenate([right, np.geomspace(1e-6, 0.5, 400)]))
    wrong_above, right_above = (
        share * (1 - np.searchsorted(each, candidates, side="left") / len(each))
        for share, each in ((aims.wrong_share, wrong), (1 - aims.wrong_share, right))
    )
    safe = wrong_above <= _WRONG_AMONG_AGREEING * (wrong_above + right_above)
    return min(1.0, float(candidates[safe].min(initial=1.0)))
