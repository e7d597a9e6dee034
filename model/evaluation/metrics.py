"""What predictions are worth, in NumPy: levels of the HS, classes, and a simulated night."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.proportions import Rate
from model.declared import Declared, parts
from model.measures import Reliability, augrc, reliability, top_k

BUDGETS = (0.01, 0.02, 0.05, 0.10)
NIGHTS = 200  # draws of a simulated night


@dataclass(frozen=True)
class AtLevel:
    """What the probabilities summed up to so many digits are worth.

    Attributes:
        top: k → how often the true prefix is among the k most probable ones.
        reliability: probability of the first prefix against its being right.
        augrc: see `model.measures.augrc`.
    """

    top: dict[int, Rate]
    reliability: Reliability
    augrc: float


def at_level(
    probabilities: np.ndarray, truth: Sequence[str], table: ClassTable, level: int, ks: Sequence[int] = (1, 3, 5)
) -> AtLevel | None:
    """Measures one level of the HS.

    Args:
        probabilities: float [N, C].
        truth: the true label of each row.
        table: what the columns stand for.
        level: digits; rows whose true label is not that deep are left out.
        ks: how many prefixes are looked at.

    Returns:
        What it is worth; None where no class or no row is that deep.
    """
    prefixes = table.prefixes(level)
    rows = [row for row, label in enumerate(truth) if len(label.rstrip("*")) >= level]
    if not prefixes or not rows:
        return None
    summed = summed_up(probabilities if len(rows) == len(truth) else probabilities[rows], table, level)
    place = {prefix: number for number, prefix in enumerate(prefixes)}
    labels = np.array([place[truth[row][:level]] for row in rows])
    right, sure = summed.argmax(axis=1) == labels, summed.max(axis=1).clip(max=1)  # rounded shares add up to more
    top = {k: Rate(round(top_k(summed, labels, k) * len(rows)), len(rows)) for k in ks}
    return AtLevel(top, reliability(sure, right), augrc(sure, right))


def summed_up(probabilities: np.ndarray, table: ClassTable, level: int) -> np.ndarray:
    """Probabilities of the prefixes of a level, in the order of `table.prefixes(level)`, from float [N, C]."""
    return np.stack([probabilities[:, table.columns(prefix)].sum(axis=1) for prefix in table.prefixes(level)], axis=1)


@dataclass(frozen=True)
class OfClass:
    """How one class fares: of those recommended how many are right, of those there how many are recommended."""

    label: str
    precision: Rate
    recall: Rate

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both, None where the class neither occurs nor is recommended."""
        total = self.precision.of + self.recall.of
        return 2 * self.recall.hits / total if total else None


def per_class(confusion: np.ndarray, labels: Sequence[str]) -> list[OfClass]:
    """Precision and recall of each class.

    Args:
        confusion: int [C, C], true class by recommended class.
        labels: the classes.
    """
    hits, recommended, there = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    return [
        OfClass(label, Rate(int(hits[i]), int(recommended[i])), Rate(int(hits[i]), int(there[i])))
        for i, label in enumerate(labels)
    ]


def confusion_matrix(labels: np.ndarray, recommended: np.ndarray, classes: int) -> np.ndarray:
    """How often each class was taken for each, int [C, C]: true by recommended."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, recommended), 1)
    return counts


@dataclass(frozen=True)
class SimulatedNight:
    """Rulings declared again, some under a wrong code, and inspected in the order of risk; means over many draws.

    Attributes:
        rows: declarations in a night.
        wrong: of them declared wrongly.
        found: float [rows + 1], share of the wrong ones among the first so many.
        low, high: float [rows + 1], the middle 90 % of the draws.
    """

    rows: int
    wrong: int
    found: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, budget: float) -> tuple[int, float, float]:
        """Exactly ceil(budget · N) rows: how many these are, precision and recall among them.

        Args:
            budget: share of the rows.
        """
        inspected = math.ceil(round(budget * self.rows, 9))  # 7 % of 100 rows is 7.000000000000001 in floats
        recall = float(self.found[inspected])
        return inspected, recall * self.wrong / inspected, recall


def simulate_nights(
    probabilities: np.ndarray,
    truth: Sequence[str],
    table: ClassTable,
    mistake: Mistake,
    *,
    wrong_share: float = 0.05,
    seed: int = 0,
) -> SimulatedNight | None:
    """Declares rulings again, some under a wrong code, and ranks them by risk; equal risks stay in the rows' order.

    Args:
        probabilities: float [N, C].
        truth: the true label of each row.
        table: what the columns stand for.
        mistake: which codes a wrong declaration may have.
        wrong_share: share of the rows that are declared wrongly.
        seed: of the draws.

    Returns:
        What was found, or None where no class has such an alternative.
    """
    declared = Declared(table)
    columns = {label: column for column, label in enumerate(table.labels)}
    labels = np.array([columns[label] for label in truth])
    rows = np.flatnonzero(declared.can_be[labels])  # nobody declares the rest of a prefix
    right = labels[rows]
    may_be_wrong = declared.mistakes(mistake)
    choices = may_be_wrong.sum(axis=1)
    able = np.flatnonzero(choices[right])
    amount = max(1, round(wrong_share * len(rows)))
    if len(able) < amount:
        return None
    of_code = np.concatenate([declared.finest(declared.sums(probabilities[rows[part]])) for part in parts(len(rows))])
    # The wrong codes of all classes one after the other: those of a class begin where the others end.
    wrong_codes, begins = np.nonzero(may_be_wrong)[1], np.cumsum(choices) - choices
    random = np.random.default_rng(seed)
    everyone = np.arange(len(rows))
    curves = np.empty((NIGHTS, len(rows) + 1))
    for night in range(NIGHTS):
        chosen = random.choice(able, amount, replace=False)
        under, is_wrong = right.copy(), np.zeros(len(rows), bool)
        which = (random.random(amount) * choices[right[chosen]]).astype(int)
        under[chosen], is_wrong[chosen] = wrong_codes[begins[right[chosen]] + which], True
        order = np.argsort(of_code[everyone, under], kind="stable")  # the less probable, the higher the risk
        curves[night] = np.concatenate([[0], np.cumsum(is_wrong[order])]) / amount
    low, high = np.quantile(curves, (0.05, 0.95), axis=0)
    return SimulatedNight(len(rows), amount, curves.mean(axis=0), low, high)
