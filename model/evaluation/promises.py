"""What is promised of a model, what it keeps, and the figures that stand for an evaluation, a line each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hs.card import Mistake
from hs.proportions import Estimate
from model.evaluation.intervals import Between
from model.evaluation.summary import Evaluation

WORDS = {
    Mistake.AT_RANDOM: "at random",
    Mistake.WITHIN_CHAPTER: "of the chapter",
    Mistake.WITHIN_HEADING: "of the heading",
}
SUBJECTS = {
    "precision": "Precision of the flag",
    "right flagged": "Right declarations that are flagged",
    "known as unknown": "Known goods taken for unknown",
}


@dataclass(frozen=True)
class Promise:
    """One promise.

    Attributes:
        subject: what is promised.
        kind: the wrong codes that it speaks of; empty where it speaks of all goods.
        promised: the share; None where the model does not say.
        at_most: whether the promise is that it is no higher; else no lower.
        found: on the cases; None where nothing could be counted.
    """

    subject: str
    kind: str
    promised: float | None
    at_most: bool
    found: Between | None

    @property
    def words(self) -> str:
        """How it was kept: `open` where it is missed by no more than chance, empty where nothing was promised."""
        if self.found is None:
            return "none flagged"
        if self.promised is None:
            return ""
        sign = -1 if self.at_most else 1
        if sign * self.found.share >= sign * self.promised:
            return "kept"
        best = self.found.low if self.at_most else self.found.high
        return "open" if sign * best >= sign * self.promised else "not kept"


def promises(evaluation: Evaluation) -> list[Promise]:
    """What is promised and what is kept, in the order of telling."""
    flags = [(WORDS[mistake], flag) for mistake, flag in evaluation.flags.items()]
    unknown = evaluation.unknown
    precise = [Promise("precision", kind, flag.promised_precision, False, flag.precision) for kind, flag in flags]
    spared = [
        Promise("right flagged", kind, flag.right_flagged_at_most, True, between(flag.right_flagged))
        for kind, flag in flags
        if flag.own_thresholds
    ]
    return [*precise, *spared, Promise("known as unknown", "", unknown.at_most, True, between(unknown.false_alarms))]


def without_own(evaluation: Evaluation) -> str:
    """Which kinds of mistake are judged by the thresholds for wrong codes at random, in a sentence; else empty."""
    lacking = [WORDS[mistake] for mistake, flag in evaluation.flags.items() if not flag.own_thresholds]
    if not lacking:
        return ""
    return f"The card has no thresholds for wrong codes {' or '.join(lacking)}: those for codes at random are measured."


def in_a_sentence(evaluation: Evaluation) -> str:
    """What is kept, for the end of a training."""
    of_kinds = [
        f"wrong codes {WORDS[mistake]}: precision {flag.precision.share:.3f} "
        f"({flag.precision.low:.2f}–{flag.precision.high:.2f}), {flag.recall.share:.0%} found"
        if flag.precision
        else f"wrong codes {WORDS[mistake]}: none flagged"
        for mistake, flag in evaluation.flags.items()
    ]
    unknown = evaluation.unknown
    limit = "" if unknown.at_most is None else f" (≤ {unknown.at_most:.3f} promised)"
    return "; ".join([*of_kinds, f"known goods taken for unknown {unknown.false_alarms.share:.3f}{limit}"])


def between(estimate: Estimate) -> Between:
    """A share with its interval."""
    return Between(estimate.share, *estimate.interval)


Named = tuple[str, str]
"""What is measured, and at which level or for which wrong codes."""


def figures(evaluation: Evaluation) -> dict[Named, float | None]:
    """The figures that stand for an evaluation, by their names; None where there was nothing to measure."""
    found: dict[Named, float | None] = {}
    for level, measured in evaluation.levels.items():
        digits = f"{level} digits"
        found |= {(f"first {k}" if k > 1 else "first", digits): measured.top[k].share for k in _KS}
        found |= {("calibration", digits): measured.reliability.error, ("AUGRC", digits): measured.augrc}
    for mistake, flag in evaluation.flags.items():
        kind = WORDS[mistake]
        found |= {
            ("precision", kind): flag.precision.share if flag.precision else None,
            ("found", kind): flag.recall.share,
            ("found at best", kind): flag.best_recall,
            ("found / at best", kind): flag.of_best,
            ("right flagged", kind): flag.right_flagged.share,
        }
        if flag.right_flagged_at_most is not None:
            found["right flagged ≤", kind] = flag.right_flagged_at_most
    found["known as unknown", ""] = evaluation.unknown.false_alarms.share
    if evaluation.unknown.at_most is not None:
        found["known as unknown ≤", ""] = evaluation.unknown.at_most
    return found


_KS = (1, 3)


@dataclass(frozen=True)
class OverModels:
    """One figure of several models.

    Attributes:
        values: of each; None where there was nothing to measure.
    """

    values: tuple[float | None, ...]

    @property
    def measured(self) -> list[float]:
        """Of the models that have it."""
        return [value for value in self.values if value is not None]

    @property
    def mean(self) -> float | None:
        """Of the models that have it; None where none has."""
        return float(np.mean(self.measured)) if self.measured else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation from one model to the next; None for fewer than two."""
        return float(np.std(self.measured, ddof=1)) if len(self.measured) > 1 else None


def over_models(evaluations: Sequence[Evaluation]) -> dict[Named, OverModels]:
    """The figures of several models side by side, by their names."""
    each = [figures(evaluation) for evaluation in evaluations]
    names = dict.fromkeys(name for found in each for name in found)
    return {name: OverModels(tuple(found.get(name) for found in each)) for name in names}
