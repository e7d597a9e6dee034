"""Where the runs of one night are written before they are published, and the lock that keeps two of them apart.

audits/run_date=2026-11-21/                    published; readers use run_date=*/findings/*.parquet
audits/_staging/ATTEMPT/                       being written, verified there
audits/_staging/run_date=2026-11-21.replaced   the earlier run, between the two renames of a publication
audits/_staging/run_date=2026-11-21.lock       held by the run of that night
audits/_logs/run_date=2026-11-21.ATTEMPT.log   and .json, what became of it
"""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hs.errors import UsageError

_BYTES_PER_ROW = 4096
_BYTES_TO_SPARE = 64 << 20


def new_attempt_id() -> str:
    """A unique id that sorts by time."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + uuid.uuid4().hex[:8]


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
        if "://" in str(self.output) or str(self.output).startswith(("gs:/", "s3:/", "hdfs:/")):
            raise UsageError(f"output must be on a mounted file system, where a rename is atomic, got {self.output}")
        try:
            for folder in (self.staging, self.output / "_logs"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"the output folder {self.output} cannot be written: {error.strerror}") from error
        if not os.access(self.staging, os.W_OK):
            raise UsageError(f"the output folder {self.output} cannot be written: permission denied")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the night; the lock goes with the process, however it ends.

        Raises:
            UsageError: if another run holds it.
        """
        with open(self.staging / f"{self.published.name}.lock", "a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    f"another run of {self.run_date} is writing to {self.output}; it was left alone"
                ) from error
            yield

    def sweep(self, older_than_days: float) -> int:
        """Removes what failed attempts of any night left in staging; returns how many."""
        before = time.time() - older_than_days * 86400
        old = [
            path
            for path in self.staging.iterdir()
            if path.is_dir() and path.suffix != ".replaced" and path.stat().st_mtime < before
        ]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

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
