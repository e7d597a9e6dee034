"""What is at stake for the treasury where a declared code is wrong."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Stake:
    """What a wrong code would move.

    Attributes:
        duty_difference: rate of the recommended code less that of the declared one, in percentage points; above 0 too
            little was declared, below 0 too much.
        revenue: risk x customs value x the difference, whichever way it goes, in the currency of the value.
    """

    duty_difference: float
    revenue: float


def stake(
    risk: float | None,
    value: float | None,
    declared: str | None,
    declared_rate: float | None,
    recommended: Sequence[str],
    rates: Mapping[str, float],
) -> Stake | None:
    """The revenue at stake, against the most probable code that is not the declared one.

    >>> stake(0.5, 2000.0, "080810", None, ["080810", "080830"], {"080810": 45.0, "0808": 25.0})
    Stake(duty_difference=-20.0, revenue=200.0)

    Args:
        risk: probability that the declared code is wrong.
        value: customs value.
        declared: digits of the declared code.
        declared_rate: percent, as the declaration says; None: as the table says.
        recommended: digits of the recommended codes, best first.
        rates: digits of a code or a prefix → percent.

    Returns:
        None where the risk, the value or one of the rates is missing.
    """
    if risk is None or value is None or declared is None:
        return None
    # A coarser or finer code of the same goods is no other one.
    other = next(
        (code for code in recommended if not declared.startswith(code) and not code.startswith(declared)), None
    )
    before = declared_rate if declared_rate is not None else rate_of(declared, rates)
    after = rate_of(other, rates) if other else before
    if before is None or after is None:
        return None
    return Stake(after - before, risk * value * abs(after - before) / 100)


def rate_of(code: str, rates: Mapping[str, float]) -> float | None:
    """The rate of the longest prefix that has one.

    >>> rate_of("0808100000", {"0808": 25.0, "080810": 45.0}), rate_of("0809", {"0808": 25.0})
    (45.0, None)
    """
    for level in range(len(code), 0, -2):
        if code[:level] in rates:
            return rates[code[:level]]
    return None


def number(written: object) -> float | None:
    """A value or a rate as archives hold them; None for text, and for what no value or rate can be.

    >>> number(Decimal("12.5")), number(float("nan")), number("12.5")
    (12.5, None, None)
    """
    if isinstance(written, (int, float, Decimal)) and math.isfinite(written) and written >= 0:
        return float(written)
    return None
