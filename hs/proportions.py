"""Shares with what is known of them."""

import math
from dataclasses import dataclass

_NINETY_FIVE = 1.959964


@dataclass(frozen=True)
class Rate:
    """How many of how many.

    >>> Rate(3, 4).share, Rate(0, 0).share
    (0.75, None)
    """

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """Hits by `of`, None where there is nothing to count."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927), which holds for few cases and for shares near 0 and 1.

        >>> tuple(round(end, 3) for end in Rate(18, 21).interval), Rate(0, 0).interval
        ((0.654, 0.95), (0.0, 1.0))
        """
        if not self.of:
            return 0.0, 1.0
        z2, p = _NINETY_FIVE**2, self.hits / self.of
        middle = p + z2 / (2 * self.of)
        half = _NINETY_FIVE * math.sqrt(p * (1 - p) / self.of + z2 / (4 * self.of**2))
        return max(0.0, (middle - half) / (1 + z2 / self.of)), min(1.0, (middle + half) / (1 + z2 / self.of))

    def __str__(self) -> str:
        return f"{self.hits} of {self.of}" + (f" ({self.share:.3f})" if self.of else "")
