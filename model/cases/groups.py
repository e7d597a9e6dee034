"""What must stay on one side of a split: cases of one picture, of nearly the same one, or of one scene.

    cases that are equal ──► that share a file ──► with near duplicates ──► bursts
                             (each a join of a few cases, refused where the group would be too large)

Everything goes by content: the order in which cases are read decides on nothing.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hs.text import counted, printable
from model.cases.duplicates import near_duplicates

# A larger group is a look of its code, not one picture: it would take much of the code's variety to one side.
MOST_OF_A_CODE = 0.05
ALWAYS_JOINED = 10  # different cases, however few the code has


@dataclass(frozen=True)
class Pictures:
    """What is compared of pictures.

    Attributes:
        cases: int [N], the case of each; for a generated one the case that it was made from.
        case_ids: [N], to name that.
        codes: [N], its HS code.
        digests: [N], what is equal for equal files only.
        hashes: uint64 [N], perceptual hashes.
        thumbnails: uint8 [N, h, w, 3].
    """

    cases: np.ndarray
    case_ids: Sequence[str]
    codes: Sequence[str]
    digests: Sequence[str]
    hashes: np.ndarray
    thumbnails: np.ndarray


@dataclass(frozen=True)
class Joined:
    """Pictures of one kind that belong together.

    Attributes:
        kind: what they are.
        count: how many there are beside the first of each group.
        example: ids of two of their cases.
        refused: joins that would have made too large a group: (HS code, different cases, ids of two of them).
    """

    kind: str
    count: int
    example: tuple[str, str] | None
    refused: tuple[tuple[str, int, tuple[str, str]], ...]


@dataclass(frozen=True)
class Grouping:
    """Cases that belong together.

    Attributes:
        groups: int [N], the group of each picture, numbered from 0 by content.
        cases: how many there are.
        joined: what was found, by kind.
        largest: (HS code, different cases in its largest group, of all of that code).
        in_bursts: share of the different pictures that are of a burst; None where nobody looked for them.
    """

    groups: np.ndarray
    cases: int
    joined: tuple[Joined, ...]
    largest: tuple[str, int, int]
    in_bursts: float | None = None

    @property
    def sentence(self) -> str:
        """What was grouped, with examples."""
        found = [f"{counted(one.count, one.kind)}{_as(one.example)}" for one in self.joined if one.count]
        code, size, of = self.largest
        largest = f"; the largest group has {size:,} of the {of:,} different cases of {code}" if size > 1 else ""
        groups = len(np.unique(self.groups))
        what = ", ".join(found) or "no two alike"
        return f"{counted(self.cases, 'case')} in {counted(groups, 'group')}: {what}{largest}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was grouped, and what was not."""
        return (self.sentence, *self.refusals)

    @property
    def refusals(self) -> tuple[str, ...]:
        """A sentence for each HS code and kind of what was not joined."""
        worst: dict[tuple[str, str], tuple[int, tuple[str, str]]] = {}
        for one in self.joined:
            for code, size, example in one.refused:
                worst[code, one.kind] = max(worst.get((code, one.kind), (0, example)), (size, example))
        return tuple(
            f"{code}: {size:,} cases{_as(example)} hang together by {kind}s; more than {MOST_OF_A_CODE:.0%} of the "
            "code, they are left apart"
            for (code, kind), (size, example) in sorted(worst.items())
        )


def _as(example: tuple[str, str] | None) -> str:
    return f" (as {printable(example[0])} and {printable(example[1])})" if example else ""


def group_cases(pictures: Pictures, bursts: Sequence[np.ndarray] | None = None) -> Grouping:
    """Groups cases.

    Args:
        pictures: of all cases.
        bursts: int [n] each, pictures of one scene; None where nobody looked for them.
    """
    cases = _DifferentCases(pictures)
    digests, file_of = np.unique(np.asarray(pictures.digests), return_inverse=True)
    found = {
        "equal file": together(file_of),
        "near duplicate": _near_duplicates(pictures),
        "burst picture": bursts or [],
    }
    repeated = len(file_of) - len(digests)
    joined = [cases.join(kind, joins) for kind, joins in found.items()]
    # A picture that is there twice in one case, or in a case that is there twice, is an equal file all the same.
    joined[0] = Joined(joined[0].kind, repeated, joined[0].example or cases.repeated, joined[0].refused)
    in_bursts = None if bursts is None else sum(map(len, bursts)) / len(digests)
    return Grouping(cases.groups(), len(np.unique(pictures.cases)), tuple(joined), cases.largest(), in_bursts)


def together(values: np.ndarray) -> list[np.ndarray]:
    """Places with the same value, of each value that stands more than once: int [n] each.

    >>> [some.tolist() for some in together(np.array([5, 3, 5, 4]))]
    [[0, 2]]
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    some = np.split(order, 1 + np.flatnonzero(ordered[1:] != ordered[:-1]))
    return [places for places in some if len(places) > 1]


def _near_duplicates(pictures: Pictures) -> list[np.ndarray]:
    _, first = np.unique(np.asarray(pictures.digests), return_index=True)  # by content
    represented_by = near_duplicates(pictures.hashes[first], pictures.thumbnails[first])
    return [first[places] for places in together(represented_by)]


class _DifferentCases:
    """Cases with the same pictures as one, numbered by content, and the groups that they are joined to."""

    def __init__(self, pictures: Pictures) -> None:
        numbers, case_of = np.unique(pictures.cases, return_inverse=True)
        digests: defaultdict[int, set[str]] = defaultdict(set)
        for case, digest in zip(case_of.tolist(), pictures.digests, strict=True):
            digests[case].add(digest)
        keys = [hashlib.sha256("".join(sorted(digests[case])).encode()).hexdigest() for case in range(len(numbers))]
        _, of_case = np.unique(keys, return_inverse=True)
        self._of_picture = of_case[case_of]
        self._names: defaultdict[int, set[str]] = defaultdict(set)
        codes: defaultdict[int, set[str]] = defaultdict(set)
        for different, name, code in zip(self._of_picture.tolist(), pictures.case_ids, pictures.codes, strict=True):
            self._names[different].add(name)
            codes[different].add(code)
        self._codes = [Counter(codes[different]) for different in range(len(codes))]  # of the group, at its first case
        self._in_code = Counter(code for some in self._codes for code in some)
        self._first = list(range(len(codes)))  # of the group of each, or one on the way to it

    @property
    def repeated(self) -> tuple[str, str] | None:
        """Ids of two cases with the same pictures."""
        some = [names for names in self._names.values() if len(names) > 1]
        return _two(min(sorted(names) for names in some)) if some else None

    def join(self, kind: str, together: Iterable[np.ndarray]) -> Joined:
        """Joins the cases of pictures that belong together, the fewest first; those of too many stay apart."""
        joins = sorted(sorted({int(self._of_picture[place]) for place in places}) for places in together)
        count = 0
        examples: list[tuple[str, str]] = []
        refused: list[tuple[str, int, tuple[str, str]]] = []
        for members in sorted(joins, key=len):
            firsts = sorted({self._find(member) for member in members})
            if len(firsts) < 2:
                continue
            codes: Counter[str] = sum((self._codes[first] for first in firsts), Counter())
            example = _two(sorted(min(self._names[member]) for member in members))
            code = max(codes, key=lambda code: (self._in_code[code], codes[code], code))
            if codes.total() > max(ALWAYS_JOINED, MOST_OF_A_CODE * self._in_code[code]):
                refused.append((code, codes.total(), example))
                continue
            for first in firsts:
                self._first[first] = firsts[0]
            self._codes[firsts[0]] = codes
            count += len(firsts) - 1
            examples.append(example)
        return Joined(kind, count, min(examples, default=None), tuple(refused))

    def groups(self) -> np.ndarray:
        """The group of each picture, int [N]."""
        firsts = np.array([self._find(different) for different in range(len(self._first))])
        return np.unique(firsts[self._of_picture], return_inverse=True)[1]

    def largest(self) -> tuple[str, int, int]:
        """HS code, different cases in its largest group, and different cases."""
        sizes = [
            (count, code)
            for first, codes in enumerate(self._codes)
            if self._first[first] == first
            for code, count in codes.items()
        ]
        size, code = max(sizes)
        return code, size, self._in_code[code]

    def _find(self, different: int) -> int:
        while self._first[different] != different:
            self._first[different] = self._first[self._first[different]]
            different = self._first[different]
        return different


def _two(names: Sequence[str]) -> tuple[str, str]:
    return names[0], names[1]
