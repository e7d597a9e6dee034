"""Findings → which pictures others use as well, those of earlier nights among them; hashes are shuffled, no pictures.

findings ──► uses ──► by quarters of their hashes ──► near ones meet, and those of the store ──► neighbourhoods
"""

import dataclasses
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows

from hs.errors import Interrupted, NotPublished, StorageLost
from hs.pictures.near import QUARTERS, NearHashes, Pairs
from hs.storage.stores import Stores
from pipeline.findings.hash_store import StoredNight, read_uses
from pipeline.findings.uses import USE, Known, Neighbourhood, is_stock, merged, uses_in
from pipeline.job.in_process import STOP
from pipeline.job.post import why_stopped
from pipeline.job.reports import REPORTS, neighbourhood_as_json, reported

_MET = "met"
_USES_AT_ONCE = 100_000  # 2.4 MB
_HASHES_AT_ONCE = 100_000  # an index of them is 60 MB while it is made


@dataclasses.dataclass
class SamePictures(beam.PTransform):
    """Batches of findings → reports: of pictures that others use as well, who does, and trouble.

    Attributes:
        run_date: the night.
        most: importers, and codes, that may use one picture before it tells nothing.
        earlier: nights to compare with.
        stores: how their files are reached.
        places: where quarters of the hashes meet, 1 to 4; each has all of the night's uses in memory.
    """

    run_date: date
    most: int
    earlier: Sequence[StoredNight]
    stores: Stores
    places: int = QUARTERS

    def expand(self, findings: beam.PCollection) -> Any:
        """Lets each quarter of the hashes meet in one place."""
        met = (
            findings
            | "Uses" >> beam.ParDo(_Uses(self.places))
            | "Quarters" >> beam.GroupByKey()
            | "Meet" >> beam.ParDo(_Meet(self)).with_outputs(REPORTS, main=_MET)
        )
        together = met[_MET] | "Together" >> beam.CombinePerKey(partial(merged, most=self.most))
        return (together | "Neighbourhoods" >> beam.Map(neighbourhood_as_json), met[REPORTS]) | beam.Flatten()


class _Uses(beam.DoFn):
    """Findings → (place, uses as uint64 [n, 3]); each place gets them all, and of so many at once each use once."""

    def __init__(self, places: int) -> None:
        self._places = places

    def start_bundle(self) -> None:
        self._uses = array("Q")  # one behind the other: a set of tuples took five times as much

    def process(self, findings: pa.RecordBatch) -> Iterator[Any]:
        for _, uses in uses_in(findings):
            for use in uses:
                self._uses.extend(use)
        if len(self._uses) >= _USES_AT_ONCE * len(USE):
            yield from self._packed()

    def finish_bundle(self) -> Iterator[Any]:
        if self._uses:
            yield from map(GlobalWindows.windowed_value, self._packed())

    def _packed(self) -> Iterator[tuple[int, bytes]]:
        packed = _each_once(np.array(self._uses, np.uint64).reshape(-1, len(USE))).tobytes()
        self._uses = array("Q")
        yield from ((place, packed) for place in range(self._places))


class _Meet(beam.DoFn):
    def __init__(self, settings: SamePictures) -> None:
        self._settings = settings

    def process(self, of_place: tuple[int, Iterable[bytes]]) -> Iterator[Any]:
        place, packed = of_place
        uses = np.frombuffer(b"".join(packed), np.uint64).reshape(-1, 3)
        for quarter in range(place, QUARTERS, self._settings.places):
            yield from self._met(quarter, uses)

    def _met(self, quarter: int, uses: np.ndarray) -> Iterator[Any]:
        how = self._settings
        try:
            met = meet(quarter, uses, how.run_date, how.most, how.earlier, how.stores)
        except Interrupted:
            yield reported(trouble=why_stopped())
        except StorageLost as error:
            yield reported(trouble=(error.exit_code, str(error)))
        except (pa.ArrowException, OSError) as error:
            sentence = f"same_picture.store: the hashes of an earlier night cannot be read any more: {error}"
            yield reported(trouble=(NotPublished.exit_code, sentence))
        else:
            yield from ((f"{hash_:016x}", neighbourhood) for hash_, neighbourhood in met.items())


def meet(
    quarter: int, rows: np.ndarray, run_date: date, most: int, earlier: Iterable[StoredNight], stores: Stores
) -> dict[int, Neighbourhood]:
    """The neighbourhoods of a night's hashes that one quarter of their bits tells of.

    Args:
        quarter: 0 to 3.
        rows: uses of the night, uint64 [n, 3].
        run_date: the night.
        most: importers, and codes, that may use one picture before it tells nothing.
        earlier: nights to compare with; one after the other is in memory.
        stores: how their files are reached.

    Raises:
        Interrupted: if the run was stopped.
        OSError, pyarrow.ArrowException, StorageLost: if a night cannot be read.
    """
    ours = _ByHash(_each_once(rows))
    found: dict[int, dict[tuple[int, int], Known] | None] = defaultdict(dict)
    for first in range(0, len(ours.hashes), _HASHES_AT_ONCE):
        index = NearHashes(ours.hashes[first : first + _HASHES_AT_ONCE], quarter)
        _look(ours, ours, _among_ours(index, ours.hashes, first), run_date, most, found)
        for night in earlier:
            if STOP.is_set():
                raise Interrupted("interrupted")
            others = _ByHash(read_uses(night, stores))
            pairs = (each._replace(ours=each.ours + first) for each in index.near(others.hashes))
            _look(ours, others, pairs, night.run_date, most, found)
    return dict(found)


def _among_ours(index: NearHashes, hashes: np.ndarray, first: int) -> Iterator[Pairs]:
    """Near pairs, both ways round, of the hashes in the index, from the first on, with these and all behind them."""
    for pairs in index.near(hashes[first:]):
        mine, its = pairs.ours + first, pairs.others + first
        yield Pairs(mine, its, pairs.distances)
        behind = its >= first + _HASHES_AT_ONCE
        yield Pairs(its[behind], mine[behind], pairs.distances[behind])


def _look(
    ours: "_ByHash",
    others: "_ByHash",
    near: Iterable[Pairs],
    night: date,
    most: int,
    found: dict[int, dict[tuple[int, int], Known] | None],
) -> None:
    """Adds the uses of near pictures to what is found."""
    for pairs in near:
        telling = ours.differ(pairs.ours, others, pairs.others)
        chosen = (values[telling].tolist() for values in pairs)
        for mine, its, distance in zip(*chosen, strict=True):
            hash_ = int(ours.hashes[mine])
            uses = found[hash_]
            if uses is None:
                continue
            known = Known(distance, -night.toordinal(), int(others.hashes[its]))
            for who in others.who(its):
                uses[who] = min(known, uses.get(who, known))
                if is_stock(uses, most):
                    found[hash_] = None
                    break


def _each_once(rows: np.ndarray) -> np.ndarray:
    """Uses, sorted, each once: uint64 [n, 3], as the store has them."""
    ordered = rows[np.lexsort(rows.T[::-1])]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
    return ordered if new.all() else ordered[new]


class _ByHash:
    """Uses that can be found by their hashes.

    Args:
        uses: uint64 [n, 3], hash, importer, code; sorted, each once.
    """

    def __init__(self, uses: np.ndarray) -> None:
        self._uses, hashes = uses, uses[:, 0]
        self._begins = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))[: len(hashes)]
        self.hashes = hashes[self._begins]
        self._ends = np.append(self._begins[1:], len(self._uses))

    def who(self, place: int) -> list[tuple[int, int]]:
        """Importers and codes of one hash."""
        return [(importer, code) for _, importer, code in self._uses[self._begins[place] : self._ends[place]].tolist()]

    def differ(self, mine: np.ndarray, others: "_ByHash", its: np.ndarray) -> np.ndarray:
        """Whether there is more to a pair of hashes than one importer who uses both under one code, bool [n]."""
        is_one = (self._ends[mine] - self._begins[mine] == 1) & (others._ends[its] - others._begins[its] == 1)
        same = (self._uses[self._begins[mine], 1:] == others._uses[others._begins[its], 1:]).all(axis=1)
        return ~(is_one & same)
