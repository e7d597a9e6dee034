"""The one seam to all storages: names are text, bytes move by pyarrow's file systems, faults that pass are waited for.

A `Stores` is a value of settings alone, so it travels to workers; what it opens is made in each process anew. All of
its methods raise the same: FileNotFoundError, PermissionError, another OSError for what does not pass, StorageLost
(exit code 8) where a storage was away for longer than its outage budget, Interrupted where the process shall end.
"""

import glob as local_glob
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyarrow as pa
from pyarrow import fs

from hs.files import sha256_of, whole_or_not_at_all
from hs.storage.facts import BucketMissing, ChangedSince, FileFacts, Stamp
from hs.storage.filesystems import file_system
from hs.storage.globs import as_regex, fixed_folder, has_wildcards
from hs.storage.location import Location
from hs.storage.patience import patiently
from hs.storage.pieces import PIECE_BYTES, Pieces, PiecewiseFile
from hs.storage.settings import StorageSettings

_IN_MEMORY_BYTES = 64 << 20  # of what is being written; more goes to a temporary file
_READING_THREADS = 16
_DEFAULTS = StorageSettings()


@dataclass(frozen=True)
class Stores:
    """All storages, as the settings say that they are reached."""

    settings: StorageSettings = _DEFAULTS

    def info(self, location: Location) -> FileFacts:
        """Size, version and time of a file: one request."""
        if location.is_local:
            return _local_facts(location)
        where, path = file_system(location, self.settings)
        with self._patiently(location, lambda: where.open_input_file(path)) as handle:
            return self._facts(location, handle)

    def exists(self, location: Location) -> bool:
        """Whether a file is there; a folder is none."""
        if location.is_local:
            return location.path.is_file()
        with suppress(FileNotFoundError):
            if location.key:  # a bucket is none either
                self.info(location)
                return True
        return False

    @contextmanager
    def open_input(self, location: Location, expected: Stamp | None = None) -> Iterator[IO[bytes] | PiecewiseFile]:
        """A file to read and to seek in: of this machine as it is, else in pieces.

        Args:
            location: of the file.
            expected: what it was at the start; None for whatever it is.

        Raises:
            ChangedSince: if it is no longer that.
        """
        if location.is_local:
            with open(location.text, "rb") as stream:
                _refuse_if_changed(_local_facts(location), expected)
                yield stream
            return
        where, path = file_system(location, self.settings)
        with self._patiently(location, lambda: where.open_input_file(path)) as handle:
            facts = self._facts(location, handle)
            _refuse_if_changed(facts, expected)
            with closing(Pieces(handle.size(), self._fetch_from(location, handle), _threads())) as pieces:
                yield PiecewiseFile(facts, pieces)

    @contextmanager
    def open_output(self, location: Location) -> Iterator[BinaryIO]:
        """A file to write, which is there whole when the context ends without an error, and not at all otherwise.

        What goes elsewhere is gathered first, in memory up to 64 MiB: so it can be sent again after an outage, and an
        error on the way never leaves an object that is cut short.
        """
        if location.is_local:
            location.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_or_not_at_all(location.path) as unfinished:
                with open(unfinished, "wb") as local:
                    yield local
                return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as spool:
            yield spool  # type: ignore[misc]  # it has all that a BinaryIO has
            self._patiently(location, lambda: self._send(spool, location))

    def read_bytes(self, location: Location) -> bytes:
        """All of a file."""
        if location.is_local:
            return location.path.read_bytes()
        with self.open_input(location) as file:
            assert isinstance(file, PiecewiseFile)
            file.pieces.plan([(0, file.pieces.size)])
            return file.read()

    def write_bytes(self, location: Location, content: bytes) -> None:
        """Writes a file, whole or not at all; folders are made as needed."""
        with self.open_output(location) as file:
            file.write(content)

    def files(self, folder: Location) -> list[FileFacts]:
        """The files of a folder and of those in it, by name; none where there is no such folder.

        The version of a listed file is its time: object storage tells ETags one by one.

        Raises:
            BucketMissing: if there is not even the bucket.
        """
        if folder.is_local:
            found = (Location(str(path)) for path in folder.path.rglob("*") if path.is_file())
            return sorted((_local_facts(location) for location in found), key=lambda facts: facts.location)
        where, path = file_system(folder, self.settings)
        selector = fs.FileSelector(path, recursive=True)
        try:
            listed = self._patiently(folder, lambda: where.get_file_info(selector))
        except BucketMissing:
            raise
        except FileNotFoundError:
            return []
        files = [_listed(folder, path, each) for each in listed if each.type == fs.FileType.File]
        return sorted(files, key=lambda facts: facts.location)

    def folders(self, folder: Location) -> list[Location]:
        """The folders in a folder; on object storage the prefixes up to the next slash. None where there is none."""
        if folder.is_local:
            found = folder.path.iterdir() if folder.path.is_dir() else ()
            return sorted(Location(str(path)) for path in found if path.is_dir())
        where, path = file_system(folder, self.settings)
        try:
            listed = self._patiently(folder, lambda: where.get_file_info(fs.FileSelector(path)))
        except FileNotFoundError:
            return []
        return sorted(folder / each.base_name for each in listed if each.type == fs.FileType.Directory)

    def glob(self, pattern: str) -> list[Location]:
        """The files that a pattern matches, by name; `*` and `?` stay in a folder, `**` crosses them."""
        if (place := Location.parse(pattern)).is_local:
            found = local_glob.glob(place.text, recursive=True)
            return sorted(Location(os.path.abspath(name)) for name in found if Path(name).is_file())
        if not has_wildcards(place.key):
            return [place] if self.exists(place) else []
        start = fixed_folder(place.key)
        folder = Location(f"{place.scheme}://{place.bucket}" + (f"/{start}" if start else ""))
        fits = as_regex(place.key)
        return [facts.location for facts in self.files(folder) if fits.fullmatch(facts.location.key)]

    def delete(self, location: Location) -> None:
        """Removes a file; it is no error if it is not there."""
        if location.is_local:
            location.path.unlink(missing_ok=True)
            return
        where, path = file_system(location, self.settings)
        with suppress(FileNotFoundError):
            self._patiently(location, lambda: where.delete_file(path))

    def delete_folder(self, folder: Location) -> None:
        """Removes a folder with all that is in it; it is no error if it is not there."""
        if folder.is_local:
            with suppress(FileNotFoundError):
                shutil.rmtree(folder.text)
            return
        where, path = file_system(folder, self.settings)
        with suppress(FileNotFoundError):
            self._patiently(folder, lambda: where.delete_dir(path))

    def free_bytes(self, location: Location) -> int | None:
        """How much can still be written there; None where a storage has no such notion."""
        if not location.is_local:
            return None
        folder = location.path
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def sha256(self, location: Location) -> str:
        """SHA-256 of a file, hex."""
        if location.is_local:
            return sha256_of(location.path)
        digest = hashlib.sha256()
        with self.open_input(location) as file:
            assert isinstance(file, PiecewiseFile)
            file.pieces.plan([(0, file.pieces.size)])
            while part := file.read(PIECE_BYTES):
                digest.update(part)
        return digest.hexdigest()

    def _patiently(self, location: Location, ask: Any) -> Any:
        return patiently(location.text, ask, self.settings.outage_budget_s)

    def _fetch_from(self, location: Location, handle: pa.NativeFile) -> Any:
        return lambda start, length: self._patiently(location, lambda: handle.read_at(length, start))

    def _facts(self, location: Location, handle: pa.NativeFile) -> FileFacts:
        about = {_text(name).lower(): _text(value) for name, value in (handle.metadata() or {}).items()}
        version, modified_s = about.get("generation") or about.get("etag"), _seconds(about.get("last-modified", ""))
        if not version or not modified_s:
            where, path = file_system(location, self.settings)
            seen = self._patiently(location, lambda: where.get_file_info(path))
            modified_s = (seen.mtime_ns or 0) / 1e9
            version = version or str(seen.mtime_ns)
        return FileFacts(location, Stamp(handle.size(), version), modified_s)

    def _send(self, spool: IO[bytes], location: Location) -> None:
        where, path = file_system(location, self.settings)
        spool.seek(0)
        if location.has_folders:
            # A file of HDFS can be seen while it is written; whoever lists a folder passes over names with a dot.
            folder, _, name = path.rpartition("/")
            unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
            where.create_dir(folder)
            _copy(spool, where, unfinished)
            where.move(unfinished, path)
        else:
            _copy(spool, where, path)


def _copy(spool: IO[bytes], where: fs.FileSystem, path: str) -> None:
    with where.open_output_stream(path) as stream:
        while part := spool.read(PIECE_BYTES):
            stream.write(part)


ANYWHERE = Stores()  # this machine, and the storages as the environment alone says that they are reached


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """Those of this process that fetch pieces."""
    return ThreadPoolExecutor(_READING_THREADS, thread_name_prefix="storage")


def _local_facts(location: Location) -> FileFacts:
    stat = os.stat(location.text)
    return FileFacts(location, Stamp(stat.st_size, str(stat.st_mtime_ns)), stat.st_mtime)


def _refuse_if_changed(facts: FileFacts, expected: Stamp | None) -> None:
    if expected is not None and facts.stamp != expected:
        was, is_ = expected.size_bytes, facts.stamp.size_bytes
        how = (
            f"had {was} bytes at the start of the run, now {is_}" if was != is_ else "was written again since the start"
        )
        raise ChangedSince(f"the file {how}")


def _listed(folder: Location, path: str, each: fs.FileInfo) -> FileFacts:
    """A file of a listing; pyarrow tells its path in the file system, of which the folder's is a part."""
    inside = each.path.removeprefix(path).lstrip("/")
    return FileFacts(folder / inside, Stamp(each.size, str(each.mtime_ns)), (each.mtime_ns or 0) / 1e9)


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _seconds(written: str) -> float:
    """Of a time as S3 and Azure write it; 0 where it is none."""
    with suppress(ValueError):
        return datetime.fromisoformat(written).timestamp()
    return 0.0
