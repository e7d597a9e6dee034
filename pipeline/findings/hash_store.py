"""The hashes of the pictures of earlier nights, a file for each night."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.parts import opened
from pipeline.findings.uses import Use

_USE = ("hash", "importer_number", "code_number")
_NAMED = ("declaration_id", "item_no", "importer", "declared_hs_code", "sha256")


@dataclass(frozen=True)
class StoredNight:
    """The hashes of a night.

    Attributes:
        run_date: the night.
        file: where they are.
    """

    run_date: date
    file: Location


def read_uses(night: StoredNight, stores: Stores) -> np.ndarray:
    """The uses of pictures on a night, uint64 [n, 3].

    Raises:
        OSError, pyarrow.ArrowException: if they cannot be read.
        StorageLost: if their storage stayed away.
    """
    with opened(night.file, stores) as file:
        table = file.read(list(_USE))
    return np.column_stack([table[name].to_numpy() for name in _USE])


def read_named(night: StoredNight, uses: Collection[Use], stores: Stores) -> dict[Use, dict[str, Any]]:
    """The declarations that stand for some uses of a night.

    Raises:
        OSError, pyarrow.ArrowException: if they cannot be read.
        StorageLost: if their storage stayed away.
    """
    with opened(night.file, stores) as file:
        table = file.read([*_USE, *_NAMED])
    wanted = pc.is_in(table["hash"], pa.array({hash_ for hash_, *_ in uses}, pa.uint64()))
    rows = table.filter(wanted).to_pylist()
    return {tuple(row[name] for name in _USE): {name: row[name] for name in _NAMED} for row in rows}
