"""Where the runs of one night are written before they are published, and the lock that keeps two of them apart.

audits/run_date=2026-11-21/                    published; readers use run_date=*/findings/*.parquet
audits/_staging/ATTEMPT/                       being written, verified there
audits/_staging/ATTEMPT/lease, workers/        while its job runs on an engine elsewhere: see pipeline.job.lease
audits/_staging/ATTEMPT.lock                   held by that attempt: what nobody holds may be swept
audits/_staging/run_date=2026-11-21.replaced   the earlier run, between the two renames of a publication
audits/_staging/run_date=2026-11-21.lock       held by the run of that night
audits/_logs/run_date=2026-11-21.ATTEMPT.log   and .json, what became of it
"""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from hs.errors import UsageError

_BEGAN = "%Y%m%dT%H%M%S"
_BYTES_PER_ROW = 4096
_BYTES_TO_SPARE = 64 << 20
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network file systems, and how they are mounted


def new_attempt_id() -> str:
    """A unique id that sorts by time."""
    return datetime.now(UTC).strftime(_BEGAN) + "-" + uuid.uuid4().hex[:8]


def began_at(attempt_id: str) -> datetime | None:
    """When an attempt began; None where a name is no attempt's.

    >>> began_at("20261121T230000-0a1b2c3d")
    datetime.datetime(2026, 11, 21, 23, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        return datetime.strptime(attempt_id.partition("-")[0], _BEGAN).replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True)
class Place:
    """Where the runs of one night are written and published.

    Attributes:
        output: folder of all runs.
        run_date: the night.
    """

    output: Path
    run_date: date

    @property
    def published(self) -> Path:
        """The folder that readers see."""
        return self.output / f"run_date={self.run_date.isoformat()}"

    @property
    def is_published(self) -> bool:
        """Whether the night has a run."""
        return (self.published / "_SUCCESS").is_file()

    @property
    def staging(self) -> Path:
        """The folder of all attempts."""
        return self.output / "_staging"

    @property
    def replaced(self) -> Path:
        """Where the earlier run waits while its successor takes its place."""
        return self.staging / f"{self.published.name}.replaced"

    def log(self, attempt_id: str, suffix: str) -> Path:
        """A file that an attempt leaves, whatever becomes of it."""
        return self.output / "_logs" / f"{self.published.name}.{attempt_id}{suffix}"

    def attempt(self, attempt_id: str) -> Path:
        """The folder of an attempt."""
        return self.staging / attempt_id

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            UsageError: if they cannot be made or written to.
        """
        try:
            for folder in (self.staging, self.output / "_logs"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the output folder {self.output} cannot be written: {error.strerror}") from error
        if not os.access(self.staging, os.W_OK):
            raise UsageError(f"the output folder {self.output} cannot be written: permission denied")

    @contextmanager
    def locked(self, attempt_id: str) -> Iterator[None]:
        """Holds the night and the attempt, whose folder it makes; the locks go with the process, however it ends.

        Raises:
            UsageError: if another run holds the night, or the file system has no locks.
        """
        folder, lock = self.attempt(attempt_id), self._lock_of(attempt_id)
        with held(self.staging / f"{self.published.name}.lock") as ours:
            if not ours:
                raise UsageError(f"another run of {self.run_date} is writing to {self.output}; it was left alone")
            with held(lock):
                folder.mkdir()  # after its lock is held, or another night might sweep it
                try:
                    yield
                finally:
                    with suppress(OSError):  # a failed attempt's stays until it is swept, a published one's is gone
                        folder.rmdir()
                    lock.unlink(missing_ok=True)

    def sweep(self, older_than_days: float) -> int:
        """Removes what attempts of any night left in staging that failed or were killed; returns how many."""
        before = time.time() - older_than_days * 86400
        folders = [path for path in self.staging.iterdir() if path.is_dir() and path.suffix != ".replaced"]
        return sum(self._swept(folder, before) for folder in folders)

    def _swept(self, folder: Path, before: float) -> bool:
        lock, old = self._lock_of(folder.name), False
        with held(lock) as over:
            if not over:
                return False
            with suppress(FileNotFoundError):  # it may have been published just now
                old = folder.stat().st_mtime < before
            if old:
                shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
        return old

    def _lock_of(self, attempt_id: str) -> Path:
        return self.staging / f"{attempt_id}.lock"

    def check_space(self, rows: int) -> None:
        """Refuses to begin where the findings of `rows` declarations would not fit.

        Raises:
            UsageError: with the bytes needed and free.
        """
        needed, free = rows * _BYTES_PER_ROW + _BYTES_TO_SPARE, shutil.disk_usage(self.staging).free
        if free < needed:
            raise UsageError(
                f"{self.output} has {free >> 20} MiB free; a run of {rows} declarations needs {needed >> 20}"
            )


@contextmanager
def held(lock: Path) -> Iterator[bool]:
    """Holds a lock in staging for as long as the context lasts; False where somebody else does.

    Raises:
        UsageError: if the file system has no locks.
    """
    with open(lock, "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            ours = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            raise UsageError(
                f"the file system of {lock.parent.parent} has no locks, which keep two runs apart: {error.strerror}"
            ) from error
        else:
            ours = True
        yield ours
