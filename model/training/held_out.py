"""What networks say of cases that neither they nor the like of these were learned from."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from hs.verdicts import combine


@dataclass(frozen=True)
class HeldOut:
    """Predictions of held-out cases, one row per case.

    Attributes:
        numbers: int [N], positions of the cases.
        probabilities: float64 [N, C], all pictures of a case together; not calibrated.
        labels: int [N], columns.
        classes: HS codes, what the columns stand for.
    """

    numbers: np.ndarray
    probabilities: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def together(logits: np.ndarray, cases: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> HeldOut:
    """Predictions of cases from those of their pictures.

    Args:
        logits: float [P, C], of each picture.
        cases: int [P], the position of its case.
        labels: int [P], the class of that.
        classes: what the columns stand for.
    """
    numbers, first, case_of = np.unique(cases, return_index=True, return_inverse=True)
    order = np.argsort(case_of, kind="stable")
    pictures = np.split(softmax(logits, axis=1)[order], np.cumsum(np.bincount(case_of))[:-1])
    return HeldOut(numbers, np.stack([combine(some).probabilities for some in pictures]), labels[first], classes)
