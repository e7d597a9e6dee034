"""The store of hashes: who used which picture on the nights before, a file for each night.

FOLDER/run_date=2026-11-20/hashes-6d1f0a52c3b4e798.parquet

The name has the first digits of the file's SHA-256, so that a damaged file is known as one, and a listing says what a
night is compared with. It is made of the findings of published runs, and can be made of them again.
"""

import hashlib
import io
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.finding import SOURCE_ROW
from pipeline.findings.parts import opened
from pipeline.findings.uses import NAMED_USES, USE, Use, named_uses

_DIGITS = 16


@dataclass(frozen=True)
class StoredNight:
    """The hashes of a night.

    Attributes:
        run_date: the night.
        file: where they are.
    """

    run_date: date
    file: Location


@dataclass(frozen=True)
class StoredNights:
    """What a night is compared with.

    Attributes:
        nights: those whose hashes are there and whole, earliest first.
        damaged: those whose file is not what its name says.
    """

    nights: Sequence[StoredNight] = ()
    damaged: Sequence[date] = field(default_factory=tuple)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is compared with, hex."""
        told = "\n".join(f"{night.run_date} {night.file.name}" for night in self.nights)
        return hashlib.sha256(told.encode()).hexdigest()


NONE_STORED = StoredNights()


@dataclass(frozen=True)
class HashStore:
    """Where the hashes of nights are kept.

    Attributes:
        folder: of the store.
        keep_days: how long.
        stores: how it is reached.
    """

    folder: Location
    keep_days: int
    stores: Stores

    def first_night(self, run_date: date) -> date:
        """The earliest night that one is compared with."""
        return run_date - timedelta(days=self.keep_days)

    def before(self, run_date: date) -> StoredNights:
        """The nights before one, as long as they are kept; each file is read once, to see that it is whole.

        Raises:
            OSError: if the store cannot be read.
            StorageLost: if its storage stayed away.
        """
        nights: list[StoredNight] = []
        damaged: list[StoredNight] = []
        for night in self._files():
            if self.first_night(run_date) <= night.run_date < run_date:
                is_whole = self.stores.sha256(night.file)[:_DIGITS] == night.file.path.stem.removeprefix("hashes-")
                (nights if is_whole else damaged).append(night)
        whole = {night.run_date for night in nights}
        return StoredNights(nights, [night.run_date for night in damaged if night.run_date not in whole])

    def keep(self, run_date: date, parts: Sequence[Location]) -> StoredNight:
        """Keeps the hashes of a night's findings in the place of those that it had.

        Args:
            run_date: the night.
            parts: the files of its findings.

        Raises:
            OSError, pyarrow.ArrowException: if they cannot be read or written.
            StorageLost: if a storage stayed away.
        """
        return self.write(run_date, _each_once(parts, self.stores))

    def write(self, run_date: date, uses: pa.Table) -> StoredNight:
        """Keeps the uses of a night, as `NAMED_USES` has them, each once and sorted; lets go of what is too old.

        Raises:
            OSError: if they cannot be written.
            StorageLost: if the storage stayed away.
        """
        sink = io.BytesIO()
        pq.write_table(uses, sink, compression="zstd")
        name = f"hashes-{hashlib.sha256(sink.getvalue()).hexdigest()[:_DIGITS]}.parquet"
        kept = StoredNight(run_date, self.folder / f"run_date={run_date}" / name)
        self.stores.write_bytes(kept.file, sink.getvalue())
        for night in self._files():
            is_replaced = night.run_date == run_date and night.file != kept.file
            if is_replaced or night.run_date < self.first_night(run_date):
                self.stores.delete(night.file)
        return kept

    def forget(self, run_date: date) -> None:
        """Lets go of the hashes of a night whose run is about to be replaced."""
        for night in self._files():
            if night.run_date == run_date:
                self.stores.delete(night.file)

    def _files(self) -> list[StoredNight]:
        found = []
        for facts in self.stores.files(self.folder):
            file = facts.location
            with suppress(ValueError):  # others' folders
                if file.name.startswith("hashes-") and file.suffix == ".parquet":
                    found.append(StoredNight(date.fromisoformat(file.parent.name.removeprefix("run_date=")), file))
        return found


def _each_once(parts: Sequence[Location], stores: Stores) -> pa.Table:
    """Each use in files of findings, by the first declaration in the order of the archive."""
    batches = [pa.Table.from_pylist(rows, NAMED_USES) for rows in named_uses(parts, stores)]
    table = pa.concat_tables(batches or [NAMED_USES.empty_table()])
    table = table.sort_by([(name, "ascending") for name in (*USE, *SOURCE_ROW)])
    uses = _uses(table)
    is_new = np.append(True, (uses[1:] != uses[:-1]).any(axis=1))[: len(uses)]
    return table.filter(pa.array(is_new))


def _uses(table: pa.Table) -> np.ndarray:
    return np.column_stack([table[name].to_numpy() for name in USE])


def read_uses(night: StoredNight, stores: Stores) -> np.ndarray:
    """The uses of pictures on a night, uint64 [n, 3].

    Raises:
        OSError, pyarrow.ArrowException: if they cannot be read.
        StorageLost: if their storage stayed away.
    """
    with opened(night.file, stores) as file:
        return _uses(file.read(list(USE)))


def read_named(night: StoredNight, uses: Collection[Use], stores: Stores) -> dict[Use, dict[str, Any]]:
    """The declarations that stand for some uses of a night.

    Raises:
        OSError, pyarrow.ArrowException: if they cannot be read.
        StorageLost: if their storage stayed away.
    """
    with opened(night.file, stores) as file:
        table = file.read()
    wanted = pc.is_in(table["hash"], pa.array({hash_ for hash_, *_ in uses}, pa.uint64()))
    return {(row["hash"], row["importer_number"], row["code_number"]): row for row in table.filter(wanted).to_pylist()}
