"""Editions of the nomenclature: which one is in force on a date, and what a code of another edition stands for there.

declared code, date ──► Nomenclature.standing ──► in force: itself; else its successors; what it was elsewhere
"""

import pickle
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from hs.codes import HSCode
from hs.correlations import Correlations
from hs.nomenclature import HS_EDITION, descriptions

BUILT_IN_FROM = date(2022, 1, 1)
SUBHEADING = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """A code of an edition; both days are in force."""

    description: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, eq=False)
class Edition:
    """One edition of the nomenclature, with the national codes under it where an administration brings them.

    Attributes:
        name: such as `HS 2017`.
        begins, ends: first and last day in force.
        entries: digits → its entry, of 6 to 10 digits; None for HS 2022 as built in.
    """

    name: str
    begins: date
    ends: date
    entries: Mapping[str, Entry] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What travels to workers: not the indices, of which that of HS 2022 has 7,000 entries."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def has(self, digits: str) -> bool:
        """Whether a code is in this edition, on whatever day.

        What lies under a code that the edition divides no further is not checked: a table of subheadings knows all
        national codes under them.
        """
        return self._listed(digits) is not None

    def in_force(self, digits: str, day: date) -> bool:
        """Whether a code is in force on a day."""
        listed = self._listed(digits)
        if listed is None:
            return False
        first, last = self._days[listed]
        return first <= day <= last

    def ended(self, digits: str, day: date) -> bool:
        """Whether a code was in force before a day, and no longer is."""
        listed = self._listed(digits)
        return listed is not None and self._days[listed][1] < day

    def description(self, digits: str) -> str | None:
        """What the most detailed code that a code lies at or under is called; None where the edition does not say."""
        if self.entries is None:
            return descriptions().get(digits[:SUBHEADING])
        for level in range(len(digits), SUBHEADING - 1, -2):
            if digits[:level] in self.entries:
                return self.entries[digits[:level]].description or None
        # Its tables have no headings; of what it has in common with what is built in, that says enough.
        of_all = len(digits) < SUBHEADING or self.name == HS_EDITION
        return descriptions().get(digits[:SUBHEADING]) if of_all else None

    def descriptions(self) -> dict[str, str]:
        """Chapters, headings and subheadings with what they are called, as far as the edition says."""
        if self.entries is None:
            return descriptions()
        return {digits: self.description(digits) or "" for digits in self._days if len(digits) <= SUBHEADING}

    def longest(self, digits: str, holds: Callable[[str], bool]) -> str | None:
        """A code, or the longest part of it down to the subheading, for which something holds; None where none does."""
        levels = range(len(digits), min(len(digits), SUBHEADING) - 1, -2)
        return next((digits[:level] for level in levels if holds(digits[:level])), None)

    def _listed(self, digits: str) -> str | None:
        """The code itself where something is listed at or under it; else the undivided one that it lies under."""
        if digits in self._days:
            return digits
        above = (digits[:level] for level in range(len(digits) - 2, SUBHEADING - 1, -2))
        found = next((prefix for prefix in above if prefix in self._days), None)
        return None if found in self._divided else found

    @cached_property
    def _days(self) -> dict[str, tuple[date, date]]:
        """Each code and prefix → first and last day of what is listed at or under it."""
        if self.entries is None:
            return dict.fromkeys(descriptions(), (self.begins, self.ends))
        days: dict[str, tuple[date, date]] = {}
        for digits, entry in self.entries.items():
            for prefix in HSCode(digits).prefixes():
                first, last = days.get(prefix, (entry.valid_from, entry.valid_to))
                days[prefix] = (min(first, entry.valid_from), max(last, entry.valid_to))
        return days

    @cached_property
    def _divided(self) -> frozenset[str]:
        """What has codes under it."""
        return frozenset(digits[:-2] for digits in self._days)


@dataclass(frozen=True)
class Standing:
    """What a declared code is on the date of its declaration.

    Attributes:
        edition: in force on that date.
        known_in: the edition that has the code: the one in force where that has it, else the nearest; None for none.
        in_force: whether it is in force.
        existed: whether it was in force before.
        codes: what it stands for in the edition in force: itself, or its successors; none where they are not known.
        elsewhere: the codes in force that it is the number of in other editions, with the edition.
    """

    edition: str
    known_in: str | None
    in_force: bool
    existed: bool
    codes: tuple[str, ...]
    elsewhere: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, eq=False)
class Nomenclature:
    """Editions, the earliest first, and how their codes are linked.

    >>> BUILT_IN.standing(HSCode("870829"), date(1999, 1, 1)).in_force  # one edition alone is that of all times
    True
    """

    editions: tuple[Edition, ...]
    correlations: Correlations = field(default_factory=Correlations)

    def __post_init__(self) -> None:
        if not self.editions:
            raise ValueError("a nomenclature has at least one edition, got none")

    def __reduce__(self) -> Any:
        """Packed once, for all steps of a run that are given it: thousands of entries take a tenth of a second."""
        return _unpacked, (self._packed,)

    @cached_property
    def _packed(self) -> bytes:
        return zlib.compress(pickle.dumps((self.editions, self.correlations)))

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {edition.name: place for place, edition in enumerate(self.editions)}

    def __contains__(self, edition: str) -> bool:
        return edition in self._by_name

    @property
    def is_built_in(self) -> bool:
        """Whether no table of an edition was given."""
        return all(edition.entries is None for edition in self.editions)

    def edition(self, name: str) -> Edition:
        """The edition of that name."""
        return self.editions[self._by_name[name]]

    def on(self, day: date) -> Edition:
        """The edition in force on a day; before the earliest, that one."""
        return next((edition for edition in reversed(self.editions) if edition.begins <= day), self.editions[0])

    def has(self, digits: str) -> bool:
        """Whether any edition has a code."""
        return any(edition.has(digits) for edition in self.editions)

    def description(self, code: HSCode, edition: str | None = None) -> str | None:
        """What an edition, else the latest that has it, calls a code; None where it does not say."""
        if edition is not None:
            return self.edition(edition).description(code.digits)
        has = (each for each in reversed(self.editions) if each.has(code.digits))
        return next((each.description(code.digits) for each in has), None)

    def descriptions(self, day: date) -> dict[str, str]:
        """Chapters, headings and subheadings of all editions; of a code in several the one in force on a day counts."""
        found: dict[str, str] = {}
        for edition in (*self.editions, self.on(day)):
            found |= edition.descriptions()
        return found

    def standing(self, code: HSCode, day: date) -> Standing:
        """What a code is on a day."""
        edition, digits = self.on(day), code.digits
        day = max(day, edition.begins)
        others = [other for other in self._nearest_first(edition) if other.has(digits)]
        if edition.in_force(digits, day):
            elsewhere: dict[tuple[str, ...], str] = {}
            for other in others:  # of several that say the same, the nearest
                elsewhere.setdefault(self.successors(digits, other.name, edition.name, day), other.name)
            read = tuple((name, codes) for codes, name in elsewhere.items() if codes not in ((), (digits,)))
            return Standing(edition.name, edition.name, True, True, (digits,), read)
        known = edition if edition.has(digits) else next(iter(others), None)
        if known is None:
            return Standing(edition.name, None, False, False, ())
        existed = known.begins < edition.begins or edition.ended(digits, day)
        return Standing(
            edition.name, known.name, False, existed, self.successors(digits, known.name, edition.name, day)
        )

    def successors(self, digits: str, of: str, to: str, day: date | None = None) -> tuple[str, ...]:
        """The codes of edition `to` that have the goods of a code of edition `of`, sorted.

        Where two editions are not linked, those between them are gone through one after the other. A code that no link
        names keeps its number; a national one that is gone is what is left of it.

        Args:
            digits: of the code.
            of: name of its edition.
            to: name of the other.
            day: on which they are to be in force; None for any.
        """
        edition, codes = self.edition(to), {digits}
        for here, there in self._path(of, to):
            codes = {found for code in codes for found in self._step(code, here, there)}
        if day is None:
            return tuple(sorted(codes))
        left = (edition.longest(code, lambda prefix: edition.in_force(prefix, day)) for code in codes)
        return tuple(sorted({code for code in left if code}))

    def _step(self, digits: str, of: str, to: str) -> frozenset[str]:
        linked, there = self.correlations.linked(digits, of, to), self.edition(to)
        if linked:
            return linked
        kept = there.longest(digits, there.has)
        return self.correlations.linked_under(digits, of, to) | ({kept} if kept else set())

    def _path(self, of: str, to: str) -> Sequence[tuple[str, str]]:
        if of == to or self.correlations.joins(of, to):
            return [(of, to)]
        first, last = self._by_name[of], self._by_name[to]
        names = [edition.name for edition in self.editions]
        between = names[first : last + 1] if first < last else names[last : first + 1][::-1]
        return list(pairwise(between))

    def _nearest_first(self, edition: Edition) -> list[Edition]:
        """The other editions: earlier ones, the latest of them first, then later ones."""
        place = self._by_name[edition.name]
        return [*reversed(self.editions[:place]), *self.editions[place + 1 :]]


@lru_cache(maxsize=4)  # a worker is given the same one with each step
def _unpacked(packed: bytes) -> Nomenclature:
    return Nomenclature(*pickle.loads(zlib.decompress(packed)))


BUILT_IN = Nomenclature((Edition(HS_EDITION, date.min, date.max),))
