"""Which pictures are worth a look for rulings that they are like, told while their pixels are still at hand."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from hs.declared_codes import ParsedCode
from hs.precedents import classes_asked_for, likely_listed
from hs.ranking import Draw
from hs.verdicts import Evidence, Judge
from pipeline.job.judge import days_of, may_be_drawn
from pipeline.values import Declarations
from serving.client.client import Answer

_PICTURES_OF_EACH = 2  # the first ones of a declaration
_SHARE = 0.1  # of all pictures; each is shown to the model up to twice more
_BEFORE_SHARE = 200  # pictures for which that does not matter yet


@dataclass(frozen=True)
class Picking:
    """By what pictures are picked.

    Attributes:
        judge: the rules of the verdicts.
        draw: which rows may be drawn at random for the worklist; None for none.
    """

    judge: Judge
    draw: Draw | None = None


class Declared(NamedTuple):
    """What a picture is declared as.

    Attributes:
        code: as read.
        day: of the declaration.
        drawn: whether that may be drawn at random: then it is picked, whatever the picture shows.
    """

    code: ParsedCode
    day: date | None = None
    drawn: bool = False


class Suspects:
    """Picks pictures by the rules of the verdicts, each as if it were its declaration's only one.

    What speaks for the declared code first is none, which spares nearly all of them the rest. However many look wrong,
    no more than a tenth of the pictures are picked, beyond the first two hundred.

    Args:
        picking: by what.
    """

    def __init__(self, picking: Picking) -> None:
        self._judge, self._draw = picking.judge, picking.draw
        self._counting = threading.Lock()
        self._seen = self._picked = 0

    def declared(self, declarations: Declarations) -> list[Declared | None]:
        """What each picture is declared as; None for those that are not looked at."""
        written = declarations.columns.column("declared_hs_code").to_pylist()
        found: list[Declared | None] = []
        days, counts = days_of(declarations, self._judge), declarations.picture_counts.tolist()
        for row, (code, day, count) in enumerate(zip(written, days, counts, strict=True)):
            looked_at = min(count, _PICTURES_OF_EACH)
            mine = Declared(self._judge.read(code), day, may_be_drawn(declarations, row, self._draw))
            found += [mine] * looked_at + [None] * (count - looked_at)
        return found

    def pick(self, declared: Sequence[Declared | None], answer: Answer) -> list[tuple[int, str]]:
        """Rows of an answer, each with a class to look for, the recommended and the declared one.

        Args:
            declared: of each row.
            answer: what the model said.
        """
        picked = []
        for row, code in enumerate(declared):
            self._count(seen=1)
            classes = self.classes(code, answer.probabilities[row], float(answer.novelty[row]))
            if classes and self._count(picked=1):
                picked += [(row, hs_code) for hs_code in classes]
        return picked

    def classes(self, written: Declared | None, probabilities: np.ndarray, novelty: float) -> tuple[str, ...]:
        """The classes to look for beside a picture, float [C]; none where its declaration is not likely listed."""
        declared, day, drawn = written or Declared(ParsedCode(None))
        if declared.code is None or np.isnan(probabilities[0]):
            return ()
        table = self._judge.table_on(day)
        if not drawn and int(np.argmax(probabilities)) in table.columns(declared.code.digits):
            return ()
        novelties = None if np.isnan(novelty) else np.array([novelty])
        judgement = self._judge(declared, Evidence(1, 1, probabilities[None], novelties), day)
        if not judgement.recommendations or not (drawn or likely_listed(judgement)):
            return ()
        return classes_asked_for(judgement, declared.code, probabilities, table)

    @property
    def may_pick(self) -> bool:
        """Whether the share is not used up."""
        return self._picked < _BEFORE_SHARE + _SHARE * self._seen

    def _count(self, seen: int = 0, picked: int = 0) -> bool:
        with self._counting:
            self._seen += seen
            if picked and not self.may_pick:
                return False
            self._picked += picked
            return True
