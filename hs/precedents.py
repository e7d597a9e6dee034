"""Rulings beside a finding: for which findings to look for them, and which of them are shown. Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.text import excerpt
from hs.verdicts import Judgement, Reason, Verdict

MOST_RECOMMENDED = 3  # for the code that is recommended
MOST_DECLARED = 2  # for the one that is declared
MOST_ID_CHARACTERS = 100
LISTED_ABOVE = 0.5  # a risk; what is flagged has more, and few nights have officers for what has less


@dataclass(frozen=True, slots=True)
class Precedent:
    """A ruling that a picture is like.

    Attributes:
        case_id: as the cases have it, printable.
        hs_code: what customs decided: a class of the model, which may be the rest of a prefix, `87*`.
        similarity: of the two pictures, -1 to 1.
    """

    case_id: str
    hs_code: str
    similarity: float


def shown_id(case_id: str) -> str:
    r"""The id of a case as findings have it: printable, and not long.

    >>> shown_id("KR-1\n2024")
    'KR-1\\n2024'
    """
    return excerpt(case_id, MOST_ID_CHARACTERS)


def likely_listed(judgement: Judgement) -> bool:
    """Whether a declaration, judged so, is likely to be on the worklist: flagged, or more likely wrong than right.

    >>> likely_listed(Judgement(Reason.DIFFERS)), likely_listed(Judgement(Reason.LOW_CONFIDENCE, risk=0.4))
    (True, False)
    """
    flagged = judgement.verdict is Verdict.DIFFERS or judgement.reason is Reason.SURE_OF_OTHERS
    return flagged or (judgement.risk is not None and judgement.risk > LISTED_ABOVE)


def classes_asked_for(
    judgement: Judgement, declared: HSCode | None, probabilities: np.ndarray, table: ClassTable
) -> tuple[str, ...]:
    """The classes whose rulings are to be found: the recommended one, and the most likely of those declared.

    Args:
        judgement: on a picture.
        declared: code.
        probabilities: float [C], of the picture.
        table: what they are of.
    """
    recommended = table.labels_of(judgement.recommendations[0].code)
    likely = [column for column, label in enumerate(table.labels) if label in recommended]
    of_declared = [column for column in _declared(declared, table) if table.labels[column] not in recommended]
    best = [sorted(columns, key=lambda column: -probabilities[column])[:1] for columns in (likely, of_declared)]
    return tuple(table.labels[column] for columns in best for column in columns)


def shown_beside(
    found: Iterable[Precedent], judgement: Judgement, declared: HSCode | None, table: ClassTable
) -> list[Precedent]:
    """Of the rulings found for the pictures of a declaration those that are shown: each case once, the nearest first.

    Those for the recommended code come first, at most three, then those for the declared code, at most two.
    """
    recommended = table.labels_of(judgement.recommendations[0].code)
    others = {table.labels[column] for column in _declared(declared, table)} - recommended
    # Rounded, as the last bits of a similarity depend on what a server merged a request with.
    nearest = sorted(found, key=lambda one: (-round(one.similarity, 4), one.case_id))
    first_of = {(one.case_id, one.hs_code): one for one in reversed(nearest)}
    once = [one for one in nearest if first_of[one.case_id, one.hs_code] is one]
    return [
        *[one for one in once if one.hs_code in recommended][:MOST_RECOMMENDED],
        *[one for one in once if one.hs_code in others][:MOST_DECLARED],
    ]


def _declared(code: HSCode | None, table: ClassTable) -> list[int]:
    return [] if code is None else table.columns(code.digits).tolist()
