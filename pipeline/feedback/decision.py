"""What an officer decided on a finding: one value, whatever file it came in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hs.codes import HSCode
from pipeline.findings.finding import SourceRow


class Ruling(StrEnum):
    """What an officer says of the declared code."""

    WRONG = "wrong"
    RIGHT = "right"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class Shown:
    """What the page showed of a finding.

    Attributes:
        verdict, reason: of the finding.
        recommended: the codes, best first; perhaps not all of them.
    """

    verdict: str
    reason: str
    recommended: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """A line of a decisions file.

    Attributes:
        place: file and line, for people.
        source: the row that it is on; in a CSV file its name is fit for a spreadsheet.
        declaration_id, item_no: as shown.
        ruling: what was decided.
        correct_code: six digits, where the declared code is wrong and the right one is known.
        note: in the officer's words.
        decided_at: with its zone.
        officer: who decided.
        attempt_id: of the run whose page it was.
        shown: what the page showed; None where the file does not say.
        from_a_sheet: whether the texts were made fit for a spreadsheet.
    """

    place: str
    source: SourceRow
    declaration_id: str | None
    item_no: int | None
    ruling: Ruling
    correct_code: HSCode | None
    note: str
    decided_at: datetime
    officer: str
    attempt_id: str
    shown: Shown | None
    from_a_sheet: bool

    def contradicts(self, other: "Decision") -> bool:
        """Whether two decisions on one finding say different things."""
        return (self.ruling, self.correct_code) != (other.ruling, other.correct_code)
