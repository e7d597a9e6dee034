"""Which cases of one set have a picture that stands in another: what learned from it cannot be measured on it."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings Arrow along
    from model.cases.reading import Cases

LEARNED_FROM = "learned_from.txt"
_HEX_DIGITS = 16  # of a SHA-256: of a million pictures against a million no two have them in common by chance


def pictures_of(cases: "Cases", advance: Callable[[int], None]) -> Iterator[frozenset[str]]:
    """Of each case, names of its pictures by their bytes; none is decoded.

    Args:
        cases: to be read.
        advance: is told how many were.
    """
    for case in cases:
        yield frozenset(_name_of(read()) for _, read in case.pictures)
        advance(1)


def _name_of(encoded: bytes) -> str:
    return hashlib.sha256(encoded).hexdigest()[:_HEX_DIGITS]


def sharing(of_cases: Iterable[frozenset[str]], others: Collection[str]) -> list[int]:
    """The positions of cases that have a picture among others, by names of pictures.

    >>> sharing([frozenset("ab"), frozenset("c")], {"b"})
    [0]
    """
    return [number for number, names in enumerate(of_cases) if not names.isdisjoint(others)]


def as_text(names: Iterable[str]) -> str:
    """Names of pictures for `assets.extra`, a line each, sorted."""
    return "".join(f"{name}\n" for name in sorted(names))


def learned_from(version: Path) -> frozenset[str] | None:
    """Names of the pictures that an exported version learned from; None where it does not tell."""
    try:
        return frozenset((version / "assets.extra" / LEARNED_FROM).read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
