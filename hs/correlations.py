"""Links between the codes of two editions, and which codes of one edition took the place of a code of another.

A link counts both ways. One that is part of a very large split excuses nothing: the tables of the United Nations link
three codes of HS 2022 (display modules, waste, transducers) to almost every machine of HS 2017.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

_Links = Mapping[str, frozenset[str]]  # digits in one edition → digits in the other


@dataclass(frozen=True)
class Link:
    """A code of one edition, and one of another that has goods of it."""

    code_from: str
    edition_from: str
    code_to: str
    edition_to: str


@dataclass(frozen=True, eq=False)
class Correlations:
    """Links that count.

    Attributes:
        links: all of them.
        max_successors: to how many codes a code may be linked, and how many may share one of several that it is linked
            to.
    """

    links: tuple[Link, ...] = ()
    max_successors: int = 10

    def joins(self, of: str, to: str) -> bool:
        """Whether there are links between two editions."""
        return (of, to) in self._between

    def linked(self, digits: str, of: str, to: str) -> frozenset[str]:
        """The codes of edition `to` that a code of edition `of`, or what it is part of, is linked to.

        >>> split = [Link("870829", "HS 2017", code, "HS 2022") for code in ("870822", "870829")]
        >>> sorted(Correlations(tuple(split)).linked("8708291000", "HS 2017", "HS 2022"))
        ['870822', '870829']
        """
        counting = self._counting.get((of, to), {})
        prefixes = (digits[:level] for level in range(len(digits), 4, -2))
        return next((counting[prefix] for prefix in prefixes if prefix in counting), frozenset())

    def linked_under(self, digits: str, of: str, to: str) -> frozenset[str]:
        """The codes, as deep as this one, that what is part of it is linked to."""
        counting, under = self._counting.get((of, to), {}), self._under.get((of, to), {})
        return frozenset(code[: len(digits)] for part in under.get(digits, ()) for code in counting[part])

    @cached_property
    def _between(self) -> dict[tuple[str, str], dict[str, set[str]]]:
        found: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for link in self.links:
            found[link.edition_from, link.edition_to][link.code_from].add(link.code_to)
            if link.edition_from != link.edition_to:  # what follows within an edition does not lead back
                found[link.edition_to, link.edition_from][link.code_to].add(link.code_from)
        return {editions: dict(links) for editions, links in found.items()}

    @cached_property
    def _counting(self) -> dict[tuple[str, str], _Links]:
        return {editions: self._that_count(links) for editions, links in self._between.items()}

    def _that_count(self, links: Mapping[str, set[str]]) -> _Links:
        shared_by: dict[str, int] = defaultdict(int)
        for codes in links.values():
            for code in codes:
                shared_by[code] += 1
        counting = {}
        for digits, codes in links.items():
            if len(codes) > self.max_successors:
                continue
            # The only one that is left of a code is its successor, however many others it is that of, too.
            few = {code for code in codes if shared_by[code] <= self.max_successors} if len(codes) > 1 else codes
            if few:
                counting[digits] = frozenset(few)
        return counting

    @cached_property
    def _under(self) -> dict[tuple[str, str], dict[str, list[str]]]:
        """Editions → prefix → codes under it that have links."""
        return {editions: _by_prefix(links) for editions, links in self._counting.items()}


def _by_prefix(codes: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for code in codes:
        for level in range(4, len(code), 2):
            found[code[:level]].append(code)
    return dict(found)
