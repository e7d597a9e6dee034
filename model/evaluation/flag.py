"""The flag on cases that a model has not seen: what its card promises, what it keeps, what would have been possible.

Every case stands for a right declaration under its own code, and for wrong ones under each code that it may be mistaken
for, as when the thresholds were drawn; wrong ones are weighted to the share that is assumed of all declarations.
"""

from dataclasses import dataclass

import numpy as np

from hs.card import Mistake
from hs.proportions import Estimate, clustered
from model.declared import Declared, parts, thresholds_for, unheard
from model.evaluation.intervals import Between, precision_between
from model.exported.predictions import Predictions

USUAL_PRECISION = 0.9  # what is asked of the best threshold where a card promises nothing


@dataclass(frozen=True)
class Flag:
    """The flag for one kind of mistake.

    Attributes:
        own_thresholds: whether the card has thresholds for this kind; else those for wrong codes at random count.
        precision: share of wrong ones among the declarations that are flagged; None where none is.
        recall: share of the wrong declarations that are flagged.
        right_flagged: share of the right declarations that are.
        promised_precision: what the thresholds were drawn for; None where the model does not say.
        right_flagged_at_most: the card's bound; None where it has none.
        best_recall: what the best threshold for the same score finds on these very cases at the promised precision.
    """

    own_thresholds: bool
    precision: Between | None
    recall: Estimate
    right_flagged: Estimate
    promised_precision: float | None
    right_flagged_at_most: float | None
    best_recall: float

    @property
    def of_best(self) -> float | None:
        """Recall by the best one; None where nothing could have been found."""
        return self.recall.share / self.best_recall if self.best_recall else None


def flags(said: Predictions, wrong_share: float) -> dict[Mistake, Flag]:
    """The flag for each kind of mistake that the classes allow.

    Args:
        said: one row per case.
        wrong_share: share of wrong ones among all declarations.
    """
    declared = Declared(said.table)
    can_be = declared.can_be[said.labels]
    if not can_be.any():  # nobody declares the rest of a prefix
        return {}
    judged = _Judged(said.only(can_be), declared)
    groups = np.unique(np.array(judged.said.sources), return_inverse=True)[1]
    found = {}
    for mistake in Mistake:
        counts = judged.count(mistake, wrong_share)
        if counts.wrong.any():
            recall = clustered(counts.wrong_flagged, counts.wrong, groups)
            right_flagged = clustered(counts.right_flagged, np.ones(len(groups)), groups)
            found[mistake] = Flag(
                said.card.thresholds_of(mistake) is not None,
                precision_between(recall, right_flagged, wrong_share),
                recall,
                right_flagged,
                said.promises.precision,
                thresholds_for(said.card, mistake).right_flagged_at_most,
                counts.best_recall,
            )
    return found


@dataclass(frozen=True)
class _Counts:
    """What becomes of the cases as they are declared right and wrong.

    Attributes:
        right_flagged: bool [N], whether each is flagged when declared right.
        wrong: int [N], how many wrong codes it may have.
        wrong_flagged: int [N], how many of them are flagged.
        best_recall: of the best threshold.
    """

    right_flagged: np.ndarray
    wrong: np.ndarray
    wrong_flagged: np.ndarray
    best_recall: float


@dataclass(frozen=True)
class _Judged:
    said: Predictions
    declared: Declared

    def count(self, mistake: Mistake, wrong_share: float) -> _Counts:
        """Looks at all codes of all cases twice: at the right ones first, as only they can be the best threshold."""
        said, count = self.said, len(self.said.labels)
        may_be_wrong = self.declared.mistakes(mistake)
        right_flagged, wrong_flagged, score = np.zeros(count, bool), np.zeros(count, int), np.empty(count)
        for part in parts(count):
            flagged, scores = self._part(part, mistake)
            right = (np.arange(len(flagged)), said.labels[part])
            right_flagged[part], score[part] = flagged[right], scores[right]
            wrong_flagged[part] = (flagged & may_be_wrong[said.labels[part]]).sum(axis=1)
        # Up to the next right one, a higher threshold only finds more wrong ones.
        candidates = np.append(np.unique(score[np.isfinite(score)]), np.inf)
        found = np.zeros(len(candidates) + 1, int)
        for part in parts(count):
            of_wrong = self._part(part, mistake)[1][may_be_wrong[said.labels[part]]]
            places = np.searchsorted(candidates, of_wrong[np.isfinite(of_wrong)], side="right")
            found += np.bincount(places, minlength=len(found))
        wrong = may_be_wrong.sum(axis=1)[said.labels]
        wrong_below = np.cumsum(found)[:-1] / max(1, wrong.sum())
        right_below = np.searchsorted(np.sort(score), candidates, side="left") / count
        precision = said.promises.precision or USUAL_PRECISION
        flagged_wrong, flagged_right = wrong_share * wrong_below, (1 - wrong_share) * right_below
        precise = flagged_wrong >= precision * (flagged_wrong + flagged_right)
        return _Counts(right_flagged, wrong, wrong_flagged, float(wrong_below[precise].max(initial=0.0)))

    def _part(self, part: slice, mistake: Mistake) -> tuple[np.ndarray, np.ndarray]:
        """Whether each code is flagged, bool [n, C], and its score, float32 [n, C], inf where no threshold flags it."""
        said, thresholds = self.said, thresholds_for(self.said.card, mistake)
        sums = self.declared.sums(said.probabilities[part])
        never = np.zeros((len(said.labels[part]), len(said.table)), bool)
        never[unheard(said.probabilities[part], thresholds, said.novelty[part])] = True
        for place, row in enumerate(range(len(said.labels))[part]):
            if row in said.disagree:
                never[place] |= said.disagree[row][list(Mistake).index(mistake)]
        scores = self.declared.scores(sums, thresholds)
        scores[never] = np.inf
        return self.declared.differs(sums, thresholds) & ~never, scores
