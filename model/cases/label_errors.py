"""Confident learning: which labels a classifier contradicts that has not learned from them.

Northcutt, Jiang and Chuang 2021, 'Confident Learning: Estimating Uncertainty in Dataset Labels'.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are likely wrong.

    Attributes:
        joint: int [C, C], the confident joint: how many cases of a label (row) are confidently of a class (column).
        share: of all labels, estimated to be wrong: what of the joint lies off its diagonal, each row made as large as
            its label is frequent.
        suspects: int [n], rows of cases that are confidently of another class, the least self-confidence first.
        classes: int [n], the class that each of them is confidently of.
    """

    joint: np.ndarray
    share: float
    suspects: np.ndarray
    classes: np.ndarray


def find_label_errors(probabilities: np.ndarray, labels: np.ndarray) -> LabelErrors:
    """Counts the confident joint, and ranks what lies off its diagonal.

    A case is confidently of the likeliest class whose probability is at least what cases of that label have in the
    mean. One whose own label has the highest probability of all is counted, and no suspect.

    >>> sure, unsure, other = [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]
    >>> found = find_label_errors(np.array([sure, sure, unsure, other, other, other]), np.array([0, 0, 0, 0, 1, 1]))
    >>> found.joint.tolist(), round(found.share, 3), found.suspects.tolist()
    ([[2, 1], [0, 2]], 0.222, [3])

    Args:
        probabilities: float [N, C], of networks that learned neither from the case nor from its like.
        labels: int [N].
    """
    classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    count = np.bincount(labels, minlength=classes)
    mean = np.bincount(labels, own, classes) / np.maximum(count, 1)
    # A mean may lie above each of equal numbers by a rounding.
    confident = (probabilities >= mean - 1e-12) & (count > 0)
    likeliest = np.where(confident, probabilities, -1.0).argmax(axis=1)
    counted = confident.any(axis=1)
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[counted], likeliest[counted]), 1)
    wrong = counted & (likeliest != labels) & (probabilities.argmax(axis=1) != labels)
    suspects = np.flatnonzero(wrong)
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    of_row = joint.sum(axis=1)
    off_diagonal = (of_row - joint.diagonal()) / np.maximum(of_row, 1)
    return LabelErrors(joint, float(off_diagonal @ count / len(labels)), suspects, likeliest[suspects])
