"""Predictions → what a model is worth: figures as plain data, for JSON and for the page."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from hs.card import Mistake
from hs.codes import LEVELS
from hs.proportions import Rate
from model.evaluation.metrics import (
    BUDGETS,
    OfClass,
    SimulatedNight,
    confusion_matrix,
    per_class,
    simulate_nights,
    top_k_at_level,
)
from model.exported.predictions import Predictions
from model.measures import calibration_error, negative_log_likelihood

KS = (1, 3, 5)


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on cases that it has not seen.

    Attributes:
        name: which cases: `all`, or the `originals` among them.
        cases: how many.
        levels: digits → k → how often the true prefix is among the k most probable ones.
        calibration_error: expected, of the top class.
        surprise: mean -log p of the true class, in nats.
        classes: each class.
        confusion: int [C, C], true by recommended class.
        nights: simulated ones, by the kind of mistake.
    """

    name: str
    cases: int
    levels: dict[int, dict[int, Rate]]
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


@dataclass(frozen=True)
class UnknownGoods:
    """How well a classifier tells goods that it has never seen.

    Attributes:
        false_alarms: cases of known goods that are taken for unknown ones.
        caught: cases of unknown goods that are.
        auroc: probability that a case of unknown goods is more novel than one of known goods; None without any.
    """

    false_alarms: Rate
    caught: Rate
    auroc: float | None


def unknown_goods(said: Predictions) -> UnknownGoods | None:
    """What the model's novelty is worth; None where it gives none.

    Args:
        said: with the novelty of cases whose code the classifier does not know, if there are any.
    """
    above = said.card.thresholds.novel_above
    if above is None:
        return None
    known, unknown = said.novelty, said.novelty_of_unknown
    alarms, caught = (Rate(int((novelty > above).sum()), len(novelty)) for novelty in (known, unknown))
    pairs = len(known) * len(unknown)
    return UnknownGoods(alarms, caught, float(mannwhitneyu(unknown, known).statistic) / pairs if pairs else None)


def words_of(unknown: UnknownGoods) -> str:
    """What is known of unknown goods, in a sentence."""
    words = f"Taken for unknown goods: {unknown.false_alarms} cases of codes that the classifier knows"
    if unknown.auroc is not None:
        words += f", {unknown.caught} of others; AUROC {unknown.auroc:.3f}"
    return f"{words}."


def evaluate(predictions: Predictions, wrong_share: float, seed: int) -> tuple[Evaluation, ...]:
    """Measures a model: on the original pictures, and on all where some are generated.

    Args:
        predictions: one row per case.
        wrong_share: share of wrong declarations in the simulated nights.
        seed: of these nights.
    """
    whole = _evaluate("all", predictions, wrong_share, seed)
    if not predictions.generated.any() or predictions.generated.all():
        return (whole,)
    return _evaluate("originals", predictions.only(~predictions.generated), wrong_share, seed), whole


def _evaluate(name: str, said: Predictions, wrong_share: float, seed: int) -> Evaluation:
    levels = {
        level: top_k_at_level(said.probabilities, said.truth, said.table, level, KS) for level in reversed(LEVELS)
    }
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
        {level: rates for level, rates in levels.items() if rates},
        calibration_error(said.probabilities, said.labels),
        negative_log_likelihood(np.log(said.probabilities + 1e-12), said.labels),
        tuple(per_class(confusion, said.table.labels)),
        confusion,
        {mistake: night for mistake, night in nights.items() if night},
    )


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON knows it."""
    return {
        "name": evaluation.name,
        "cases": evaluation.cases,
        "top": {
            str(level): {str(k): _rate(rate) for k, rate in rates.items()} for level, rates in evaluation.levels.items()
        },
        "calibration_error": evaluation.calibration_error,
        "surprise_nats": evaluation.surprise,
        "macro_f1": evaluation.macro_f1,
        "classes": {
            one.label: {"precision": _rate(one.precision), "recall": _rate(one.recall), "f1": one.f1}
            for one in evaluation.classes
        },
        "confusion": {"classes": [one.label for one in evaluation.classes], "counts": evaluation.confusion.tolist()},
        "inspected": {
            mistake.value: {
                f"{budget:.0%}": dict(zip(("rows", "precision", "recall"), night.at(budget), strict=True))
                for budget in BUDGETS
            }
            for mistake, night in evaluation.nights.items()
        },
    }


def unknown_as_json(found: UnknownGoods | None) -> dict[str, Any] | None:
    """The same of unknown goods."""
    if found is None:
        return None
    return {"false_alarms": _rate(found.false_alarms), "caught": _rate(found.caught), "auroc": found.auroc}


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval
    return {"hits": rate.hits, "of": rate.of, "share": rate.share, "low": low, "high": high}
