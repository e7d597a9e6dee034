"""Planted lies: which declarations get other codes behind the scenes, and which codes these are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.ranking import draw_number
from hs.revenue import rate_of


@dataclass(frozen=True)
class Planting:
    """Draws declarations, and for each a wrong code of every kind of mistake.

    Both are hashes of the seed and the source row: the same night has the same lies, whoever reads it in what order.

    Attributes:
        seed: of the draw.
        below: a row with a lower number is drawn.
        rates: digits of a code or prefix → duty in percent; neighbours are those that lower the duty, where there are.
    """

    seed: int
    below: int
    rates: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def expected(cls, sample: int, rows: int, seed: int, rates: Mapping[str, float]) -> "Planting | None":
        """That of about `sample` rows of so many; None where nothing is planted.

        >>> Planting.expected(500, 2000, 0, {}).below / 2**64
        0.25
        """
        if not sample or not rows:
            return None
        return cls(seed, round(2**64 * min(1.0, sample / rows)), rates)

    def takes(self, file: str, row_group: int, row: int) -> bool:
        """Whether a row is drawn."""
        return draw_number(self.seed, file, row_group, row) < self.below

    def codes(
        self, own: Sequence[HSCode], table: ClassTable, file: str, row_group: int, row: int
    ) -> dict[Mistake, HSCode]:
        """Kind → the code that is planted, for the kinds that the classes allow.

        Args:
            own: the declared code, and those that it stands for in the edition of the classes.
            table: the classes; only what they know is planted.
            file: of the declaration; with the next two, where it stands in the archive.
            row_group: in the file.
            row: in the row group.
        """
        others = [code for code in table.codes if not any(_may_be_one(code, mine) for mine in own)]
        planted = {}
        for mistake in Mistake:
            shared = {mine.digits[: mistake.shared] for mine in own if mine.level >= mistake.shared}
            wrong = [code for code in others if code.digits[: mistake.shared] in shared]
            if mistake.shared:
                wrong = self._duty_lowering(own, wrong) or wrong
            if wrong:
                planted[mistake] = wrong[draw_number(self.seed, f"{mistake}\0{file}", row_group, row) % len(wrong)]
        return planted

    def _duty_lowering(self, own: Sequence[HSCode], others: Iterable[HSCode]) -> list[HSCode]:
        before = rate_of(own[0].digits, self.rates)
        if before is None:
            return []
        after = [(rate_of(code.digits, self.rates), code) for code in others]
        return [code for rate, code in after if rate is not None and rate < before]


def _may_be_one(code: HSCode, other: HSCode) -> bool:
    return code.digits.startswith(other.digits) or other.digits.startswith(code.digits)
