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
_PAIRS_AT_ONCE = 1 << 21  # some 60 MB while they are looked at


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
        self._hashes, self._quarter = hashes, quarter
        values = (_of(hashes, quarter)[:, None] ^ _NEARBY).ravel()
        order = np.argsort(values, kind="stable")
        self._members = (order // len(_NEARBY)).astype(np.int32)
        self._begins = np.searchsorted(values[order], np.arange((1 << _BITS) + 1))

    def near(self, others: np.ndarray) -> Iterator[Pairs]:
        """The pairs with hashes among others, uint64 [M], of which this quarter is the first that nearly agrees."""
        values = _of(others, self._quarter).astype(np.int64)
        counts = self._begins[values + 1] - self._begins[values]
        ends = np.cumsum(counts)
        start = 0
        while start < len(others):
            before = ends[start] - counts[start]
            stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, "right")))
            some = np.repeat(np.arange(start, stop), counts[start:stop])
            first = self._begins[values[start:stop]] - (ends[start:stop] - counts[start:stop])
            ours = self._members[np.arange(before, ends[stop - 1]) + np.repeat(first, counts[start:stop])]
            yield self._borne_out(ours, some, others)
            start = stop

    def _borne_out(self, ours: np.ndarray, some: np.ndarray, others: np.ndarray) -> Pairs:
        differing = self._hashes[ours] ^ others[some]
        distances = np.bitwise_count(differing)
        near = np.flatnonzero(distances <= SAME_WITHIN)
        found_before = np.zeros(len(near), bool)
        for quarter in range(self._quarter):
            found_before |= np.bitwise_count(_of(differing[near], quarter)) <= 1
        near = near[~found_before]
        return Pairs(ours[near], some[near], distances[near])


def _of(hashes: np.ndarray, quarter: int) -> np.ndarray:
    """A quarter of each hash, uint16 [N]."""
    return (hashes >> np.uint64(_BITS * quarter)).astype(np.uint16)
