"""Pictures of cases that a page shows, read again from where the cases lie: few of them, small, each with its id.

predictions ──► which cases ──► the cases, in one pass ──► thumbnails by the audit's decoder
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hs.pictures.decoding import Picture, PictureLimits
from hs.pictures.shrinking import Shrunk, shrink
from hs.proportions import Rate
from model.cases.reading import Case, Cases
from model.evaluation.summary import Evaluation
from model.exported.predictions import Predictions

_MOST_CELLS, _MOST_OF_A_CELL = 12, 4
_LIMITS = PictureLimits()
_ROOM_BYTES = 12_000  # of JPEG: a page shows some fifty
_SIDES = (160, 320)


@dataclass(frozen=True)
class ShownCase:
    """A case as a page shows it.

    Attributes:
        case_id: as written, by strangers.
        picture: the first that can be read; None where none can any more.
        pictures: how many the case has.
    """

    case_id: str
    picture: Shrunk | None
    pictures: int


@dataclass(frozen=True)
class Mistaken:
    """A case under a wrong code.

    Attributes:
        case: to show.
        of_true, of_recommended: probabilities.
    """

    case: ShownCase
    of_true: float
    of_recommended: float


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix beside its diagonal.

    Attributes:
        true, recommended: classes.
        share: of the cases of the true class.
        mistaken: some of its cases, the surest of the wrong code first.
    """

    true: str
    recommended: str
    share: Rate
    mistaken: tuple[Mistaken, ...]


def error_gallery(cases: Cases, said: Predictions, evaluation: Evaluation) -> tuple[Cell, ...]:
    """The largest cells of a confusion matrix beside its diagonal, with pictures.

    Args:
        cases: that were classified.
        said: what was said of those that `evaluation` measures.
        evaluation: whose matrix it is.
    """
    cells = evaluation.confusions(_MOST_CELLS)
    column = {label: number for number, label in enumerate(said.table.labels)}
    first = said.probabilities.argmax(axis=1)
    rows = {}
    for true, recommended, _ in cells:
        there = np.flatnonzero((said.labels == column[true]) & (first == column[recommended]))
        surest = np.argsort(-said.probabilities[there, column[recommended]], kind="stable")
        rows[true, recommended] = there[surest][:_MOST_OF_A_CELL].tolist()
    shown = shown_cases(cases, {int(said.numbers[row]) for some in rows.values() for row in some})
    return tuple(
        Cell(true, recommended, share, tuple(
            Mistaken(
                shown[int(said.numbers[row])],
                float(said.probabilities[row, column[true]]),
                float(said.probabilities[row, column[recommended]]),
            )
            for row in rows[true, recommended]
        ))
        for true, recommended, share in cells
    )  # fmt: skip


def shown_cases(cases: Cases, numbers: Collection[int]) -> dict[int, ShownCase]:
    """Cases by their positions, from one pass that ends behind the last of them."""
    wanted = enumerate(islice(cases, max(numbers, default=-1) + 1))
    return {number: _shown(case) for number, case in wanted if number in numbers}


def _shown(case: Case) -> ShownCase:
    return ShownCase(case.case_id, next(_readable(case), None), len(case.pictures))


def _readable(case: Case) -> Iterator[Shrunk]:
    for _, read in case.pictures:
        shrunk = shrink(read(), _LIMITS, _ROOM_BYTES, _SIDES)
        if not isinstance(shrunk, Picture):
            yield shrunk
