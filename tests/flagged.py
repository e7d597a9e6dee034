"""What a night flags, one code and one picture at a time: slow, and plain enough to measure others by."""

import numpy as np

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.flags import abstains, differs_at, shows_unknown


def flagged(
    probabilities: np.ndarray,
    table: ClassTable,
    thresholds: Thresholds,
    novelty: np.ndarray | None = None,
) -> np.ndarray:
    """Row by picture, column by declared class, bool [N, C]; the rest of a prefix (`87*`) is never declared."""
    found = np.zeros(probabilities.shape, bool)
    for column, label in enumerate(table.labels):
        if not label.endswith("*"):
            found[:, column] = differs_at(probabilities, HSCode(label), table, thresholds) > 0
    novelties = [None] * len(probabilities) if novelty is None else novelty.tolist()
    heard = [
        not (shows_unknown(row, novel, thresholds) and abstains(novel, thresholds))
        for row, novel in zip(probabilities, novelties, strict=True)
    ]
    return found & np.array(heard, bool)[:, None]
