"""HS codes: chapter 2 digits, heading 4, subheading 6 (the same worldwide), national digits to 8 or 10."""

import re
from dataclasses import dataclass
from functools import lru_cache

LEVELS = (2, 4, 6, 8, 10)

_SHAPE = re.compile(r"[0-9]{2}(?:[0-9]{2}){0,4}")


@dataclass(frozen=True, order=True)
class HSCode:
    """An HS code of 2 to 10 digits, always an even number of them.

    >>> HSCode("8708290000").at(6)
    HSCode(digits='870829')
    >>> str(HSCode("8708290000"))
    '8708.29.0000'
    """

    digits: str

    def __post_init__(self) -> None:
        if not _SHAPE.fullmatch(self.digits):
            raise ValueError(f"an HS code has 2, 4, 6, 8 or 10 digits, got {self.digits!r}")

    @property
    def level(self) -> int:
        """How many digits this code has."""
        return len(self.digits)

    def at(self, level: int) -> "HSCode | None":
        """This code cut to `level` digits, or None where it is not that deep."""
        return HSCode(self.digits[:level]) if len(self.digits) >= level else None

    def prefixes(self) -> tuple[str, ...]:
        """The digits of this code at each of its levels, coarsest first.

        >>> HSCode("870829").prefixes()
        ('87', '8708', '870829')
        """
        return _prefixes(self.digits)

    def __str__(self) -> str:
        parts = (self.digits[:4], self.digits[4:6], self.digits[6:])
        return ".".join(part for part in parts if part)


def may_be_one(digits: str, others: str) -> bool:
    """Whether two codes, or prefixes, can stand for the same goods: one of them is the other or lies under it.

    >>> may_be_one("870829", "8708290000"), may_be_one("870829", "870830")
    (True, False)
    """
    return digits.startswith(others) or others.startswith(digits)


@lru_cache(maxsize=65536)
def _prefixes(digits: str) -> tuple[str, ...]:
    return tuple(digits[:level] for level in LEVELS if level <= len(digits))
