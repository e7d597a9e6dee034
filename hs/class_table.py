"""The classifier's outputs as HS codes, and their probabilities summed up the HS tree."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hs.codes import LEVELS, HSCode, may_be_one

_REST = "*"
_LABEL = re.compile(r"(?:[0-9]{2}){1,5}\*?")  # \d would take the digits of all scripts


@dataclass(frozen=True)
class ClassTable:
    """What each output of the classifier stands for: an HS code, or `87*`, the rest of a prefix.

    Several outputs may carry one code; they are summed. The rest of a prefix counts for that prefix, is never
    recommended, and never speaks against a code under it: `87*` may be any code of chapter 87.

    In another edition than the classifier's an output may stand for any of several codes. It then speaks against none
    of them, is known down to what they have in common, and is recommended as that.

    >>> table = ClassTable(("870829", "870899", "87*", "392690"))
    >>> table.probability(np.array([0.2, 0.1, 0.6, 0.1]), "870829")
    0.8
    >>> table.codes[0], table.prefixes(4)
    (HSCode(digits='870829'), ('3926', '8708'))
    """

    labels: tuple[str, ...]
    meanings: tuple[tuple[str, ...], ...] | None = None
    """What each output may stand for in another edition, in the form of labels; None for the labels themselves."""

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("a class table has at least one class, got none")
        if self.meanings is not None and (len(self.meanings) != len(self.labels) or not all(self.meanings)):
            raise ValueError("each class stands for one code at least")
        for label in self.labels:
            if not _LABEL.fullmatch(label):
                raise ValueError(f"a class is an HS code of 2 to 10 digits or a prefix with *, got {label!r}")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def codes(self) -> tuple[HSCode, ...]:
        """The codes that can be recommended, without repeats, in the order of the outputs."""
        return tuple(HSCode(code) for code in dict.fromkeys(self._recommended) if code)

    def under(self, prefix: str) -> tuple[str, ...]:
        """The codes that can be recommended at or under a prefix, sorted.

        >>> ClassTable(("870829", "870899", "87*", "392690")).under("87")
        ('870829', '870899')
        """
        first, end = (bisect_left(self._sorted, border) for border in (prefix, f"{prefix}:"))  # : comes after 9
        return self._sorted[first:end]

    def prefixes(self, level: int) -> tuple[str, ...]:
        """The prefixes of `level` digits that the classifier can tell apart, sorted."""
        return self._prefixes[level]

    def knows(self, prefix: str) -> bool:
        """Tells whether some class lies at or under this prefix."""
        return prefix in self._known[len(prefix)]

    def columns(self, prefix: str) -> np.ndarray:
        """The outputs that do not contradict `prefix`, int [k]: those under it, and those coarser that may hold it."""
        if prefix not in self._columns:
            self._columns[prefix] = np.array(
                [i for i, stems in enumerate(self._stems) if any(may_be_one(stem, prefix) for stem in stems)],
                dtype=np.intp,
            )
        return self._columns[prefix]

    def probability(self, probabilities: np.ndarray, prefix: str) -> float:
        """The summed probability of `prefix`, from float [C] with one entry per output."""
        return min(1.0, float(probabilities[self.columns(prefix)].sum()))  # rounded shares may add up to more

    def recommendable(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities float [C] per output → float [len(codes)] per code, outputs with one code summed."""
        # The last one takes the rests of prefixes, and is cut off.
        sums = np.bincount(self._code_of_output, probabilities, len(self.codes) + 1)
        return sums[:-1]

    def labels_of(self, code: HSCode) -> frozenset[str]:
        """The classes that are recommended as a code."""
        return frozenset(
            label for label, best in zip(self.labels, self._recommended, strict=True) if best == code.digits
        )

    @cached_property
    def _sorted(self) -> tuple[str, ...]:
        return tuple(sorted(code.digits for code in self.codes))

    @cached_property
    def _stems(self) -> tuple[tuple[str, ...], ...]:
        meanings = self.meanings or tuple((label,) for label in self.labels)
        return tuple(tuple(code.rstrip(_REST) for code in codes) for codes in meanings)

    @cached_property
    def _recommended(self) -> tuple[str, ...]:
        """What each output is recommended as; nothing where that is the rest of a prefix, or nothing in common."""
        meanings = self.meanings or tuple((label,) for label in self.labels)
        rest = [any(code.endswith(_REST) for code in codes) for codes in meanings]
        return tuple("" if is_rest else _common(stems) for is_rest, stems in zip(rest, self._stems, strict=True))

    @cached_property
    def _prefixes(self) -> dict[int, tuple[str, ...]]:
        sure = [_common(stems) for stems in self._stems]
        return {level: tuple(sorted({s[:level] for s in sure if len(s) >= level})) for level in LEVELS}

    @cached_property
    def _known(self) -> dict[int, frozenset[str]]:
        return {level: frozenset(prefixes) for level, prefixes in self._prefixes.items()}

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {}

    @cached_property
    def _code_of_output(self) -> np.ndarray:
        position = {code.digits: i for i, code in enumerate(self.codes)}
        return np.array([position.get(code, len(self.codes)) for code in self._recommended], dtype=np.intp)


def _common(codes: tuple[str, ...]) -> str:
    """The digits that codes have in common, down to a level of the HS."""
    levels = (level for level in reversed(LEVELS) if len({code[:level] for code in codes}) == 1)
    return codes[0][: next(levels, 0)]
