"""Known goods that are taken for unknown ones, and unknown ones that are told."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

from hs.flags import shows_unknown
from hs.proportions import Estimate, Rate, clustered
from model.exported.predictions import Predictions


@dataclass(frozen=True)
class UnknownGoods:
    """How well a classifier tells goods that it has never seen.

    Attributes:
        false_alarms: share of the cases of known goods that are taken for unknown ones.
        at_most: the same as promised; None where the model does not say.
        caught: cases of unknown goods that are; None where the model gives no novelty.
        auroc: probability that a case of unknown goods is more novel than one of known goods; None without any.
    """

    false_alarms: Estimate
    at_most: float | None
    caught: Rate | None
    auroc: float | None


def unknown_goods(said: Predictions) -> UnknownGoods:
    """What becomes of known goods, and of unknown ones where there are any.

    Args:
        said: with the novelty of cases whose code the classifier does not know, if there are any.
    """
    thresholds, promised = said.card.thresholds, said.card.thresholds.known_as_unknown_at_most
    novelties = [None if np.isnan(each) else float(each) for each in said.novelty]
    called = [shows_unknown(*each, thresholds) for each in zip(said.probabilities, novelties, strict=True)]
    groups = np.unique(np.array(said.sources), return_inverse=True)[1]
    false_alarms = clustered(np.array(called), np.ones(len(called)), groups)
    known, unknown = said.novelty, said.novelty_of_unknown
    if thresholds.novel_above is None or np.isnan(known).any() or np.isnan(unknown).any():
        return UnknownGoods(false_alarms, promised, None, None)
    caught = Rate(int((unknown > thresholds.novel_above).sum()), len(unknown))
    pairs = len(known) * len(unknown)
    auroc = float(mannwhitneyu(unknown, known).statistic) / pairs if pairs else None
    return UnknownGoods(false_alarms, said.promises.unknown_share if promised is None else promised, caught, auroc)


def words_of(unknown: UnknownGoods) -> str:
    """What is known of unknown goods, in a sentence; empty where no case of them was measured."""
    if unknown.auroc is None:
        return ""
    caught = f"Of cases of codes that it does not know, {unknown.caught} are taken for unknown goods"
    return f"{caught}; AUROC {unknown.auroc:.3f}."
