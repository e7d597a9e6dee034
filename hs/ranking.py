"""Which findings make the worklist, in which order, and which of them are one case."""

import hashlib
import math
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from hs.verdicts import Reason


class By(StrEnum):
    """What ranks the findings."""

    RISK = "risk"
    REVENUE = "revenue"


@dataclass(frozen=True)
class Selection:
    """Which findings to choose.

    Attributes:
        budget: `200`, or a share of the night such as `5%`.
        by: what ranks them.
        per_office: whether each office has the budget of its own.
        random_share: share of the budget that is drawn at random, 0 to 1.
        seed: of the draw.
        rates: digits of a code or prefix → duty in percent.
    """

    budget: str
    by: By = By.RISK
    per_office: bool = False
    random_share: float = 0.0
    seed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share must be in [0, 1], got {self.random_share}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed must be a whole number from 0, got {self.seed}")
        budget_rows(self.budget, 100)  # one that cannot be read is refused now, not after the night

    def rows(self, of: int) -> int:
        """How many of so many findings."""
        return budget_rows(self.budget, of)

    def drawn(self, of: int) -> int:
        """How many of so many findings are drawn at random: the share of the budget, and one at least."""
        budget = self.rows(of)
        return min(budget, max(1, round(budget * self.random_share))) if self.random_share else 0


def budget_rows(budget: str, rows: int) -> int:
    """How many of `rows` a budget covers: `200`, or `5%`, rounded up.

    >>> budget_rows("5%", 296), budget_rows("200", 296)
    (15, 200)

    Raises:
        ValueError: if the budget is neither.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%|([0-9]+)", budget.strip())
    if not match or (match[1] and float(match[1]) > 100):
        raise ValueError(f"a budget is a number of declarations such as 200, or a share such as 5%, got {budget!r}")
    if match[2]:
        return min(int(match[2]), rows)
    return min(rows, -int(-float(match[1]) * rows // 100))  # floor of the negative: rounded up


def share_of(written: str) -> float:
    """A share as people write it.

    >>> share_of("5%"), share_of("0.05")
    (0.05, 0.05)

    Raises:
        ValueError: if it is no number.
    """
    try:
        return float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"a share is written 5% or 0.05, got {written!r}") from None


class Place(NamedTuple):
    """Where a finding stands.

    Attributes:
        tier: the lowest first.
        score: within the tier, the highest first.
    """

    tier: int
    score: float


def place(
    mismatch: bool,
    reason: str,
    risk: float | None,
    best_probability: float | None,
    revenue: float | None,
    shares_picture: bool = False,
) -> Place | None:
    """Those with a known stake first, then those that differ, the lanes of unknown codes and shared pictures, the rest.

    >>> place(True, "differs", 0.9, 0.8, None), place(False, "sure_of_others", None, 0.95, None)
    (Place(tier=1, score=0.9), Place(tier=2, score=0.95))
    >>> place(False, "no_picture", None, None, None) is None
    True

    Args:
        mismatch: whether the finding differs.
        reason: of the finding.
        risk: probability that the declared code is wrong; None where nothing can be judged.
        best_probability: of the first recommended code; None without one.
        revenue: at stake, where that ranks the findings; None where it does not, or is unknown.
        shares_picture: whether the same picture stands under another code.

    Returns:
        None for what cannot be judged: it is opened only where it is drawn at random.
    """
    if revenue is not None:
        return Place(0, revenue)
    if mismatch:
        return Place(1, risk or 0.0)
    if reason == Reason.SURE_OF_OTHERS:
        return Place(2, best_probability or 0.0)
    if shares_picture:
        return Place(3, risk or 0.0)
    return None if risk is None else Place(4, risk)


def draw_number(seed: int, file: str, row_group: int, row: int) -> int:
    """A number from 0 to 2**64 - 1 for a row of the archive; the rows with the lowest ones are drawn.

    It is a hash, so the draw does not depend on the order in which rows are read.
    """
    key = f"{file}\0{row_group}\0{row}".encode()  # no name of a file holds a \0, so no two rows have one key
    return int.from_bytes(hashlib.blake2b(key, digest_size=8, key=seed.to_bytes(8, "little")).digest(), "little")


@dataclass(frozen=True)
class Draw:
    """Which rows of a night are likely drawn at random, told before the night is over.

    Attributes:
        seed: of the draw.
        below: a row with a lower number may be drawn.
    """

    seed: int
    below: int

    @classmethod
    def expected(cls, selection: Selection, rows: int) -> "Draw | None":
        """That of a selection from so many rows; None where nothing is drawn, or each office draws from its own.

        The k-th lowest of n numbers is near k/n of their range, give or take the root of k: four of these and four more
        rows leave one in ten thousand out.

        >>> draw = Draw.expected(Selection("5%", random_share=0.1), 10_000)
        >>> round(draw.below / 2**64, 5)
        0.00823
        """
        drawn = 0 if selection.per_office else selection.drawn(rows)
        if not drawn:
            return None
        return cls(selection.seed, round(2**64 * min(1.0, (drawn + 4 * math.sqrt(drawn) + 4) / rows)))

    def may_take(self, file: str, row_group: int, row: int) -> bool:
        """Whether a row may be drawn."""
        return draw_number(self.seed, file, row_group, row) < self.below


def case_numbers(lines: Iterable[Iterable[Hashable]]) -> list[int]:
    """The case that each line of a worklist belongs to: the rank of its first line.

    >>> case_numbers([["A", "picture 1"], ["B"], ["picture 1", "picture 2"], ["picture 2"], []])
    [1, 2, 1, 1, 5]

    Args:
        lines: what each line has in common with others of its case, best line first.
    """
    first_with: dict[Hashable, int] = {}
    case_of: list[int] = []  # by rank, of each line an earlier one of its case, or itself

    def first(line: int) -> int:
        while case_of[line] != line:
            line = case_of[line]
        return line

    for rank, keys in enumerate(lines):
        case_of.append(rank)
        for key in keys:
            one, other = sorted((first(first_with.setdefault(key, rank)), first(rank)))
            case_of[other] = one
    return [first(rank) + 1 for rank in range(len(case_of))]
