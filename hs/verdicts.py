"""From the probabilities of a declaration's pictures to a verdict with its reason. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.declared_codes import ParsedCode
from hs.flags import abstains, columns_at_levels, differs_at, differs_by_sums, shows_unknown, sums_at_levels
from hs.nomenclature import exists


class Verdict(StrEnum):
    """What the audit says of a declaration."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNSURE = "unsure"
    CANNOT_JUDGE = "cannot_judge"


class Reason(StrEnum):
    """Why; the first that applies, in this order, save that a firm `differs` outdoes `unknown_goods` up to a limit."""

    NO_PICTURE = "no_picture"
    UNREADABLE = "unreadable"
    NOT_SCORED = "not_scored"
    CODE_MALFORMED = "code_malformed"
    CODE_UNKNOWN = "code_unknown"
    SURE_OF_OTHERS = "sure_of_others"
    OUTSIDE_SCOPE = "outside_scope"
    UNKNOWN_GOODS = "unknown_goods"
    PICTURES_DISAGREE = "pictures_disagree"
    LOW_CONFIDENCE = "low_confidence"
    LOOK_ALIKE = "look_alike"
    DIFFERS = "differs"
    AGREES = "agrees"


VERDICT_OF = {
    Reason.NO_PICTURE: Verdict.CANNOT_JUDGE,
    Reason.UNREADABLE: Verdict.CANNOT_JUDGE,
    Reason.NOT_SCORED: Verdict.CANNOT_JUDGE,
    Reason.CODE_MALFORMED: Verdict.CANNOT_JUDGE,
    Reason.CODE_UNKNOWN: Verdict.CANNOT_JUDGE,
    Reason.SURE_OF_OTHERS: Verdict.CANNOT_JUDGE,
    Reason.OUTSIDE_SCOPE: Verdict.CANNOT_JUDGE,
    Reason.UNKNOWN_GOODS: Verdict.CANNOT_JUDGE,
    Reason.PICTURES_DISAGREE: Verdict.UNSURE,
    Reason.LOW_CONFIDENCE: Verdict.UNSURE,
    Reason.LOOK_ALIKE: Verdict.UNSURE,
    Reason.DIFFERS: Verdict.DIFFERS,
    Reason.AGREES: Verdict.AGREES,
}


MOST_COUNTED = 200  # each is compared with each: 20,000 took 23 s
_LEAST_WEIGHT = 0.1  # of a picture that has nothing in common with the others
_LEAST_PROBABILITY = 1e-9  # no picture alone rules a code out for good


@dataclass(frozen=True)
class Evidence:
    """What became of a declaration's pictures.

    Attributes:
        images_total: pictures in the archive.
        images_readable: pictures that could be decoded.
        probabilities: float [k, C], one row per distinct picture that was classified.
        novelty: float [k], how unlike each is to all that the classifier learned from; None where the model is silent.
    """

    images_total: int
    images_readable: int
    probabilities: np.ndarray
    novelty: np.ndarray | None = None


@dataclass(frozen=True)
class Combined:
    """What several pictures say together.

    Attributes:
        probabilities: float64 [C].
        weights: float64 [k], how much each picture counts; they sum to 1.
        disagreement: mean share of their probability that two pictures do not have in common, 0 to 1; None for one.
        novelty: the weighted mean of theirs; None where the model does not give it.
    """

    probabilities: np.ndarray
    weights: np.ndarray
    disagreement: float | None
    novelty: float | None


@dataclass(frozen=True)
class Recommendation:
    """A code that the pictures speak for."""

    code: HSCode
    probability: float


@dataclass(frozen=True)
class Judgement:
    """The decision on one declaration.

    Attributes:
        reason: why; the verdict follows from it.
        differs_at: the coarsest digit from which on the declaration differs; None unless it does.
        declared_probabilities: level → summed probability of the declared code, for each level that was judged.
        risk: probability that the declared code is wrong; None where nothing can be judged.
        recommendations: the most probable codes, best first; empty where no picture was classified.
        weights: how much each classified picture counted; they sum to 1.
        disagreement: of the pictures, 0 to 1; None unless there are several.
        novelty: of the pictures together, 0 to 1; None where the model does not give it.
    """

    reason: Reason
    differs_at: int | None = None
    declared_probabilities: dict[int, float] = field(default_factory=dict)
    risk: float | None = None
    recommendations: tuple[Recommendation, ...] = ()
    weights: tuple[float, ...] = ()
    disagreement: float | None = None
    novelty: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict that the reason stands for."""
        return VERDICT_OF[self.reason]


@dataclass(frozen=True)
class Judge:
    """The rules with their settings.

    Attributes:
        table: what the classifier's outputs stand for.
        thresholds: where the verdicts part.
        assumed_wrong_share: share of wrong declarations among all, for the risk.
        top_k: how many codes to recommend at most.
        sure_above: probability of a recommended code from which on the pictures are surely of these goods, where the
            declared code is none that the classifier knows.
        look_alikes: pairs of codes that no picture can tell apart; a pair of prefixes stands for all codes under them.
    """

    table: ClassTable
    thresholds: Thresholds
    assumed_wrong_share: float = 0.05
    top_k: int = 5
    sure_above: float = 0.9
    look_alikes: tuple[tuple[str, str], ...] = ()

    def __call__(self, declared: ParsedCode, evidence: Evidence) -> Judgement:
        """Judges one declaration."""
        if not len(evidence.probabilities):
            return Judgement(_nothing_classified(evidence))
        together = combine(evidence.probabilities, evidence.novelty)
        combined, best = together.probabilities, recommend(together.probabilities, self.table, self.top_k)
        judgement = partial(
            Judgement,
            recommendations=best,
            weights=tuple(together.weights.tolist()),
            disagreement=together.disagreement,
            novelty=together.novelty,
        )
        unknown = shows_unknown(combined, together.novelty, self.thresholds)
        out_of_reach = _out_of_reach(declared, self.table)
        if declared.code is None or out_of_reach:
            surely = out_of_reach is Reason.OUTSIDE_SCOPE and self._sure(best) and not unknown
            return judgement(Reason.SURE_OF_OTHERS if surely else out_of_reach or Reason.CODE_MALFORMED)
        code = declared.code.digits
        at_levels = declared_probabilities(combined, declared.code, self.table)
        finest = max(at_levels)
        parts_at = int(differs_at(combined[None], declared.code, self.table, self.thresholds)[0])
        reason = self._compare(declared.code, at_levels[finest], parts_at, evidence.probabilities)
        if unknown and (reason is not Reason.DIFFERS or abstains(together.novelty, self.thresholds)):
            return judgement(Reason.UNKNOWN_GOODS, declared_probabilities=at_levels)
        # Only the chapter or heading agrees: the whole code is none that the classifier knows.
        if reason is Reason.AGREES and self._sure(best) and not len(self.table.columns(code)):
            return judgement(Reason.SURE_OF_OTHERS, declared_probabilities=at_levels)
        if reason is Reason.DIFFERS and self._look_alike(combined, declared.code):
            reason = Reason.LOOK_ALIKE
        return judgement(
            reason,
            differs_at=parts_at if reason is Reason.DIFFERS else None,
            declared_probabilities=at_levels,
            risk=risk(at_levels[finest], len(self.table.prefixes(finest)), self.assumed_wrong_share),
        )

    def _compare(self, declared: HSCode, probability: float, parts_at: int, pictures: np.ndarray) -> Reason:
        high = self.thresholds.agrees_above
        if len(pictures) > 1:
            finest = columns_at_levels(declared, self.table)
            against = differs_at(pictures, declared, self.table, self.thresholds) > 0
            if against.any() and pictures[:, finest[max(finest)]].sum(axis=1).max() >= high:
                return Reason.PICTURES_DISAGREE
        if parts_at:
            return Reason.DIFFERS
        return Reason.AGREES if probability >= high else Reason.LOW_CONFIDENCE

    def _sure(self, recommendations: tuple[Recommendation, ...]) -> bool:
        return bool(recommendations) and recommendations[0].probability >= self.sure_above

    def _look_alike(self, probabilities: np.ndarray, declared: HSCode) -> bool:
        """Whether the declared code would not differ, were it one with those that look like it."""
        pairs = [*self.look_alikes, *((second, first) for first, second in self.look_alikes)]
        columns = columns_at_levels(declared, self.table)
        alike = [other for one, other in pairs if declared.digits[: max(columns)].startswith(one)]
        if not alike:
            return False
        for level in columns:
            # A set, as a class such as `87*` may hold both and counts once.
            outputs = {output for other in alike for output in self.table.columns(other[:level])}
            columns[level] = np.array(sorted(outputs.union(columns[level].tolist())), np.intp)
        return not differs_by_sums(sums_at_levels(probabilities[None], columns), self.thresholds)[0]


def which_count(digests: Sequence[str]) -> list[int]:
    """The places of those that count among the pictures of one declaration, or of one case.

    The same picture twice counts once; of very many different ones those count that are spread evenly, the first among
    them.

    >>> which_count(["a", "b", "a"])
    [0, 1]

    Args:
        digests: of the pictures' bytes.
    """
    first_of: dict[str, int] = {}
    for place, digest in enumerate(digests):
        first_of.setdefault(digest, place)
    different = list(first_of.values())
    count = min(len(different), MOST_COUNTED)
    return [different[place * len(different) // count] for place in range(count)]


def combine(probabilities: np.ndarray, novelty: np.ndarray | None = None) -> Combined:
    """What several pictures of one declaration, or of one case, say together.

    The geometric mean of their probabilities, where pictures that speak for the same codes as others count more: a
    label or a scan among photographs of the goods is outvoted. On held-out pictures this had the best likelihood,
    calibration and flag among seven rules; docs/verdicts.md has the figures.

    >>> combine(np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])).weights.round(2).tolist()
    [0.39, 0.42, 0.19]

    Args:
        probabilities: float [k, C], one row per picture, k at least 1.
        novelty: float [k], of each picture; None where the model does not give it.
    """
    several = np.asarray(probabilities, np.float64)
    count = len(several)
    if count == 1:
        return Combined(several[0], np.ones(1), None, None if novelty is None else float(novelty[0]))
    with_others = np.array([np.minimum(one, several).sum() - one.sum() for one in several])
    weights = _LEAST_WEIGHT + with_others
    weights /= weights.sum()
    logarithms = weights @ np.log(np.maximum(several, _LEAST_PROBABILITY))
    together = np.exp(logarithms - logarithms.max())  # the greatest is 1, so the sum cannot vanish
    disagreement = 1 - float(with_others.mean()) / (count - 1)
    mean_novelty = None if novelty is None else float(weights @ novelty)
    return Combined(together / together.sum(), weights, disagreement, mean_novelty)


def declared_probabilities(probabilities: np.ndarray, declared: HSCode, table: ClassTable) -> dict[int, float]:
    """Level → summed probability of the declared code, from 2 digits down as far as the classes and the code go."""
    at_levels = {}
    for prefix in declared.prefixes():
        if not table.knows(prefix):
            break
        at_levels[len(prefix)] = table.probability(probabilities, prefix)
    return at_levels


def recommend(probabilities: np.ndarray, table: ClassTable, top_k: int) -> tuple[Recommendation, ...]:
    """The `top_k` most probable codes, best first, equal ones in the order of the classes."""
    per_code = table.recommendable(probabilities)
    best = np.argsort(-per_code, kind="stable")[:top_k]
    chosen = zip(best.tolist(), per_code[best].tolist(), strict=True)
    return tuple(Recommendation(table.codes[i], probability) for i, probability in chosen)


def risk(probability: float, codes: int, assumed_wrong_share: float) -> float:
    """Probability that the declared code is wrong, by Bayes' rule.

    If it is wrong, any of the other codes may be true: odds w/(1-w) · ((1-p)/(C-1))/p.

    >>> round(risk(0.5, 2, 0.05), 3), risk(0.0, 40, 0.05), risk(1.0, 40, 0.05)
    (0.05, 1.0, 0.0)

    Args:
        probability: p, the summed probability of the declared code.
        codes: C, how many codes the classifier tells apart at that level.
        assumed_wrong_share: w, the share of wrong declarations among all.
    """
    for_wrong = assumed_wrong_share * (1 - probability) / max(codes - 1, 1)  # with one code there is no other to share
    for_right = (1 - assumed_wrong_share) * probability
    return for_wrong / (for_wrong + for_right) if for_wrong + for_right else assumed_wrong_share


def _nothing_classified(evidence: Evidence) -> Reason:
    if not evidence.images_total:
        return Reason.NO_PICTURE
    return Reason.NOT_SCORED if evidence.images_readable else Reason.UNREADABLE


def _out_of_reach(declared: ParsedCode, table: ClassTable) -> Reason | None:
    if declared.code is None:
        return Reason.CODE_MALFORMED
    if not exists(declared.code):
        return Reason.CODE_UNKNOWN
    return None if table.knows(declared.code.prefixes()[0]) else Reason.OUTSIDE_SCOPE
