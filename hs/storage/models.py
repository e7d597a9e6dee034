"""A model's version that lies in a storage, copied to this machine for as long as it is needed.

TensorFlow reads files of this machine alone; what it loads has been looked at there before (`hs.graph_safety`).
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hs.errors import ContractBroken, UsageError
from hs.files import chosen_version
from hs.storage.facts import FileFacts
from hs.storage.location import Location
from hs.storage.pieces import PIECE_BYTES, PiecewiseFile
from hs.storage.stores import Stores

_MOST_BYTES = 8 << 30  # the largest of the paper's networks has 0.6 GB
_MOST_FILES = 10_000


@contextmanager
def model_here(model: Location, number: int | None, stores: Stores) -> Iterator[Path]:
    """The folder of the numbered versions: as it is, or with a copy of the one that is asked for, removed afterwards.

    Args:
        model: folder of the numbered versions.
        number: of the version; None for the newest.
        stores: how it is reached.

    Raises:
        ContractBroken: if there is no such version, or it is larger than any model.
        UsageError: if the storage refuses, or it does not fit here.
        StorageLost: if the storage is away.
    """
    if model.is_local:
        yield model.path
        return
    with tempfile.TemporaryDirectory(prefix="hs-audit-model-") as folder:
        try:
            version, files = _version(model, number, stores)
            _refuse_if_too_large(version, files, Path(folder))
            for facts in files:
                _copy(facts, Path(folder) / version.name / facts.location.relative_to(version), stores)
        except FileNotFoundError as error:
            raise ContractBroken(f"{model} holds no model: {error}") from error
        except OSError as error:
            raise UsageError(f"{model} cannot be copied to this machine: {' '.join(str(error).split())}") from error
        yield Path(folder)


def _version(model: Location, number: int | None, stores: Stores) -> tuple[Location, list[FileFacts]]:
    """A version's folder and its files."""
    by_number: dict[int, list[FileFacts]] = {}
    for facts in stores.files(model):
        name, _, inside = facts.location.relative_to(model).partition("/")
        if inside and name.isdecimal() and str(int(name)) == name:
            by_number.setdefault(int(name), []).append(facts)
    chosen = chosen_version(model, by_number, number)
    return model / str(chosen), by_number[chosen]


def _refuse_if_too_large(version: Location, files: list[FileFacts], folder: Path) -> None:
    size, free = sum(facts.stamp.size_bytes for facts in files), shutil.disk_usage(folder).free
    if size > _MOST_BYTES or len(files) > _MOST_FILES:
        raise ContractBroken(f"{version} has {len(files)} files of {size} bytes, more than any model")
    if size > free:
        raise UsageError(f"{version} has {size} bytes, and {folder.parent} {free} free")


def _copy(facts: FileFacts, to: Path, stores: Stores) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with stores.open_input(facts.location) as source, open(to, "wb") as target:
        assert isinstance(source, PiecewiseFile)
        source.pieces.plan([(0, source.pieces.size)])
        shutil.copyfileobj(source, target, PIECE_BYTES)
