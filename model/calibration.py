"""Temperature and thresholds from predictions on cases that the network had not seen. NumPy and SciPy only."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from pipeline.rules.card import Thresholds
from pipeline.rules.verdicts import normalised_entropy


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes held-out predictions most likely (Guo et al. 2017, 'On Calibration of Modern NN').

    Args:
        logits: float [N, C].
        labels: int [N], the true class of each.
    """
    rows = np.arange(len(labels))

    def negative_log_likelihood(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()

    return float(np.exp(minimize_scalar(negative_log_likelihood, bounds=(-3, 3), method="bounded").x))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the top class, over `bins` bins of equal width.

    Args:
        probabilities: float [N, C].
        labels: int [N].
        bins: how many.
    """
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[bin_of == b].mean() - hit[bin_of == b].mean()) * (bin_of == b).mean() for b in set(bin_of)]
    return float(sum(gaps))


def draw_thresholds(
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    wrong_share: float = 0.05,
    precision: float = 0.9,
    wrong_among_agreeing: float = 0.005,
    agrees_at_least: float = 0.5,
    unknown_share: float = 0.02,
) -> Thresholds:
    """Draws the thresholds of the verdicts on held-out cases.

    Every case stands for a right declaration under its own code, and for wrong ones under each of the other codes,
    these weighted so that `wrong_share` of all declarations are wrong.

    Args:
        probabilities: float [N, C], calibrated.
        labels: int [N], the true class of each.
        wrong_share: assumed share of wrong declarations.
        precision: share of truly wrong ones wanted among those that differ.
        wrong_among_agreeing: share of wrong ones allowed among those that agree.
        agrees_at_least: probability that a declared code needs to agree, whatever the shares: more likely than not.
        unknown_share: share of known goods that may be taken for unknown.
    """
    right = probabilities[np.arange(len(labels)), labels]
    wrong = np.sort(probabilities[np.arange(probabilities.shape[1]) != labels[:, None]])
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


def calibrated(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Logits float [N, C] → probabilities."""
    return softmax(logits / temperature, axis=1)
