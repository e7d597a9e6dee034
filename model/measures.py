"""What predictions are worth in one number, in NumPy: training stops by it, evaluation tells it."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax


def top_k(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of rows whose label is among the k highest scores; of equal scores the first class wins.

    Args:
        scores: float [N, C], logits or probabilities.
        labels: int [N].
        k: how many.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def negative_log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p of the true class, in nats, from logits float [N, C] and labels int [N]."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


@dataclass(frozen=True)
class Reliability:
    """Confidence against being right, in bins of as many predictions each.

    Attributes:
        confidence: float [B], mean confidence.
        accuracy: float [B], share that is right.
        count: int [B].
        chance: float [B], standard deviation of `accuracy` if every confidence were the truth.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    chance: np.ndarray

    @property
    def plain(self) -> float:
        """Mean distance of confidence and accuracy: the expected calibration error as it is usually told."""
        return float(np.average(np.abs(self.confidence - self.accuracy), weights=self.count))

    @property
    def by_chance(self) -> float:
        """What `plain` is in the mean for a perfect model of these confidences, on so few predictions."""
        return float(np.average(self.chance, weights=self.count)) * math.sqrt(2 / math.pi)

    @property
    def error(self) -> float:
        """`plain` without what chance adds, 0 where it is no more than chance.

        Chance and error add as squares: their difference estimates the error, as Bröcker (2012, 'Estimating reliability
        and resolution of probability forecasts') and Kumar et al. (2019, 'Verified uncertainty calibration') have it
        for the squares of each bin. Taken of the means, it was nearer to the truth on simulated models than their root
        of the mean square.
        """
        return math.sqrt(max(0.0, self.plain**2 - self.by_chance**2))


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 15) -> Reliability:
    """Sorts predictions by their confidence into bins of equal mass.

    Args:
        confidence: float [N].
        right: bool [N].
        bins: how many; fewer where there are fewer predictions.
    """
    values, place, alike = np.unique(confidence.astype(np.float64), return_inverse=True, return_counts=True)
    # Equal confidences may part between bins: each is as right as all of them, whatever their order.
    share = (np.bincount(place, right, len(values)) / alike)[place]
    parts = np.array_split(np.argsort(place, kind="stable"), min(bins, len(confidence)))
    sure, hit = confidence.astype(np.float64), share
    return Reliability(
        np.array([sure[part].mean() for part in parts]),
        np.array([hit[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
        np.array([math.sqrt((sure[part] * (1 - sure[part])).clip(0).sum()) / len(part) for part in parts]),
    )


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top class over bins of equal mass, without what chance adds.

    Args:
        probabilities: float [N, C].
        labels: int [N].
        bins: how many.
    """
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, bins).error


def augrc(confidence: np.ndarray, right: np.ndarray) -> float:
    """Area under the generalised risk-coverage curve (Traub et al. 2024), 0 for a model that is never wrong.

    The share of all predictions that are wrong and yet accepted, in the mean over how many of the surest are accepted:
    1/2 · wrong² at best, where all wrong ones are less sure than all right ones, and 1/2 · wrong at random.

    >>> augrc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, True, False]))
    0.03125

    Args:
        confidence: float [N].
        right: bool [N].
    """
    _, place, alike = np.unique(confidence, return_inverse=True, return_counts=True)
    less_sure = np.cumsum(alike) - alike  # equal ones are accepted together: half of them before each
    accepted_for = (less_sure + alike / 2) / len(confidence)  # of all shares accepted, those that include it
    return float(accepted_for[place][~right].sum() / len(confidence))
