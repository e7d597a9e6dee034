"""Two models on the same cases: is the new one better, or was it chance?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest

from hs.proportions import NINETY_FIVE

if TYPE_CHECKING:  # it brings TensorFlow along
    from model.exported.predictions import Predictions

_DRAWS = 2000
_AT_ONCE = 100  # draws of all cases that are held at a time
_LEAST = 1e-12  # of a probability, so that its logarithm is finite


@dataclass(frozen=True)
class Difference:
    """By how much the new model is above the old one, and the 95 % interval.

    Attributes:
        mean: over the cases.
        low, high: ends of the interval.
    """

    mean: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the new one is, beyond chance."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the old one was better, beyond chance."""
        return self.high < 0


@dataclass(frozen=True)
class Paired:
    """Two models on the cases whose codes both know.

    Attributes:
        cases: how many.
        only_old, only_new: cases whose first code is right by this model alone.
        by_chance: probability that equally good models differ so much or more in them (McNemar, exact).
        top_1: difference of the shares whose first code is right.
        likelihood: difference of the mean logarithms of the probability that the true code has, in nats.
    """

    cases: int
    only_old: int
    only_new: int
    by_chance: float
    top_1: Difference
    likelihood: Difference


def compare(new: "Predictions", old: "Predictions") -> Paired | None:
    """Compares two models; None where they have no case in common.

    Args:
        new: what the new model says of cases.
        old: what the old one says of the same cases, of which it may know more or fewer.
    """
    numbers, of_new, of_old = np.intersect1d(new.numbers, old.numbers, assume_unique=True, return_indices=True)
    if not len(numbers):
        return None
    (right, likely), (was_right, was_likely) = _of(new, of_new), _of(old, of_old)
    groups = np.unique(np.array(new.sources)[of_new], return_inverse=True)[1]
    only_old, only_new = int((was_right & ~right).sum()), int((right & ~was_right).sum())
    unlike = only_old + only_new
    return Paired(
        len(numbers),
        only_old,
        only_new,
        float(binomtest(only_new, unlike).pvalue) if unlike else 1.0,
        difference_of_shares(right, was_right, groups),
        difference_of_means(likely, was_likely, groups),
    )


def _of(said: "Predictions", rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the first code is right, bool [n], and the logarithm of the true code's probability, float [n]."""
    probabilities, labels = said.probabilities[rows], said.labels[rows]
    of_truth = probabilities[np.arange(len(rows)), labels]
    return probabilities.argmax(axis=1) == labels, np.log(np.maximum(of_truth.astype(np.float64), _LEAST))


def difference_of_shares(new: np.ndarray, old: np.ndarray, groups: np.ndarray) -> Difference:
    """The difference of two shares of the same cases.

    The interval is that of Bonett and Price (2012, 'Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data'): one case more that the new one wins, one that it loses. It is no point where no
    case tells the two apart. Cases of one group count as far as groups differ.

    Args:
        new: bool [N].
        old: bool [N].
        groups: int [N] from 0, cases that belong together.
    """
    won = new.astype(float) - old.astype(float)
    by_group, sizes = np.bincount(groups, won), np.bincount(groups)
    by_group, sizes = np.append(by_group, [1.0, -1.0]), np.append(sizes, [1, 1])
    middle = by_group.sum() / sizes.sum()
    half = NINETY_FIVE * float(np.sqrt(((by_group - middle * sizes) ** 2).sum())) / sizes.sum()
    return Difference(float(won.mean()), max(-1.0, float(middle - half)), min(1.0, float(middle + half)))


def difference_of_means(new: np.ndarray, old: np.ndarray, groups: np.ndarray, seed: int = 0) -> Difference:
    """The difference of two means over the same cases, with the interval of a bootstrap over their groups.

    Args:
        new: float [N].
        old: float [N].
        groups: int [N] from 0, cases that belong together.
        seed: of the bootstrap.
    """
    won = new - old
    by_group, sizes = np.bincount(groups, won), np.bincount(groups)
    random, drawn = np.random.default_rng(seed), []
    alike = np.full(len(sizes), 1 / len(sizes))
    for _ in range(_DRAWS // _AT_ONCE):
        times = random.multinomial(len(sizes), alike, _AT_ONCE)
        drawn.append(times @ by_group / (times @ sizes))
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    return Difference(float(won.mean()), float(low), float(high))
