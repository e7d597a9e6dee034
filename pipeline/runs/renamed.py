"""Runs on HDFS: the earlier run is set aside by a rename, and an attempt in staging takes its place by another.

hdfs://…/run_date=2026-11-21/                       published, one night's files and no others
hdfs://…/_staging/ATTEMPT/                          being written, verified there; or it failed
hdfs://…/_staging/run_date=2026-11-21.A.replaced/   the earlier run, between the two renames of attempt A
hdfs://…/_logs/run_date=2026-11-21.A.log            sent every minute, and when the attempt ends

Nothing is locked, as no lock of HDFS goes with a process that is killed: the renames decide between two runs.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import in_a_line
from pipeline.runs.sent import SentLogs, drafted
from pipeline.runs.staging import began_at

if TYPE_CHECKING:  # it needs an extra
    from hs.storage.hdfs import HadoopFolders

_log = logging.getLogger("hs_audit.run")

_LEAST_DAYS = 1  # of an attempt that nobody holds a lock of: it may well be under way
_TRIES = 5  # of two renames that the start of another night may come between


@dataclass(frozen=True)
class RenamedFolders:
    """Where the runs of one night are written and published, on HDFS.

    Attributes:
        output: of all runs.
        run_date: the night.
        stores: how it is reached.
    """

    output: Location
    run_date: date
    stores: Stores

    @property
    def run(self) -> Location:
        """What people call the run of this night."""
        return self.output / f"run_date={self.run_date.isoformat()}"

    @property
    def is_published(self) -> bool:
        """Whether there is a run of this night."""
        return self.stores.exists(self.run / "_SUCCESS")

    def begin(self, attempt_id: str) -> Location:
        """The folder that workers and launcher write an attempt to."""
        return self._staging / attempt_id

    def published(self, attempt_id: str) -> Location:
        """Where the files of an attempt are, once it is published."""
        return self.run

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            UsageError: if they cannot be made, or what makes them is not installed.
        """
        folders = self._folders()
        try:
            for folder in (self._staging, self._logs):
                folders.make(folder)
        except OSError as error:
            raise UsageError(f"the output {self.output} cannot be written: {in_a_line(error)}") from error

    def restore(self) -> list[str]:
        """Puts back earlier runs whose successor never came; returns their names."""
        restored = []
        for aside in [name for name in self._staged() if name.endswith(".replaced")]:
            run = self.output / aside.partition(".")[0]
            if self.stores.exists(run / "_SUCCESS"):  # its successor came, and only the removal was interrupted
                self.stores.delete_folder(self._staging / aside)
                continue
            with suppress(FileExistsError, FileNotFoundError):  # its own run, or another start, was quicker
                self._folders().rename(self._staging / aside, run)
                restored.append(run.name)
        return restored

    @contextmanager
    def locked(self, attempt_id: str) -> Iterator[str | None]:
        """The attempt that stands as this one begins."""
        yield self._attempt_in(self.run)

    def sweep(self, staging_days: float) -> int:
        """Removes what failed attempts left in staging, once it is old enough; returns how many."""
        oldest, removed = datetime.now(UTC) - timedelta(days=max(staging_days, _LEAST_DAYS)), 0
        for name in self._staged():
            began = began_at(name)
            if began and began < oldest:
                self.stores.delete_folder(self._staging / name)
                removed += 1
        return removed

    def check_space(self, rows: int) -> None:
        """What is free is the business of quotas."""

    def draft(self, attempt_id: str) -> AbstractContextManager[Path]:
        """A folder of this machine for what the launcher draws up, sent when the context ends without an error."""
        return drafted(self.begin(attempt_id), self.stores)

    def publish(self, attempt_id: str, before: str | None, mode: int) -> None:
        """Puts an attempt that is there whole in the place of the run that stood at its start.

        Args:
            attempt_id: of an attempt that is there whole.
            before: the attempt that stood at its start.
            mode: of its files; whoever may read them may enter its folders.

        Raises:
            UsageError: if another run of this night was published meanwhile.
            StorageLost: if HDFS does not answer; the next start then puts back what was set aside.
        """
        self._set_modes(self.begin(attempt_id), mode)
        aside = self._staging / f"{self.run.name}.{attempt_id}.replaced"
        for _ in range(_TRIES):
            if before is not None and not self._set_aside(before, aside):
                break
            try:
                self._renamed(self.begin(attempt_id), self.run)
            except FileExistsError:
                if before is None:
                    break
                continue  # the start of another night has put the earlier run back
            self._remove(aside)
            return
        raise UsageError(f"another run of {self.run_date} was published to {self.output} meanwhile; it was left alone")

    @contextmanager
    def logs(self, attempt_id: str) -> Iterator[SentLogs]:
        """Where the attempt's logs are written, sent every minute and when the context ends, however it ends."""
        with tempfile.TemporaryDirectory(prefix="hs-audit-") as written:
            logs = SentLogs(Path(written), f"{self.run.name}.{attempt_id}", self._logs, self.stores)
            with logs.sent():
                yield logs

    @property
    def _staging(self) -> Location:
        return self.output / "_staging"

    @property
    def _logs(self) -> Location:
        return self.output / "_logs"

    def _staged(self) -> list[str]:
        """The names of the folders in staging."""
        files = self.stores.files(self._staging)
        return sorted({facts.location.relative_to(self._staging).partition("/")[0] for facts in files})

    def _set_aside(self, before: str, aside: Location) -> bool:
        """Sets the earlier run aside, if it is still the one that was seen."""
        try:
            self._renamed(self.run, aside)
        except FileNotFoundError:  # another run is between its own two renames
            return False
        if self._attempt_in(aside) == before:
            return True
        with suppress(FileExistsError, FileNotFoundError):
            self._folders().rename(aside, self.run)
        return False

    def _remove(self, aside: Location) -> None:
        try:
            self.stores.delete_folder(aside)
        except (OSError, StorageLost) as error:  # the night is published; the next start removes what is left
            _log.warning("the run that was replaced cannot be removed yet: %s", in_a_line(error))

    def _renamed(self, folder: Location, to: Location) -> None:
        try:
            self._folders().rename(folder, to)
        except FileNotFoundError:  # an earlier try may have come through, and only its answer have been lost
            if not self.stores.exists(to / "_SUCCESS"):
                raise

    def _attempt_in(self, run: Location) -> str | None:
        try:
            return str(json.loads(self.stores.read_bytes(run / "manifest.json"))["attempt_id"])
        except FileNotFoundError:
            return None

    def _set_modes(self, folder: Location, mode: int) -> None:
        folders, files = self._folders(), [facts.location for facts in self.stores.files(folder)]
        for file in files:
            folders.set_mode(file, mode)
        for inner in {folder, *(file.parent for file in files)}:
            folders.set_mode(inner, mode | (mode & 0o444) >> 2)

    def _folders(self) -> "HadoopFolders":
        try:
            from hs.storage.hdfs import HadoopFolders
        except ImportError as error:
            raise UsageError("an output on HDFS needs the extra `hdfs`: pip install 'hs-audit[hdfs]'") from error
        return HadoopFolders(self.stores.settings)
