"""What officers decided → thresholds: the one number behind a card's thresholds, drawn anew. NumPy and SciPy only.

Decisions are no fair sample: what is flagged is looked at first, the rest as far as a random share goes. So each counts
by how likely it was to be looked at, as in the hit rate of a random share. Nor are they independent: several may be on
one picture, which the classifier reads rightly or wrongly for all of them; so what bears a threshold out is pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import gamma

from hs.card import LevelThreshold, Thresholds
from hs.proportions import Estimate, clustered
from model.training.bounds import at_most
from model.training.thresholds import Aims

_LEAST = 1e-12  # of a probability that is divided by


@dataclass(frozen=True)
class Decided:
    """Findings on which officers decided that the declared code is right or wrong.

    Attributes:
        sums: level → summed probability of the declared code, float [N]; NaN where that level was not judged.
        wrong: bool [N].
        likely: float [N], how likely each was to be looked at, above 0.
        can_differ: bool [N]; pictures that disagree, or show what nobody knows, speak against no code.
        pictures: int [N] from 0, equal for those that share a picture.
    """

    sums: Mapping[int, np.ndarray]
    wrong: np.ndarray
    likely: np.ndarray
    can_differ: np.ndarray
    pictures: np.ndarray

    def against(self, thresholds: Thresholds) -> np.ndarray:
        """How much speaks against each code, float [N]; above 1 it differs."""
        found = np.zeros(len(self.wrong))
        finest = np.zeros(len(self.wrong), np.int64)
        for level in sorted(self.sums):
            finest[~np.isnan(self.sums[level])] = level
        for level in sorted(self.sums):
            for rule in thresholds.rules(level):
                if rule.digits == level:
                    judged = self.can_differ & ((finest == level) | bool(thresholds.levels))
                    found = np.where(judged, np.maximum(found, self._against(rule)), found)
        return found

    def precision(self, against: np.ndarray, limit: float = 1.0) -> Estimate | None:
        """Wrong ones among those with more than this against them; None where there is none."""
        return self._share(self.wrong, against > limit)

    def wrong_share(self) -> Estimate | None:
        """Wrong ones among all, where some were drawn; what is ranked alone says nothing of the rest."""
        return self._share(self.wrong, np.ones(len(self.wrong), bool)) if (self.likely < 1).any() else None

    def right_flagged(self, against: np.ndarray, limit: float) -> tuple[float, float] | None:
        """Share of the right ones that are flagged, and its bound at 90 %; None where none were drawn."""
        found = self._share(against > limit, ~self.wrong)
        if found is None or not (self.likely < 1).any():
            return None
        return found.share, at_most(found.share * found.effective, found.effective)

    def with_unseen(self, against: np.ndarray, limit: float) -> float:
        """The precision at 90 % confidence, if all errors are on what was not drawn (Garwood, 1936).

        Of what was not flagged only a draw tells. Where it shows no false flag, it may have missed some: each decision
        that was drawn stands for many.
        """
        flagged = against > limit
        weights = 1 / self.likely
        shown = len(np.unique(self.pictures[flagged & ~self.wrong & (self.likely < 1)]))
        missed = (gamma.ppf(0.9, shown + 1) - shown) * weights.max()
        return float(weights[flagged & self.wrong].sum() / (weights[flagged].sum() + missed))

    def _against(self, rule: LevelThreshold) -> np.ndarray:
        if rule.digits not in self.sums or (rule.within and rule.within not in self.sums):
            return np.zeros(len(self.wrong))
        whole = self.sums[rule.within] if rule.within else np.ones(len(self.wrong))
        odds = rule.differs_below / max(1 - rule.differs_below, _LEAST)
        return np.nan_to_num(odds * (whole / np.maximum(self.sums[rule.digits], _LEAST) - 1), nan=0.0)

    def _share(self, hits: np.ndarray, among: np.ndarray) -> Estimate | None:
        if not among.any():
            return None
        return clustered(hits[among], among[among], self.pictures[among], 1 / self.likely[among])


@dataclass(frozen=True)
class Redrawn:
    """Thresholds that decisions ask for.

    Attributes:
        thresholds: the new ones.
        limit: how much must speak against a code, where what the earlier ones asked for is 1.
        before, after: precision of the flag on the decisions; None where nothing is flagged.
    """

    thresholds: Thresholds
    limit: float
    before: Estimate | None
    after: Estimate


def aims_of_decisions(precision: float, wrong_share: float) -> Aims:
    """The precision itself at 90 % confidence: what is merely counted as much is, on other goods, less as often as not.

    >>> aims_of_decisions(0.9, 0.05)
    Aims(precision=0.9, surely=0.9, wrong_share=0.05)
    """
    return Aims(precision, precision, wrong_share)


def redraw(decided: Decided, thresholds: Thresholds, aims: Aims) -> Redrawn | None:
    """The lowest limit that keeps a precision on what was decided; None where no limit is borne out.

    Below the earlier limit only decisions on a random share speak for what is not flagged yet; without them the limit
    can only rise.

    Args:
        decided: the decisions.
        thresholds: the earlier ones.
        aims: what the new ones shall reach.
    """
    against = decided.against(thresholds)
    drawn = bool((decided.likely < 1).any())
    # Half way between two findings: what is drawn decides on neither of them.
    steps = np.unique(against[against > 0])
    between = np.sqrt(steps[:-1] * steps[1:]) if len(steps) > 1 else np.array([])
    candidates = np.unique(np.concatenate([between, [1.0]]))
    for limit in _precise(decided, against, candidates if drawn else candidates[candidates >= 1], aims.precision):
        found = decided.precision(against, limit)
        if found and keeps(found, aims) and (limit >= 1 or decided.with_unseen(against, limit) >= aims.precision):
            thresholds = moved(thresholds, limit, decided, aims)
            return Redrawn(thresholds, limit, decided.precision(against), found)
    return None


def _precise(decided: Decided, against: np.ndarray, candidates: np.ndarray, precision: float) -> list[float]:
    """The limits beyond which as many are wrong as was asked for, lowest first."""
    order = np.argsort(against)
    weights = 1 / decided.likely[order]
    begins = np.searchsorted(against[order], candidates, side="right")
    of, hits = (
        np.append(np.cumsum(each[::-1])[::-1], 0.0)[begins] for each in (weights, weights * decided.wrong[order])
    )
    # A little below: the estimate that decides sums in another order.
    return candidates[(of > 0) & (hits >= (precision - 1e-9) * of)].tolist()


def keeps(found: Estimate, aims: Aims) -> bool:
    """Whether a precision is what was asked for, as counted, and at 90 % confidence."""
    return found.share >= aims.precision and surely(found) >= aims.surely


def surely(found: Estimate) -> float:
    """The least that a share is at 90 % confidence (Clopper and Pearson), with the effective number of cases."""
    return 1 - at_most((1 - found.share) * found.effective, found.effective)


def least_flagged(aims: Aims) -> int:
    """How many pictures, with all findings on them wrong, bear out a precision at 90 % confidence.

    >>> least_flagged(aims_of_decisions(0.9, 0.05))
    22
    """
    return next(count for count in range(1, 100_000) if 1 - at_most(0, count) >= aims.surely)


def moved(thresholds: Thresholds, limit: float, decided: Decided, aims: Aims) -> Thresholds:
    """Thresholds by which a code differs where more than `limit` times as much as before speaks against it."""
    levels = tuple(replace(rule, differs_below=_lowered(rule.differs_below, limit)) for rule in thresholds.levels)
    if limit < 1:  # what earlier cases said of them holds for fewer flags alone
        levels = tuple(replace(rule, right_flagged=None, right_flagged_at_most=None) for rule in levels)
    differs_below = _lowered(thresholds.differs_below, limit)
    share, bound = (thresholds.right_flagged, thresholds.right_flagged_at_most) if limit >= 1 else (None, None)
    if told := decided.right_flagged(decided.against(thresholds), limit):
        share, bound = told
    return replace(
        thresholds,
        levels=levels,
        differs_below=differs_below,
        agrees_above=max(thresholds.agrees_above, differs_below, *(rule.differs_below for rule in levels)),
        right_flagged=share,
        right_flagged_at_most=bound,
        wrong_share=aims.wrong_share,
    )


def _lowered(differs_below: float, limit: float) -> float:
    return differs_below / (differs_below + limit * (1 - differs_below))
