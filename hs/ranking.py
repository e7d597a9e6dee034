"""Which findings make the worklist."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
        budget_rows(self.budget, 100)

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
    return min(rows, -int(-float(match[1]) * rows // 100))
