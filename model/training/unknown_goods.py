"""Where goods begin to be unknown: drawn so that known ones stay below, by a bound and not by luck."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.training.bounds import at_most
from model.training.folds import deal, looks
from model.training.novelty import look_at_frozen

_SCENES = 40  # docs/verdicts.md: no scene has more than a fortieth of all pictures
_ABSTAIN_SHARE = 0.005  # of known goods; paper, blanks and noise are all beyond it


@dataclass(frozen=True)
class KnownGoods:
    """Pictures of known goods that were held out.

    Attributes:
        novelty: float32 [N], against what was learned from then.
        groups: int [N]; pictures of one are alike, and tell as much as one.
    """

    novelty: np.ndarray
    groups: np.ndarray

    def share_above(self, threshold: float) -> float:
        """How many of them would be taken for unknown goods, each group counting as one."""
        _, group = np.unique(self.groups, return_inverse=True)
        above = np.bincount(group, weights=self.novelty > threshold)
        return float((above / np.bincount(group)).mean())

    def share_at_most(self, threshold: float) -> float:
        """The same of all such goods, bounded at 90 % confidence."""
        groups = len(np.unique(self.groups))
        return at_most(self.share_above(threshold) * groups, groups)


def by_scenes(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> KnownGoods:
    """Known goods of which whole scenes were held out, all codes together: as if photographed where nothing was before.

    Where goods of one code alone are held out, what stood beside them in the same light makes them look known.

    Args:
        rows: float32 [N, F], what novelty goes by and no training changes.
        labels: int [N], the class of each picture.
        groups: int [N], what stays together.
        folds: how many.
        seed: of the order in which scenes are dealt to them.
    """
    scene = looks(np.zeros(len(rows), int), groups, _SCENES, rows.__getitem__)
    return KnownGoods(novelty_held_out(rows, deal(scene, labels, folds, seed)), groups)


def novelty_held_out(rows: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """How unlike each picture is to those of the other folds, float32 [N], by what no training changes."""
    novelty = np.empty(len(rows), np.float32)
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        novelty[held_out] = look_at_frozen(rows[~held_out]).novelty(rows[held_out])
    return novelty


@dataclass(frozen=True)
class Drawn:
    """Thresholds with what they promise, as the card has them.

    Attributes:
        novel_above: novelty of unknown goods.
        abstain_above: novelty at which not even a firm no is believed.
        known_as_unknown: share of known goods above `novel_above`, in the held-out parts where it is greatest.
        known_as_unknown_at_most: the same, bounded at 90 % confidence.
    """

    novel_above: float
    abstain_above: float
    known_as_unknown: float
    known_as_unknown_at_most: float


def draw(held_out: Sequence[KnownGoods], share: float) -> Drawn:
    """Draws the thresholds.

    Args:
        held_out: the same goods, held out in several ways: like what was learned from, or from elsewhere. The promise
            is kept in each.
        share: of known goods that may be taken for unknown. Fewer than 45 groups bear out none below 0.05; then the
            threshold is the greatest novelty of all, and `known_as_unknown_at_most` says what that is worth.
    """
    novel = max(_lowest(known, share) for known in held_out)
    abstain = max(float(np.quantile(known.novelty, 1 - _ABSTAIN_SHARE, method="higher")) for known in held_out)
    return Drawn(
        novel,
        max(novel, abstain),
        max(known.share_above(novel) for known in held_out),
        max(known.share_at_most(novel) for known in held_out),
    )


def _lowest(known: KnownGoods, share: float) -> float:
    """The lowest threshold that keeps the promise, else the greatest novelty."""
    novelties = np.unique(known.novelty).tolist()
    place = bisect_left(novelties, True, key=lambda threshold: known.share_at_most(threshold) <= share)
    return float(novelties[min(place, len(novelties) - 1)])
