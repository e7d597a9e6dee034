"""Row groups → ranges of their rows, where a few large ones would keep a few workers busy and let the others wait."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hs.storage.location import Location
from pipeline.values import RowGroup

LEAST_ROWS = 2_000  # of a range: whoever reads it looks at the page headers of the whole row group first
_RANGES_A_WORKER = 2  # so that none waits long for the last one


def shared(pointers: Sequence[RowGroup], workers: int) -> list[RowGroup]:
    """Splits what is more than one worker's share of the rows, as evenly as can be.

    Of a file elsewhere nothing is split: to pass over pages there, all bytes before them are fetched.

    >>> [(part.first_row, part.end) for part in shared([RowGroup("/a.parquet", 0, 10_000)], 2)]
    [(0, 2500), (2500, 5000), (5000, 7500), (7500, 10000)]
    """
    share = max(1, sum(pointer.rows for pointer in pointers) // max(1, workers))
    return [part for pointer in pointers for part in _parts(pointer, share, workers)]


def most_workers(pointers: Sequence[RowGroup]) -> int:
    """How many workers can be busy at once with some row groups, however many there are."""
    return sum(_most_ranges(pointer) for pointer in pointers)


def _most_ranges(pointer: RowGroup) -> int:
    return max(1, pointer.rows // LEAST_ROWS) if Location(pointer.file).is_local else 1


def _parts(pointer: RowGroup, share: int, workers: int) -> list[RowGroup]:
    if workers < 2 or pointer.rows <= share:
        return [pointer]
    count = min(_most_ranges(pointer), -(-_RANGES_A_WORKER * pointer.rows // share))
    if count < 2:
        return [pointer]
    bounds = [pointer.rows * number // count for number in range(count + 1)]
    return [replace(pointer, first_row=first, end_row=end) for first, end in pairwise(bounds)]
