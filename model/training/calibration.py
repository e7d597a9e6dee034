"""Probabilities from predictions on cases that the network had not seen. NumPy and SciPy only."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, softmax

from model.measures import negative_log_likelihood

_LOG_TEMPERATURE = (-3, 3)  # without a mistake among the held-out cases, likelihood alone would make it 0
_LOG_POWER = (-0.7, 1.1)


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
    """Logits → probabilities: a power and a temperature, then a share for what is known to be confused.

    Attributes:
        temperature: what the logits' distances from the highest are divided by.
        power: what they are raised to before; above 1 a close second counts for more, and a distant one for less.
        confusion: float32 [C, C], rows sum to 1: where the probability of a class (row) goes; mostly to itself.
    """

    temperature: float
    power: float
    confusion: np.ndarray

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Logits float [N, C] → probabilities."""
        return tempered(logits, self.temperature, self.power) @ self.confusion


def tempered(logits: np.ndarray, temperature: float, power: float) -> np.ndarray:
    """Logits float [N, C] → probabilities, without what is confused; see `Calibration`."""
    behind = logits.max(axis=1, keepdims=True) - logits
    return softmax(-(behind**power) / temperature, axis=1)


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
        The calibration, and probabilities float [N, C] that owe nothing to the labels of their own part but the
        three fitted numbers.
    """
    everywhere = np.arange(len(labels))
    first = fit_temperature(logits, labels)
    probabilities = softmax(logits / first, axis=1)
    apart = [_confusions(probabilities[parts != part], labels[parts != part]) for part in range(parts.max() + 1)]
    of_truth = np.array([apart[part][:, label] for part, label in zip(parts, labels, strict=True)])

    def loss(fitted: np.ndarray) -> float:
        share, raw = expit(fitted[1]), tempered(logits, *np.exp(fitted[[0, 2]]))
        likely = (1 - share) * raw[everywhere, labels] + share * (raw * of_truth).sum(axis=1)
        return -float(np.log(np.maximum(likely, 1e-12)).mean())

    bounds = [_LOG_TEMPERATURE, (-8, 4), _LOG_POWER]
    best = minimize(loss, [np.log(first), -2.0, 0.0], method="Nelder-Mead", bounds=bounds).x
    temperature, share, power = float(np.exp(best[0])), float(expit(best[1])), float(np.exp(best[2]))

    def with_share(confusions: np.ndarray) -> Calibration:
        mixed = (1 - share) * np.eye(len(confusions)) + share * confusions
        return Calibration(temperature, power, mixed.astype(np.float32))

    said = np.empty_like(probabilities)
    for part, confusions in enumerate(apart):
        said[parts == part] = with_share(confusions)(logits[parts == part])
    return with_share(_confusions(probabilities, labels)), said


def _confusions(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Float [C, C]: what the goods taken for a class (row) were, as shares; one look at each class counts as right."""
    counts = np.eye(probabilities.shape[1])
    np.add.at(counts.T, labels, probabilities)
    return counts / counts.sum(axis=1, keepdims=True)
