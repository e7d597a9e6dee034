"""From the probabilities of a declaration's pictures to a verdict with its reason. Pure functions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.declared_codes import ParsedCode, parse_declared_code
from hs.editions import BUILT_IN, Nomenclature, Standing
from hs.flags import abstains, columns_of_any, differs_by_sums, shows_unknown, sums_at_levels
from hs.mapped_classes import mapped
from hs.nomenclature import HS_EDITION


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
    OLDER_EDITION = "older_edition"
    SURE_OF_OTHERS = "sure_of_others"
    OUTSIDE_SCOPE = "outside_scope"
    UNKNOWN_GOODS = "unknown_goods"
    PICTURES_DISAGREE = "pictures_disagree"
    LOW_CONFIDENCE = "low_confidence"
    RENUMBERED = "renumbered"
    LOOK_ALIKE = "look_alike"
    DIFFERS = "differs"
    AGREES = "agrees"


VERDICT_OF = {
    Reason.NO_PICTURE: Verdict.CANNOT_JUDGE,
    Reason.UNREADABLE: Verdict.CANNOT_JUDGE,
    Reason.NOT_SCORED: Verdict.CANNOT_JUDGE,
    Reason.CODE_MALFORMED: Verdict.CANNOT_JUDGE,
    Reason.CODE_UNKNOWN: Verdict.CANNOT_JUDGE,
    Reason.OLDER_EDITION: Verdict.CANNOT_JUDGE,
    Reason.SURE_OF_OTHERS: Verdict.CANNOT_JUDGE,
    Reason.OUTSIDE_SCOPE: Verdict.CANNOT_JUDGE,
    Reason.UNKNOWN_GOODS: Verdict.CANNOT_JUDGE,
    Reason.PICTURES_DISAGREE: Verdict.UNSURE,
    Reason.LOW_CONFIDENCE: Verdict.UNSURE,
    Reason.RENUMBERED: Verdict.UNSURE,
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
        edition: that was in force on the declaration's date; None where no tables of editions are given.
        declared_edition: that the declared code is read in: the one in force, or the one that explains it.
        successors: the codes in force that it stands for, where that is not itself.
    """

    reason: Reason
    differs_at: int | None = None
    declared_probabilities: dict[int, float] = field(default_factory=dict)
    risk: float | None = None
    recommendations: tuple[Recommendation, ...] = ()
    weights: tuple[float, ...] = ()
    disagreement: float | None = None
    novelty: float | None = None
    edition: str | None = None
    declared_edition: str | None = None
    successors: tuple[str, ...] = ()

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
        nomenclature: which codes are in force, and what those of other editions stand for.
        table_edition: the edition of the classes.
        default_day: the date of a declaration that has none.
    """

    table: ClassTable
    thresholds: Thresholds
    assumed_wrong_share: float = 0.05
    top_k: int = 5
    sure_above: float = 0.9
    look_alikes: tuple[tuple[str, str], ...] = ()
    nomenclature: Nomenclature = BUILT_IN
    table_edition: str = HS_EDITION
    default_day: date = date.max

    def __getstate__(self) -> dict[str, Any]:
        """What travels to workers: the settings, not what was found by them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __call__(self, declared: ParsedCode, evidence: Evidence, day: date | None = None) -> Judgement:
        """Judges one declaration; `day` is its date."""
        day = day or self.default_day
        standing, columns = self._known(declared.code, day) if declared.code else (None, {})
        judgement: Callable[..., Judgement] = partial(Judgement, **self._editions(standing, day))
        if not len(evidence.probabilities):
            return judgement(_nothing_classified(evidence))
        table = self.table_on(day)
        together = combine(evidence.probabilities, evidence.novelty)
        combined, best = together.probabilities, recommend(together.probabilities, table, self.top_k)
        judgement = partial(
            judgement,
            recommendations=best,
            weights=tuple(together.weights.tolist()),
            disagreement=together.disagreement,
            novelty=together.novelty,
        )
        if standing is None:
            return judgement(Reason.CODE_MALFORMED)
        if not standing.codes:
            return judgement(_not_in_force(standing))
        at_levels = _summed(combined, columns)
        reason = self._reason(standing, columns, at_levels, together, self._sure(best), evidence.probabilities, table)
        for edition, codes in standing.elsewhere:
            if shown := self._shown_by_number(reason, combined, columns, codes, best, table):
                judgement = partial(judgement, declared_edition=edition, successors=codes)
                likely_wrong = self._risk(_summed(combined, shown), table)
                return judgement(Reason.RENUMBERED, declared_probabilities=_shares(at_levels), risk=likely_wrong)
        if reason is Reason.DIFFERS:
            alike = self._alike(standing.codes, columns)
            if alike and not self._parts_at(_summed(combined, _beside(columns, alike, table))):
                reason = Reason.LOOK_ALIKE
        return judgement(
            reason,
            differs_at=self._parts_at(at_levels) if reason is Reason.DIFFERS else None,
            declared_probabilities=_shares(at_levels),
            risk=None if VERDICT_OF[reason] is Verdict.CANNOT_JUDGE else self._risk(at_levels, table),
        )

    def read(self, written: str | int | float | None) -> ParsedCode:
        """A declared code as written; a lost leading zero is told by the headings of all editions."""
        return parse_declared_code(written, self.nomenclature.has)

    def table_on(self, day: date | None) -> ClassTable:
        """What the classifier's outputs stand for in the edition in force on a day."""
        edition = self.nomenclature.on(day or self.default_day).name
        if edition not in self._tables:
            of = self.table_edition if self.table_edition in self.nomenclature else edition
            self._tables[edition] = mapped(self.table, of, edition, self.nomenclature)
        return self._tables[edition]

    @cached_property
    def _tables(self) -> dict[str, ClassTable]:
        return {}

    @cached_property
    def _known(self) -> Callable[[HSCode, date], tuple[Standing, dict[int, np.ndarray]]]:
        """What a code stands for on a day, and its outputs by level; a night has few codes."""
        return lru_cache(8192)(self._look_up)  # bounded: an archive may declare any number of national codes

    def _look_up(self, code: HSCode, day: date) -> tuple[Standing, dict[int, np.ndarray]]:
        standing = self.nomenclature.standing(code, day)
        return standing, columns_of_any([HSCode(digits) for digits in standing.codes], self.table_on(day))

    def _editions(self, standing: Standing | None, day: date) -> dict[str, Any]:
        """What a judgement says of editions; nothing where no table of one is given."""
        if self.nomenclature.is_built_in:
            return {}
        if standing is None:
            return {"edition": self.nomenclature.on(day).name}
        successors = () if standing.in_force else standing.codes
        return {"edition": standing.edition, "declared_edition": standing.known_in, "successors": successors}

    def _reason(
        self,
        standing: Standing,
        columns: Mapping[int, np.ndarray],
        at_levels: Mapping[int, np.ndarray],
        together: Combined,
        is_sure: bool,
        pictures: np.ndarray,
        table: ClassTable,
    ) -> Reason:
        """The reason of codes that are known, but for what excuses one that differs."""
        unknown = shows_unknown(together.probabilities, together.novelty, self.thresholds)
        if not columns:
            reason = Reason.SURE_OF_OTHERS if is_sure and not unknown else Reason.OUTSIDE_SCOPE
        else:
            reason = self._compare(columns, at_levels, pictures)
            if unknown and (reason is not Reason.DIFFERS or abstains(together.novelty, self.thresholds)):
                reason = Reason.UNKNOWN_GOODS
        # Only the chapter or heading agrees: the whole code is none that the classifier knows.
        if reason is Reason.AGREES and not any(len(table.columns(code)) for code in standing.codes):
            reason = Reason.SURE_OF_OTHERS if is_sure else reason if standing.in_force else Reason.LOW_CONFIDENCE
        if standing.in_force or reason in (Reason.DIFFERS, Reason.SURE_OF_OTHERS):
            return reason
        return Reason.RENUMBERED if reason is Reason.AGREES else _not_in_force(standing)

    def _compare(
        self, columns: Mapping[int, np.ndarray], at_levels: Mapping[int, np.ndarray], pictures: np.ndarray
    ) -> Reason:
        high, finest = self.thresholds.agrees_above, max(columns)
        if len(pictures) > 1:
            against = differs_by_sums(sums_at_levels(pictures, columns), self.thresholds) > 0
            if against.any() and pictures[:, columns[finest]].sum(axis=1).max() >= high:
                return Reason.PICTURES_DISAGREE
        if self._parts_at(at_levels):
            return Reason.DIFFERS
        return Reason.AGREES if _share(at_levels[finest]) >= high else Reason.LOW_CONFIDENCE

    def _shown_by_number(
        self,
        reason: Reason,
        combined: np.ndarray,
        columns: Mapping[int, np.ndarray],
        codes: Sequence[str],
        best: tuple[Recommendation, ...],
        table: ClassTable,
    ) -> Mapping[int, np.ndarray] | None:
        """The outputs of the goods, where they are those of codes that the declared one is the number of elsewhere."""
        if reason is Reason.DIFFERS:
            beside = _beside(columns, codes, table)
            return None if self._parts_at(_summed(combined, beside)) else beside
        if reason is Reason.SURE_OF_OTHERS and any(code.startswith(best[0].code.digits) for code in codes):
            return columns_of_any([best[0].code], table)
        return None

    def _parts_at(self, at_levels: Mapping[int, np.ndarray]) -> int:
        """The coarsest level at which the pictures speak against a code; 0 for none."""
        return int(differs_by_sums(at_levels, self.thresholds)[0])

    def _risk(self, at_levels: Mapping[int, np.ndarray], table: ClassTable) -> float:
        finest = max(at_levels)
        return risk(_share(at_levels[finest]), len(table.prefixes(finest)), self.assumed_wrong_share)

    def _sure(self, recommendations: tuple[Recommendation, ...]) -> bool:
        return bool(recommendations) and recommendations[0].probability >= self.sure_above

    def _alike(self, codes: Sequence[str], levels: Iterable[int]) -> list[str]:
        """The codes that look like one of these."""
        deepest = max(levels)
        pairs = [*self.look_alikes, *((second, first) for first, second in self.look_alikes)]
        return [other for one, other in pairs if any(code[:deepest].startswith(one) for code in codes)]


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


def _not_in_force(standing: Standing) -> Reason:
    return Reason.OLDER_EDITION if standing.existed else Reason.CODE_UNKNOWN


def _summed(probabilities: np.ndarray, columns: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Level → summed probability, float [1], of pictures that are combined, float [C]."""
    return sums_at_levels(probabilities[None], columns)


def _shares(at_levels: Mapping[int, np.ndarray]) -> dict[int, float]:
    """The same as numbers."""
    return {level: _share(summed) for level, summed in at_levels.items()}


def _share(summed: np.ndarray) -> float:
    return min(1.0, float(summed[0]))  # rounded ones may add up to more


def _beside(columns: Mapping[int, np.ndarray], others: Iterable[str], table: ClassTable) -> dict[int, np.ndarray]:
    """Level → these outputs and those of other codes; a class such as `87*` may hold several and counts once."""
    return {
        level: np.unique(np.concatenate([outputs, *(table.columns(other[:level]) for other in others)]))
        for level, outputs in columns.items()
    }
