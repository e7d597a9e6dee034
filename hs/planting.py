"""Planted lies: which declarations get other codes behind the scenes, and which codes these are."""

from collections.abc import Mapping, Sequence
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
        related = {code for mine in own for code in (*mine.prefixes(), *table.under(mine.digits))}
        planted = {}
        for mistake in Mistake:
            shared = sorted({mine.digits[: mistake.shared] for mine in own if mine.level >= mistake.shared})
            wrong = [code for prefix in shared for code in table.under(prefix) if code not in related]
            if mistake is not Mistake.AT_RANDOM:
                wrong = self._duty_lowering(own[0].digits, wrong) or wrong
            if wrong:
                number = draw_number(self.seed, f"{mistake}\0{file}", row_group, row)
                planted[mistake] = HSCode(wrong[number % len(wrong)])
        return planted

    def _duty_lowering(self, declared: str, others: list[str]) -> list[str]:
        before = rate_of(declared, self.rates)
        if before is None:
            return []
        after = ((rate_of(code, self.rates), code) for code in others)
        return [code for rate, code in after if rate is not None and rate < before]
