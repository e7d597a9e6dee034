"""Files: their digests, writing them whole or not at all, and folders of numbered versions."""

import fcntl
import hashlib
import os
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hs.errors import ContractBroken, UsageError

CANDIDATES = "candidates"  # where versions of a model lie that no server shall take for the newest


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[Path]:
    """Gives a name beside `path` to write to; the file takes its place when the context ends without an error.

    Whoever reads `path` meanwhile, or after a crash, sees the earlier file or none, never half of one.
    """
    # Beside it, as a rename is one step only within a file system; named at random, as two may write at once.
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.unfinished")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes a text as UTF-8, whole or not at all."""
    with whole_or_not_at_all(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def make_folder(folder: Path, called: str) -> None:
    """Makes a folder that is to be written to, if it is not there.

    Args:
        folder: where.
        called: what whoever named it knows it by.

    Raises:
        UsageError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{called} cannot be made: {error.strerror}") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds a folder, so that of several who would change it one does at a time."""
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # NFS locks no folder; there a rename onto what is there still fails
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def versions(model: Path) -> dict[int, Path]:
    """The numbered versions in a model's folder, oldest first, and where they lie; other names are no versions.

    The layout is TensorFlow Serving's: `MODEL/VERSION/saved_model.pb`.
    """
    if not model.is_dir():
        return {}
    found = {int(path.name): path for path in model.iterdir() if path.name.isdecimal() and path.is_dir()}
    return dict(sorted(found.items()))


def version_folder(model: Path, number: int | None = None) -> Path:
    """The folder of a version, by default of the newest.

    Raises:
        ContractBroken: if it is not there.
    """
    found = versions(model)
    if number is not None and number not in found and (model / CANDIDATES / str(number)).is_dir():
        raise ContractBroken(f"{number} is a candidate of {model}, no version: give {model / CANDIDATES} to look at it")
    return found[chosen_version(model, found, number)]


def chosen_version(model: object, found: Collection[int], number: int | None) -> int:
    """The number that is asked for, by default the newest.

    Args:
        model: what holds the versions, for people.
        found: their numbers.
        number: which one; None for the newest.

    Raises:
        ContractBroken: if it is not there.
    """
    if not found:
        raise ContractBroken(f"{model} holds no model: expected numbered versions such as {model}/1")
    if number is not None and number not in found:
        raise ContractBroken(f"{model} has no version {number}; it has {', '.join(map(str, sorted(found)))}")
    return max(found) if number is None else number
