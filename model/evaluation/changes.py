"""What changed between two models on the same cases: figures, codes, and the cases that one alone has right."""

from dataclasses import dataclass

import numpy as np

from hs.codes import LEVELS
from model.cases.reading import Cases
from model.evaluation.gallery import ShownCase, shown_cases
from model.evaluation.metrics import summed_up
from model.evaluation.paired import Difference, Paired, compare, difference_of_shares
from model.exported.predictions import Predictions

MOST_PICTURES = 24  # each way


@dataclass(frozen=True)
class OfCode:
    """How the cases of one code fare with both models.

    Attributes:
        label: the code.
        cases: how many there are.
        first, second: how many each model has right.
        only_first, only_second: how many one alone has right.
        difference: of the second model's share and the first's.
    """

    label: str
    cases: int
    first: int
    second: int
    only_first: int
    only_second: int
    difference: Difference


@dataclass(frozen=True)
class Answer:
    """What a model says of a case: its first code, how probable that is, and how probable the true one."""

    recommended: str
    of_recommended: float
    of_true: float


@dataclass(frozen=True)
class Moved:
    """A case that one model alone has right.

    Attributes:
        number: position in its file.
        true: its code.
        first, second: what each model says.
    """

    number: int
    true: str
    first: Answer
    second: Answer

    @property
    def by(self) -> float:
        """How much more probable the true code is to the second model."""
        return self.second.of_true - self.first.of_true


@dataclass(frozen=True)
class Changes:
    """Two models on the cases whose codes both know.

    Attributes:
        paired: over all of them.
        levels: digits → difference of the shares whose first prefix is right.
        codes: of each code with cases, the largest loss first.
        won, lost: cases that the second model alone has right, or the first; the largest change of the probability of
            the true code first.
    """

    paired: Paired
    levels: dict[int, Difference]
    codes: tuple[OfCode, ...]
    won: tuple[Moved, ...]
    lost: tuple[Moved, ...]

    @property
    def changed_codes(self) -> tuple[OfCode, ...]:
        """Codes of which one model alone has some right."""
        return tuple(one for one in self.codes if one.only_first or one.only_second)


@dataclass(frozen=True)
class _Common:
    """Both models on the same cases, row by row."""

    first: Predictions
    second: Predictions

    @property
    def groups(self) -> np.ndarray:
        return np.unique(np.array(self.first.sources), return_inverse=True)[1]

    def answers(self, row: int) -> tuple[Answer, Answer]:
        return _answer(self.first, row), _answer(self.second, row)


def what_changed(first: Predictions, second: Predictions) -> Changes | None:
    """Compares two models code by code and case by case; None where they have no case in common.

    Args:
        first: what one says of cases.
        second: what the other says of the same cases, of which it may know more or fewer.
    """
    paired = compare(second, first)
    if paired is None:
        return None
    common = _Common(
        first.only(np.isin(first.numbers, second.numbers)), second.only(np.isin(second.numbers, first.numbers))
    )
    was_right, right = (said.probabilities.argmax(axis=1) == said.labels for said in (common.first, common.second))
    moved = [
        Moved(int(common.first.numbers[row]), common.first.truth[row], *common.answers(row))
        for row in np.flatnonzero(was_right != right).tolist()
    ]
    lost = [one for one in moved if one.first.recommended == one.true]
    won = [one for one in moved if one.second.recommended == one.true]
    return Changes(
        paired,
        _by_level(common),
        _by_code(common, was_right, right),
        tuple(sorted(won, key=lambda one: -one.by)),
        tuple(sorted(lost, key=lambda one: one.by)),
    )


def pictures_of_changes(cases: Cases, changes: Changes) -> dict[int, ShownCase]:
    """Pictures of the first cases that one model alone has right, both ways, by their numbers."""
    shown = (*changes.won[:MOST_PICTURES], *changes.lost[:MOST_PICTURES])
    return shown_cases(cases, {one.number for one in shown})


def _answer(said: Predictions, row: int) -> Answer:
    probabilities = said.probabilities[row]
    best = int(probabilities.argmax())
    return Answer(said.table.labels[best], float(probabilities[best]), float(probabilities[said.labels[row]]))


def _by_level(common: _Common) -> dict[int, Difference]:
    found = {}
    for level in reversed(LEVELS):
        deep = np.array([len(label.rstrip("*")) >= level for label in common.first.truth])
        if deep.any():
            was_right, right = (_right_at(said.only(deep), level) for said in (common.first, common.second))
            groups = np.unique(common.groups[deep], return_inverse=True)[1]
            found[level] = difference_of_shares(right, was_right, groups)
    return found


def _right_at(said: Predictions, level: int) -> np.ndarray:
    """Whether the most probable prefix of so many digits is the true one, bool [N]."""
    prefixes = said.table.prefixes(level)
    best = summed_up(said.probabilities, said.table, level).argmax(axis=1).tolist()
    return np.array([prefixes[place] == label[:level] for place, label in zip(best, said.truth, strict=True)])


def _by_code(common: _Common, was_right: np.ndarray, right: np.ndarray) -> tuple[OfCode, ...]:
    truth, groups = np.array(common.first.truth), common.groups
    found = []
    for label in sorted(set(common.first.truth)):
        there = truth == label
        old, new = was_right[there], right[there]
        own = np.unique(groups[there], return_inverse=True)[1]
        found.append(
            OfCode(
                label,
                int(there.sum()),
                int(old.sum()),
                int(new.sum()),
                int((old & ~new).sum()),
                int((new & ~old).sum()),
                difference_of_shares(new, old, own),
            )
        )
    return tuple(sorted(found, key=lambda one: one.difference.mean))
