"""What a training gives: the classifier, and what its held-out cases say of it."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from hs.card import Mistake, Thresholds
from model.cases.reading import Unreadable
from model.measures import calibration_error, top_k
from model.training.calibration import Calibration
from model.training.curves import Curve
from model.training.novelty import Seen
from model.training.precedents import Precedents


@dataclass(frozen=True)
class Trained:
    """A classifier with what was measured on held-out cases.

    Attributes:
        network: float32 [N, H, W, 3] 0..255 → logits [N, C] and features [N, F], or maps [N, h, w, F / 2].
        seen: what it learned from, to tell unknown goods.
        precedents: the same picture by picture, to show which rulings others are most like.
        classes: HS codes in the order of the outputs.
        calibration: logits → probabilities.
        thresholds: for the card, by the kind of mistake.
        metrics: what the held-out cases say.
        epochs: how many the last phase had.
        unreadable: pictures left out.
        about: further facts for `assets.extra/hs_audit.json`: groups, folds.
        curves: how each network learned, phase by phase.
    """

    network: keras.Model
    seen: Seen
    precedents: Precedents
    classes: tuple[str, ...]
    calibration: Calibration
    thresholds: dict[Mistake, Thresholds]
    metrics: dict[str, float]
    epochs: int
    unreadable: tuple[Unreadable, ...]
    about: dict[str, Any] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()


def held_out_metrics(
    logits: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, shifted: np.ndarray | None
) -> dict[str, float]:
    """Figures of pictures that the network had not seen: of all, and by how they were held out.

    Args:
        logits: float [N, C], before calibration.
        probabilities: float [N, C].
        labels: int [N], the true class of each.
        shifted: bool [N], whether all that looks like it was held out with it; None where nothing was held out.
    """
    before = calibration_error(softmax(logits, axis=1), labels)
    measured = _figures("held_out", probabilities, labels) | {"held_out_calibration_error_before": before}
    for name, some in {} if shifted is None else {"alike": ~shifted, "shifted": shifted}.items():
        if some.any():
            measured |= _figures(f"held_out_{name}", probabilities[some], labels[some])
    return measured


def _figures(name: str, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {
        f"{name}_pictures": len(labels),
        f"{name}_top_1": top_k(probabilities, labels, 1),
        f"{name}_top_3": top_k(probabilities, labels, 3),
        f"{name}_calibration_error": calibration_error(probabilities, labels),
    }
