"""Whether pictures speak against a declared code, and from which digit on: for the night and whatever measures it.

Probabilities are summed at 2, 4, 6 … digits; the share that a level has of a coarser one meets the card's thresholds.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode

_ALL = np.float64(1)  # a Python float would be rounded to float32 where it meets that


def differs_at(probabilities: np.ndarray, declared: HSCode, table: ClassTable, thresholds: Thresholds) -> np.ndarray:
    """The coarsest level at which pictures speak against a declared code, int [N]; 0 where they do not.

    Args:
        probabilities: float [N, C].
        declared: the code; only levels that the classes know are judged.
        table: what the columns stand for.
        thresholds: where the verdicts part.
    """
    return differs_by_sums(sums_at_levels(probabilities, columns_at_levels(declared, table)), thresholds)


def columns_at_levels(declared: HSCode, table: ClassTable) -> dict[int, np.ndarray]:
    """Level → the outputs that do not contradict the declared code there, as far as the code and the classes go."""
    return columns_of_any((declared,), table)


def columns_of_any(codes: Sequence[HSCode], table: ClassTable) -> dict[int, np.ndarray]:
    """Level → the outputs that do not contradict one of several codes, as far as the classes know all of them."""
    columns = {}
    for prefixes in zip(*(code.prefixes() for code in codes), strict=False):  # down to where the shortest ends
        if not all(table.knows(prefix) for prefix in prefixes):
            break
        # A set, as a class such as `87*` may hold several and counts once.
        outputs = [table.columns(prefix) for prefix in dict.fromkeys(prefixes)]
        columns[len(prefixes[0])] = outputs[0] if len(outputs) == 1 else np.unique(np.concatenate(outputs))
    return columns


def sums_at_levels(probabilities: np.ndarray, columns: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Level → summed probability float [N] of these outputs, coarsest first; probabilities are float [N, C]."""
    return {level: probabilities[:, outputs].sum(axis=1) for level, outputs in columns.items()}


def differs_by_sums(at_levels: Mapping[int, np.ndarray], thresholds: Thresholds) -> np.ndarray:
    """The coarsest level at which a declared code differs, int [N]; 0 where it does not.

    A threshold speaks of the share that the code has at one level of its probability at a coarser one. Between these
    two levels the code differs at the first that has not enough to agree.

    Args:
        at_levels: level → summed probability of the declared code, float [N], coarsest first.
        thresholds: where the verdicts part.
    """
    if not at_levels:
        raise ValueError("a code of which no level is known cannot be judged")
    found = np.zeros(len(next(iter(at_levels.values()))), np.int64)
    for rule in thresholds.rules(max(at_levels)):
        if rule.digits not in at_levels or (rule.within and rule.within not in at_levels):
            continue
        whole = at_levels[rule.within] if rule.within else _ALL
        speaks = at_levels[rule.digits] < rule.differs_below * whole
        if not speaks.any():  # so of most declarations
            continue
        for level in (level for level in at_levels if rule.within < level <= rule.digits):
            weak = speaks & (at_levels[level] < thresholds.agrees_above * whole)
            found[weak & ((found == 0) | (found > level))] = level
    return found


def shows_unknown(probabilities: np.ndarray, novelty: float | None, thresholds: Thresholds) -> bool:
    """Whether pictures, with probabilities float [C] together, show goods that the classifier has not learned."""
    if novelty is None or thresholds.novel_above is None:
        return normalised_entropy(probabilities) > thresholds.unknown_above
    return novelty > thresholds.novel_above


def abstains(novelty: float | None, thresholds: Thresholds) -> bool:
    """Whether unknown goods are so unlike all that was learned that they do not even speak against a code."""
    return novelty is None or thresholds.abstain_above is None or novelty > thresholds.abstain_above


def normalised_entropy(probabilities: np.ndarray) -> float:
    """Shannon entropy of float [C] over its maximum, log C: 0 when one class has all, 1 when all are alike.

    >>> normalised_entropy(np.array([0.5, 0.5, 0.0, 0.0]))
    0.5
    """
    present = probabilities[probabilities > 0]
    entropy = -float((present * np.log(present)).sum())
    return min(max(0.0, entropy) / math.log(max(len(probabilities), 2)), 1.0)  # rounding leads beyond
