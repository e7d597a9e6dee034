"""Temperature and thresholds from predictions on cases that the network had not seen. NumPy and SciPy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, softmax

from hs.card import Mistake, Thresholds
from hs.flags import normalised_entropy
from model.measures import negative_log_likelihood

_LOG_TEMPERATURE = (-3, 3)  # without a mistake among the held-out cases, likelihood alone would make it 0


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes held-out predictions most likely (Guo et al. 2017, 'On Calibration of Modern NN').

    Args:
        logits: float [N, C].
        labels: int [N], the true class of each.
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(logits / np.exp(log_temperature), labels)

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))


@dataclass(frozen=True)
class Calibration:
    """Logits → probabilities: a temperature, then a share for what is known to be confused.

    Attributes:
        temperature: what the logits are divided by.
        confusion: float32 [C, C], rows sum to 1: where the probability of a class (row) goes; mostly to itself.
    """

    temperature: float
    confusion: np.ndarray

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Logits float [N, C] → probabilities."""
        return softmax(logits / self.temperature, axis=1) @ self.confusion


def fit_calibration(logits: np.ndarray, labels: np.ndarray, parts: np.ndarray) -> tuple[Calibration, np.ndarray]:
    """The calibration that makes held-out predictions most likely.

    A network is too sure above all where it is wrong: goods that it takes for a class get next to nothing for the code
    that they have, although it was seen to confuse just these two. So a share of each class's probability follows what
    the goods taken for it on held-out cases really were. Share and temperature are fitted together.

    Args:
        logits: float [N, C], of cases that the network had not seen.
        labels: int [N], the true class of each.
        parts: int [N] from 0, what belongs together; confusions are counted on the other parts.

    Returns:
        The calibration, and probabilities float [N, C] that owe nothing to the labels of their own part but the two
        fitted numbers.
    """
    everywhere = np.arange(len(labels))
    first = fit_temperature(logits, labels)
    probabilities = softmax(logits / first, axis=1)
    apart = [_confusions(probabilities[parts != part], labels[parts != part]) for part in range(parts.max() + 1)]
    of_truth = np.array([apart[part][:, label] for part, label in zip(parts, labels, strict=True)])

    def loss(fitted: np.ndarray) -> float:
        share, raw = expit(fitted[1]), softmax(logits / np.exp(fitted[0]), axis=1)
        likely = (1 - share) * raw[everywhere, labels] + share * (raw * of_truth).sum(axis=1)
        return -float(np.log(np.maximum(likely, 1e-12)).mean())

    best = minimize(loss, [np.log(first), -2.0], method="Nelder-Mead", bounds=[_LOG_TEMPERATURE, (-8, 4)]).x
    temperature, share = float(np.exp(best[0])), float(expit(best[1]))

    def with_share(confusions: np.ndarray) -> Calibration:
        mixed = (1 - share) * np.eye(len(confusions)) + share * confusions
        return Calibration(temperature, mixed.astype(np.float32))

    said = np.empty_like(probabilities)
    for part, confusions in enumerate(apart):
        said[parts == part] = with_share(confusions)(logits[parts == part])
    return with_share(_confusions(probabilities, labels)), said


def _confusions(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Float [C, C]: what the goods taken for a class (row) were, as shares; one look at each class counts as right."""
    counts = np.eye(probabilities.shape[1])
    np.add.at(counts.T, labels, probabilities)
    return counts / counts.sum(axis=1, keepdims=True)


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
    differs_below = float(candidates[precise].max(initial=0.0))  # where no threshold is precise enough, nothing differs
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
