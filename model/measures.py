"""What predictions are worth in one number, in NumPy: training stops by it, evaluation tells it."""

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
    """Confidence against being right, by bins that are not empty.

    Attributes:
        confidence: float [B], mean probability of the top class.
        accuracy: float [B], share of top classes that are right.
        count: int [B].
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> Reliability:
    """Sorts predictions into bins of equal width by the probability of their top class.

    Args:
        probabilities: float [N, C].
        labels: int [N].
        bins: how many.
    """
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)  # a probability of 1 is in the last bin
    count = np.bincount(bin_of, minlength=bins)
    there = count > 0
    means = [np.bincount(bin_of, values, bins)[there] / count[there] for values in (confidence, hit)]
    return Reliability(means[0], means[1], count[there])


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top class, over `bins` bins of equal width.

    Args:
        probabilities: float [N, C].
        labels: int [N].
        bins: how many.
    """
    binned = reliability(probabilities, labels, bins)
    return float(np.average(np.abs(binned.confidence - binned.accuracy), weights=binned.count))
