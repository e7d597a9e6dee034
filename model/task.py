"""How a long computation tells how far it is, whoever listens."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Advance(Protocol):
    """Is told how many more were done; the first time, how many were done by an earlier try."""

    def __call__(self, count: int, pictures: int = 0) -> None:
        """Tells it.

        Args:
            count: of what the whole is counted in.
            pictures: that were looked at for it.
        """


Task = Callable[[str, int], AbstractContextManager[Advance]]
"""(what is done, of how many) → a context that gives a function to be told how many more were done."""
