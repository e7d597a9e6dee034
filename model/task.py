"""How a long computation tells how far it is, whoever listens."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Task = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""(what is done, of how many) → a context that gives a function to be told how many more were done."""
