"""Temperature and thresholds from predictions on cases that the network had not seen. NumPy and SciPy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pipeline.rules.card import Mistake, Thresholds
from pipeline.rules.verdicts import normalised_entropy


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes held-out predictions most likely (Guo et al. 2017, 'On Calibration of Modern NN').

    Args:
        logits: float [N, C].
        labels: int [N], the true class of each.
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits / np.exp(log_temperature), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


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
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
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


def draw_thresholds(
    probabilities: np.ndarray,
    labels: np.ndarray,
    may_be_wrong: np.ndarray | None = None,
    *,
    wrong_share: float = 0.05,
    precision: float = 0.9,
    wrong_among_agreeing: float = 0.005,
    agrees_at_least: float = 0.5,
    unknown_share: float = 0.02,
) -> Thresholds:
    """Draws the thresholds of the verdicts on held-out cases.

    Every case stands for a right declaration under its own code, and for wrong ones under each code that it may be
    mistaken for, these weighted so that `wrong_share` of all declarations are wrong.

    Args:
        probabilities: float [N, C], calibrated.
        labels: int [N], the true class of each.
        may_be_wrong: bool [C, C], whether goods of a class (row) may be declared under another (column); None is any.
        wrong_share: assumed share of wrong declarations.
        precision: share of truly wrong ones wanted among those that differ.
        wrong_among_agreeing: share of wrong ones allowed among those that agree.
        agrees_at_least: probability that a declared code needs to agree, whatever the shares: more likely than not.
        unknown_share: share of known goods that may be taken for unknown.
    """
    right = probabilities[np.arange(len(labels)), labels]
    classes = probabilities.shape[1]
    others = ~np.eye(classes, dtype=bool) if may_be_wrong is None else may_be_wrong
    wrong = np.sort(probabilities[others[labels]])
    candidates = np.unique(np.concatenate([right, np.geomspace(1e-6, 0.5, 400)]))
    wrong_below = wrong_share * np.searchsorted(wrong, candidates, side="left") / len(wrong)
    right_below = (1 - wrong_share) * np.searchsorted(np.sort(right), candidates, side="left") / len(right)
    precise = wrong_below >= precision * (wrong_below + right_below)
    differs_below = float(candidates[precise].max(initial=0.0))
    wrong_above, right_above = wrong_share - wrong_below, (1 - wrong_share) - right_below
    safe = wrong_above <= wrong_among_agreeing * (wrong_above + right_above)
    agrees_above = max(float(candidates[safe].min(initial=1.0)), differs_below, agrees_at_least)
    entropy = [normalised_entropy(row) for row in probabilities]
    return Thresholds(differs_below, agrees_above, float(np.quantile(entropy, 1 - unknown_share)), wrong_share)


def flagged_share(probabilities: np.ndarray, labels: np.ndarray, differs_below: float) -> float:
    """Share of wrong declarations, under each other code alike, that a threshold flags.

    Args:
        probabilities: float [N, C].
        labels: int [N], the true class of each.
        differs_below: the threshold.
    """
    others = np.arange(probabilities.shape[1]) != labels[:, None]
    return float((probabilities[others] < differs_below).mean())


def thresholds_by_mistake(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], precision: float, wrong_share: float
) -> dict[Mistake, Thresholds]:
    """`draw_thresholds` for each kind of mistake that the classes allow.

    Args:
        probabilities: float [N, C], calibrated.
        labels: int [N].
        classes: HS codes of the columns.
        precision: share of truly wrong ones wanted among those that differ.
        wrong_share: assumed share of wrong declarations.
    """
    drawn = {}
    for mistake in Mistake:
        may_be = np.array([[mistake.could_be(declared, true) for declared in classes] for true in classes])
        if may_be[labels].any():
            drawn[mistake] = draw_thresholds(
                probabilities, labels, may_be, precision=precision, wrong_share=wrong_share
            )
    return drawn


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Logits float [N, C] → probabilities."""
    return softmax(logits / temperature, axis=1)
