"""Predictions → what a model is worth: figures as plain data, for people and for JSON."""

from dataclasses import dataclass

import numpy as np

from hs.card import Mistake
from hs.codes import LEVELS
from hs.proportions import Rate
from model.evaluation.flag import Flag, flags
from model.evaluation.metrics import (
    AtLevel,
    OfClass,
    SimulatedNight,
    at_level,
    confusion_matrix,
    per_class,
    simulate_nights,
)
from model.evaluation.unknown import UnknownGoods, unknown_goods
from model.exported.predictions import Predictions
from model.measures import calibration_error, negative_log_likelihood

KS = (1, 3, 5)


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on cases that it has not seen.

    Attributes:
        name: which cases: `all`, or the `originals` among them.
        cases: how many.
        wrong_share: assumed of all declarations.
        flags: by the kind of mistake.
        unknown: how well goods that the classifier does not know are told.
        levels: by digits.
        calibration_error: of the top class.
        surprise: mean -log p of the true class, in nats.
        classes: each class.
        confusion: int [C, C], true by recommended class.
        nights: simulated ones, by the kind of mistake.
    """

    name: str
    cases: int
    wrong_share: float
    flags: dict[Mistake, Flag]
    unknown: UnknownGoods
    levels: dict[int, AtLevel]
    calibration_error: float
    surprise: float
    classes: tuple[OfClass, ...]
    confusion: np.ndarray
    nights: dict[Mistake, SimulatedNight]

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur."""
        return float(np.mean([one.f1 or 0.0 for one in self.classes if one.recall.of]))

    def confusions(self, most: int = 15) -> list[tuple[str, str, Rate]]:
        """(true, recommended, of the true ones how many) of what is confused most often."""
        counts = self.confusion - np.diag(self.confusion.diagonal())
        worst = np.argsort(-counts, axis=None, kind="stable")[:most]
        pairs = [np.unravel_index(place, counts.shape) for place in worst]
        return [
            (self.classes[t].label, self.classes[r].label, Rate(int(counts[t, r]), self.classes[t].recall.of))
            for t, r in pairs
            if counts[t, r]
        ]


def evaluate(predictions: Predictions, wrong_share: float, seed: int) -> tuple[Evaluation, ...]:
    """Measures a model: on the original pictures, and on all where some are generated.

    Args:
        predictions: one row per case.
        wrong_share: share of wrong declarations in the simulated nights.
        seed: of these nights.
    """
    whole = _evaluate("all", predictions, wrong_share, seed)
    if predictions.originals is predictions:
        return (whole,)
    return _evaluate("originals", predictions.originals, wrong_share, seed), whole


def _evaluate(name: str, said: Predictions, wrong_share: float, seed: int) -> Evaluation:
    levels = {level: at_level(said.probabilities, said.truth, said.table, level, KS) for level in reversed(LEVELS)}
    confusion = confusion_matrix(said.labels, said.probabilities.argmax(axis=1), len(said.table))
    nights = {
        mistake: simulate_nights(
            said.probabilities, said.truth, said.table, mistake, wrong_share=wrong_share, seed=seed
        )
        for mistake in Mistake
    }
    return Evaluation(
        name,
        len(said.truth),
        wrong_share,
        flags(said, wrong_share),
        unknown_goods(said),
        {level: measured for level, measured in levels.items() if measured},
        calibration_error(said.probabilities, said.labels),
        negative_log_likelihood(np.log(said.probabilities + 1e-12), said.labels),
        tuple(per_class(confusion, said.table.labels)),
        confusion,
        {mistake: night for mistake, night in nights.items() if night},
    )
