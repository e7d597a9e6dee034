"""Every code of a classifier declared for every case, judged by the rule of the night, many at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hs.card import Card, Mistake, Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.flags import abstains, columns_at_levels, differs_by_sums, shows_unknown

_ROWS = 512

Sums = tuple[dict[int, np.ndarray], ...]
"""For each kind of codes that are judged at the same levels: level → summed probability float64 [n, k]."""


@dataclass(frozen=True)
class _SameLevels:
    """Codes that are judged at the same levels.

    Attributes:
        columns: int [k], of the class table.
        outputs: level → the outputs of each prefix, one prefix after the other, and where each begins.
        prefixes: level → int [k], the prefix of each code.
    """

    columns: np.ndarray
    outputs: dict[int, tuple[np.ndarray, np.ndarray]]
    prefixes: dict[int, np.ndarray]

    def sums(self, probabilities: np.ndarray) -> dict[int, np.ndarray]:
        return {
            level: np.add.reduceat(probabilities[:, outputs], starts, axis=1)[:, self.prefixes[level]]
            for level, (outputs, starts) in self.outputs.items()
        }


@dataclass(frozen=True)
class Declared:
    """The classes of a table as declared codes; the rest of a prefix (`87*`) is never declared.

    Attributes:
        table: what the outputs stand for.
    """

    table: ClassTable

    @cached_property
    def can_be(self) -> np.ndarray:
        """Bool [C], whether each class can stand on a declaration."""
        return np.array([not label.endswith("*") for label in self.table.labels])

    def mistakes(self, mistake: Mistake) -> np.ndarray:
        """Bool [C, C], whether goods of a class (row) may be declared under another (column)."""
        codes, prefixes = (
            np.unique([label[:digits] for label in self.table.labels], return_inverse=True)[1]
            for digits in (None, mistake.shared)
        )
        return (prefixes[:, None] == prefixes) & (codes[:, None] != codes) & self.can_be

    def sums(self, probabilities: np.ndarray) -> Sums:
        """The summed probabilities of all codes at all levels, from float [n, C] of few cases."""
        exact = probabilities.astype(np.float64)
        return tuple(alike.sums(exact) for alike in self._alike)

    def finest(self, sums: Sums) -> np.ndarray:
        """What each declared code has at its finest level, float32 [n, C]; 0 for what is never declared."""
        return self._side_by_side([of_kind[max(of_kind)] for of_kind in sums], 0.0, np.float32)

    def differs(self, sums: Sums, thresholds: Thresholds) -> np.ndarray:
        """Whether pictures speak against each declared code, bool [n, C]."""
        kinds = []
        for of_kind in sums:
            flat = {level: each.ravel() for level, each in of_kind.items()}
            kinds.append((differs_by_sums(flat, thresholds) > 0).reshape(of_kind[max(of_kind)].shape))
        return self._side_by_side(kinds, False, bool)

    def scores(self, sums: Sums, thresholds: Thresholds) -> np.ndarray:
        """What the thresholds are compared with, float32 [n, C]: the lower, the more a code differs.

        The probability of the declared code; where levels are judged, the least of their shares by their thresholds,
        so that a common factor makes all of them more or less careful.
        """
        return self._side_by_side([_least_share(of_kind, thresholds) for of_kind in sums], np.inf, np.float32)

    def disagree(self, pictures: np.ndarray, card: Card) -> np.ndarray:
        """Whether several pictures of one case disagree on each declared code, so that a night stays unsure.

        Args:
            pictures: float [k, C].
            card: with the thresholds for each kind of mistake.

        Returns:
            Bool [mistakes, C].
        """
        sums = self.sums(pictures)
        most = self.finest(sums).max(axis=0)
        drawn = [thresholds_for(card, mistake) for mistake in Mistake]
        return np.array([self.differs(sums, each).any(axis=0) & (most >= each.agrees_above) for each in drawn])

    def _side_by_side(self, kinds: list[np.ndarray], otherwise: float, dtype: type) -> np.ndarray:
        found: np.ndarray = np.full((len(kinds[0]) if kinds else 0, len(self.table)), otherwise, dtype)
        for alike, of_kind in zip(self._alike, kinds, strict=True):
            found[:, alike.columns] = of_kind
        return found

    @cached_property
    def _alike(self) -> tuple[_SameLevels, ...]:
        by_levels: dict[tuple[int, ...], list[int]] = {}
        for place in np.flatnonzero(self.can_be).tolist():
            levels = tuple(columns_at_levels(HSCode(self.table.labels[place]), self.table))
            by_levels.setdefault(levels, []).append(place)
        return tuple(self._same_levels(np.array(places), levels) for levels, places in by_levels.items())

    def _same_levels(self, places: np.ndarray, levels: tuple[int, ...]) -> _SameLevels:
        outputs, prefixes = {}, {}
        for level in levels:
            written = [self.table.labels[place][:level] for place in places]
            distinct, prefixes[level] = np.unique(written, return_inverse=True)
            columns = [self.table.columns(prefix) for prefix in distinct.tolist()]
            starts = np.cumsum([0, *map(len, columns[:-1])])
            outputs[level] = (np.concatenate(columns), starts)
        return _SameLevels(places, outputs, prefixes)


def thresholds_for(card: Card, mistake: Mistake) -> Thresholds:
    """Those of a card for a kind of mistake; those for wrong codes at random where it has none of its own."""
    return card.thresholds_of(mistake) or card.thresholds


def unheard(probabilities: np.ndarray, thresholds: Thresholds, novelty: np.ndarray) -> np.ndarray:
    """Whether cases are so unlike all that was learned that a night flags none of their codes, bool [n].

    Args:
        probabilities: float [n, C].
        thresholds: where the verdicts part.
        novelty: float [n], NaN where the model is silent.
    """
    novelties = [None if np.isnan(each) else float(each) for each in novelty]
    return np.array(
        [
            shows_unknown(row, novel, thresholds) and abstains(novel, thresholds)
            for row, novel in zip(probabilities, novelties, strict=True)
        ],
        bool,
    )


def parts(rows: int) -> Iterator[slice]:
    """Rows in parts of which everything fits the memory."""
    return (slice(start, start + _ROWS) for start in range(0, rows, _ROWS))


def _least_share(sums: Mapping[int, np.ndarray], thresholds: Thresholds) -> np.ndarray:
    finest = sums[max(sums)]
    rules = [rule for rule in thresholds.levels if rule.differs_below > 0]
    if not rules:
        return finest
    least = np.full(finest.shape, np.inf)
    for rule in rules:
        if rule.digits in sums and (not rule.within or rule.within in sums):
            needed = rule.differs_below * (sums[rule.within] if rule.within else np.ones(finest.shape))
            share = np.divide(sums[rule.digits], needed, out=np.full(finest.shape, np.inf), where=needed > 0)
            least = np.minimum(least, share)
    return least
