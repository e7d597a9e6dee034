"""Shares with what is known of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NINETY_FIVE = 1.959964  # standard deviations of the normal distribution, both sides


def wilson(share: float, of: float) -> tuple[float, float]:
    """The 95 % interval of Wilson (1927) around a share of `of` cases, which may be an effective number of them."""
    z2 = NINETY_FIVE**2
    middle = share + z2 / (2 * of)
    half = NINETY_FIVE * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return max(0.0, (middle - half) / (1 + z2 / of)), min(1.0, (middle + half) / (1 + z2 / of))


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    >>> Rate(3, 4).share, Rate(0, 0).share
    (0.75, None)
    """

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """Hits by `of`, None where there is nothing to count."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927), which holds for few cases and for shares near 0 and 1.

        >>> tuple(round(end, 3) for end in Rate(18, 21).interval), Rate(0, 0).interval
        ((0.654, 0.95), (0.0, 1.0))
        """
        return wilson(self.hits / self.of, self.of) if self.of else (0.0, 1.0)

    def __str__(self) -> str:
        return f"{self.hits} of {self.of}" + (f" ({self.share:.3f})" if self.of else "")


@dataclass(frozen=True)
class Estimate:
    """The share in all cases, from some that were drawn from them.

    Attributes:
        hits, of: how many of how many, as drawn.
        share: in all cases.
        effective: number of cases that tell as much when all are drawn alike.
    """

    hits: int
    of: int
    share: float
    effective: float

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval with the effective number of cases."""
        return wilson(self.share, self.effective)

    def __str__(self) -> str:
        weighed = "" if self.share == self.hits / self.of else "weighed "
        return f"{self.hits} of {self.of} ({weighed}{self.share:.3f})"


def estimate(drawn: Sequence[tuple[bool, float]]) -> Estimate:
    """What cases that were drawn with unlike probabilities say of all.

    A case drawn with probability p stands for w = 1/p cases. The share is the ratio of two sums of Horvitz and
    Thompson (1952), of w over the hits by w over all drawn (Hájek, 1971). The effective number of cases is
    (sum of w)² / sum of w² (Kish, 'Weighting for unequal Pi', 1992), and it takes the place of the number in Wilson's
    interval, as Franco, Little, Louis and Slud (2019) recommend for surveys. Drawn alike, cases give what `Rate` does.

    >>> print(estimate([(True, 0.5), (True, 0.5), (False, 0.5), (False, 0.1)]))
    2 of 4 (weighed 0.250)

    Args:
        drawn: of each drawn case whether it is a hit, and the probability with which it was drawn, above 0.

    Raises:
        ValueError: if nothing was drawn, or a probability is none that anything can be drawn with.
    """
    if not drawn:
        raise ValueError("an estimate needs at least one drawn case")
    impossible = [probability for _, probability in drawn if not 0 < probability <= 1]
    if impossible:
        raise ValueError(f"the probability to be drawn must be in (0, 1], got {impossible[0]}")
    least = min(probability for _, probability in drawn)
    weights = [least / probability for _, probability in drawn]  # at most 1, and exactly 1 where all are alike
    found = [weight for weight, (hit, _) in zip(weights, drawn, strict=True) if hit]
    total = sum(weights)
    return Estimate(len(found), len(drawn), sum(found) / total, total**2 / sum(weight**2 for weight in weights))


def clustered(hits: np.ndarray, of: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """A share over cases, with as many of them as tell as much if all were independent.

    The variance is that of a ratio of sums over groups (Cochran, 'Sampling techniques', 1977, chapter 6); what follows
    from it takes the place of the number of cases in Wilson's interval. Where all or none are hits, each group counts
    once, weighed by the mean of its cases. Never do cases tell more than `estimate` says of them.

    >>> apart, alike = (clustered(np.ones(4), np.ones(4), np.array(groups)) for groups in ([0, 1, 2, 3], [0, 0, 0, 1]))
    >>> apart.effective, alike.effective
    (4.0, 2.0)

    Args:
        hits: int [N], of each case how many.
        of: int [N], how many there are.
        groups: int [N] from 0, cases that belong together.
        weights: float [N], for how many each case stands; None where all are drawn alike.
    """
    weights = np.ones(len(of)) if weights is None else weights / weights.max()
    by_group, sizes = np.bincount(groups, weights * hits), np.bincount(groups, weights * of)
    there = sizes > 0
    by_group, sizes = by_group[there], sizes[there]
    each = np.bincount(groups, weights)[there] / np.bincount(groups)[there]
    share, count = float(by_group.sum() / sizes.sum()), len(sizes)
    effective = _alike(each, np.ones(count))
    if 0 < share < 1 and count > 1:
        variance = float(((by_group - share * sizes) ** 2).sum()) * count / (count - 1) / float(sizes.sum()) ** 2
        if variance:
            effective = min(max(share * (1 - share) / variance, 1.0), _alike(weights, of))
    return Estimate(int(hits.sum()), int(of.sum()), share, effective)


def _alike(weights: np.ndarray, of: np.ndarray) -> float:
    """How many cases tell as much when all are drawn alike (Kish, as in `estimate`)."""
    return float((weights * of).sum() ** 2 / (weights**2 * of).sum())
