"""Which of many perceptual hashes are near others: found by a quarter of their bits, borne out by all of them.

Of four quarters of two hashes that are at most 6 bits apart, one differs in a single bit at most (Norouzi et al. 2012,
'Fast Search in Hamming Space with Multi-Index Hashing').
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

SAME_WITHIN = 6  # bits of the 64 of two hashes
QUARTERS = 4

_BITS = 64 // QUARTERS
_NEARBY = np.array([0, *(1 << bit for bit in range(_BITS))], np.uint16)  # what a quarter is changed by
_OTHERS_AT_ONCE = 1 << 17
_PAIRS_AT_ONCE = 1 << 20  # 30 MB while they are looked at


class Pairs(NamedTuple):
    """Near hashes: where they stand among ours, where among the others, and how many bits differ; int [n] each."""

    ours: np.ndarray
    others: np.ndarray
    distances: np.ndarray


class NearHashes:
    """Hashes to find by one of their quarters. What is found by all four is each near pair, once.

    Args:
        hashes: uint64 [N].
        quarter: 0 to 3.
    """

    def __init__(self, hashes: np.ndarray, quarter: int) -> None:
        self._quarter = quarter
        values = (_of(hashes, quarter)[:, None] ^ _NEARBY).ravel()
        order = np.argsort(values, kind="stable")
        self._members = (order // len(_NEARBY)).astype(np.int32)
        self._hashes_of_members = hashes[self._members]  # once more: what is compared lies one after the other
        self._begins = np.searchsorted(values[order], np.arange((1 << _BITS) + 1))

    def near(self, others: np.ndarray) -> Iterator[Pairs]:
        """The pairs with hashes among others, uint64 [M], of which this quarter is the first that nearly agrees."""
        for first in range(0, len(others), _OTHERS_AT_ONCE):
            for pairs in self._near(others[first : first + _OTHERS_AT_ONCE]):
                yield pairs._replace(others=pairs.others + first)

    def _near(self, others: np.ndarray) -> Iterator[Pairs]:
        values = _of(others, self._quarter).astype(np.int64)
        counts = self._begins[values + 1] - self._begins[values]
        ends = np.cumsum(counts)
        start = 0
        while start < len(others):
            before = ends[start] - counts[start]
            stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, "right")))
            first = self._begins[values[start:stop]] - (ends[start:stop] - counts[start:stop])
            places = np.arange(before, ends[stop - 1]) + np.repeat(first, counts[start:stop])
            differing = self._hashes_of_members[places] ^ np.repeat(others[start:stop], counts[start:stop])
            near = np.flatnonzero(np.bitwise_count(differing) <= SAME_WITHIN)
            near = near[~self._found_before(differing[near])]
            theirs = np.searchsorted(ends, before + near, "right")
            yield Pairs(self._members[places[near]], theirs, np.bitwise_count(differing[near]))
            start = stop

    def _found_before(self, differing: np.ndarray) -> np.ndarray:
        """Whether an earlier quarter nearly agrees, bool [n]."""
        found = np.zeros(len(differing), bool)
        for quarter in range(self._quarter):
            found |= np.bitwise_count(_of(differing, quarter)) <= 1
        return found


def _of(hashes: np.ndarray, quarter: int) -> np.ndarray:
    """A quarter of each hash, uint16 [N]."""
    return (hashes >> np.uint64(_BITS * quarter)).astype(np.uint16)
