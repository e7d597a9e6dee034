"""Runs on object storage, where nothing is renamed: attempts lie side by side, and one small object says which stands.

s3://…/run_date=2026-11-21/attempt-A/          written once, by workers and launcher
s3://…/run_date=2026-11-21/_CURRENT            the attempt that stands, and the digest of its manifest
s3://…/_staging/run_date=2026-11-21.A.json     an attempt that is under way, has failed, or was replaced, since when
s3://…/_logs/run_date=2026-11-21.A.log         sent every minute, and when the attempt ends
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.precondition import Conditional, Seen
from hs.storage.stores import Stores
from hs.text import in_a_line
from pipeline.runs.current import CURRENT, Current
from pipeline.runs.delta_log import DeltaLog
from pipeline.runs.published import published_run
from pipeline.runs.sent import SentLogs, drafted

_SECONDS_OF_A_DAY = 86400
_LEAST_DAYS = 1  # of an attempt that nobody holds a lock of: it may well be under way


@dataclass(frozen=True)
class Objects:
    """Where the runs of one night are written and published, on object storage.

    Attributes:
        output: of all runs.
        run_date: the night.
        stores: how it is reached.
        grace_days: how long a run that was replaced stays for those who read it.
        log: names the findings, if there is one.
    """

    output: Location
    run_date: date
    stores: Stores
    grace_days: float
    log: DeltaLog | None = None

    @property
    def run(self) -> Location:
        """What people call the run of this night."""
        return self.output / f"run_date={self.run_date.isoformat()}"

    @property
    def is_published(self) -> bool:
        """Whether there is a run of this night."""
        return self._standing(self.run) is not None

    def begin(self, attempt_id: str) -> Location:
        """The folder that workers and launcher write an attempt to."""
        return self.published(attempt_id)

    def published(self, attempt_id: str) -> Location:
        """Where the files of an attempt are: they stay where they were written."""
        # Not attempt=: Polars takes that for a column, and refuses the Delta log.
        return self.run / f"attempt-{attempt_id}"

    def prepare(self) -> None:
        """Makes sure that the storage can be reached and written before anything else is done.

        Raises:
            UsageError: if what writes with a precondition is not installed.
        """
        self._conditional()
        if self.log:
            self.log.require()

    def restore(self) -> list[str]:
        """Mends the Delta log; a run is never half published here."""
        notes = _Notes(self.output / "_delta_due", self.stores)
        for run, _, days in notes.read() if self.log else ():
            if self._logged(self.output / run) or days > _LEAST_DAYS:
                notes.remove(run)
        return []

    @contextmanager
    def locked(self, attempt_id: str) -> Iterator[Seen | None]:
        """What stands as the attempt begins; it is not locked: the PUT of `publish` decides between two runs.

        Raises:
            UsageError: if the output cannot be written.
            StorageLost: if it does not answer.
        """
        notes, name = _Notes(self.output / "_staging", self.stores), _name(self.run, attempt_id)
        try:
            notes.write(name, "under way")
        except OSError as error:
            raise UsageError(f"the output {self.output} cannot be written: {in_a_line(error)}") from error
        yield self._conditional().see(CURRENT)
        notes.remove(name)

    def sweep(self, staging_days: float) -> int:
        """Removes attempts that were replaced, or failed and are old enough, of any night; returns how many."""
        notes, removed = _Notes(self.output / "_staging", self.stores), 0
        for name, why, days in notes.read():
            run, _, attempt_id = name.partition(".")
            if days <= (self.grace_days if why == "replaced" else max(staging_days, _LEAST_DAYS)):
                continue
            if attempt_id != self._standing(self.output / run):  # a run may have failed to replace it
                self.stores.delete_folder(self.output / run / f"attempt-{attempt_id}")
                removed += 1
            notes.remove(name)
        return removed

    def check_space(self, rows: int) -> None:
        """Object storage has no end."""

    def draft(self, attempt_id: str) -> AbstractContextManager[Path]:
        """A folder of this machine for what the launcher draws up, sent when the context ends without an error."""
        return drafted(self.published(attempt_id), self.stores)

    def publish(self, attempt_id: str, before: Seen | None, mode: int) -> None:
        """Says that an attempt stands from now on, if what stood at its start still does.

        Args:
            attempt_id: of an attempt that is there whole.
            before: what stood at its start.
            mode: of files, which objects do not have.

        Raises:
            UsageError: if another run of this night was published meanwhile.
            StorageLost: if the storage does not answer; whether the attempt stands is not known then.
        """
        notes = _Notes(self.output / "_staging", self.stores)
        if before is not None:  # first: a crash must not leave a run that nobody ever removes
            notes.write(_name(self.run, Current.parse(before.content).attempt_id), "replaced")
        due = _Notes(self.output / "_delta_due", self.stores)
        if self.log:  # or a crash would leave a log that nobody mends
            due.write(self.run.name, "published")
        manifest = self.stores.read_bytes(self.published(attempt_id) / "manifest.json")
        current = Current(attempt_id, hashlib.sha256(manifest).hexdigest(), _now().isoformat(timespec="seconds"))
        if not self._conditional().put(CURRENT, current.to_json(), before):
            raise UsageError(
                f"another run of {self.run_date} was published to {self.output} meanwhile; it was left alone"
            )
        if self.log and self._logged(self.run):
            due.remove(self.run.name)

    @contextmanager
    def logs(self, attempt_id: str) -> Iterator[SentLogs]:
        """Where the attempt's logs are written, sent every minute and when the context ends, however it ends."""
        with tempfile.TemporaryDirectory(prefix="hs-audit-") as written:
            logs = SentLogs(Path(written), _name(self.run, attempt_id), self.output / "_logs", self.stores)
            with logs.sent():
                yield logs

    def _logged(self, run: Location) -> bool:
        """Whether the Delta log had to be told, and was, which files of a night stand."""
        assert self.log is not None
        try:
            parts = published_run(run.text, self.stores).files("findings")
        except UsageError:  # its first run has not come to its end
            return False
        night = date.fromisoformat(run.name.removeprefix("run_date="))
        return self.log.sync(night, {part.relative_to(self.output): part for part in parts}, self.stores)

    def _conditional(self) -> Conditional:
        return Conditional(self.run, self.stores.settings)

    def _standing(self, run: Location) -> str | None:
        try:
            return Current.parse(self.stores.read_bytes(run / CURRENT)).attempt_id
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class _Notes:
    """Small objects that say of which attempts something may have to be removed, and why."""

    folder: Location
    stores: Stores

    def write(self, name: str, why: str) -> None:
        said = {"why": why, "since": _now().isoformat(timespec="seconds")}
        self.stores.write_bytes(self.folder / f"{name}.json", json.dumps(said).encode())

    def remove(self, name: str) -> None:
        self.stores.delete(self.folder / f"{name}.json")

    def read(self) -> Iterator[tuple[str, str, float]]:
        """Name, why, and for how many days."""
        for facts in self.stores.files(self.folder):
            try:
                said = json.loads(self.stores.read_bytes(facts.location))
            except FileNotFoundError:  # another run has just removed it
                continue
            days = (_now() - datetime.fromisoformat(said["since"])).total_seconds() / _SECONDS_OF_A_DAY
            yield facts.location.name.removesuffix(".json"), said["why"], days


def _name(run: Location, attempt_id: str) -> str:
    return f"{run.name}.{attempt_id}"


def _now() -> datetime:
    return datetime.now(UTC)
