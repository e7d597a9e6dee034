"""Runs on a file system: an attempt is written to staging and takes the place of the earlier run by a rename."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hs.storage.location import Location
from pipeline.runs.linked_parts import LinkedParts
from pipeline.runs.publishing import publish, restore
from pipeline.runs.staging import Place


@dataclass(frozen=True)
class Folders:
    """Where the runs of one night are written and published, where folders can be renamed.

    Attributes:
        place: where.
        linked: the files that a Delta log names, if there is one.
    """

    place: Place
    linked: LinkedParts | None = None

    @property
    def run(self) -> Path:
        """What people call the run of this night, in their own words: a relative path stays one."""
        return self.place.published

    @property
    def is_published(self) -> bool:
        """Whether there is a run of this night."""
        return self.place.is_published

    def begin(self, attempt_id: str) -> Location:
        """Makes the folder that workers and launcher write an attempt to."""
        folder = self.place.attempt(attempt_id)
        (folder / "findings").mkdir(parents=True)
        return Location.parse(folder)

    def published(self, attempt_id: str) -> Path:
        """Where the files of an attempt are, once it is published."""
        return self.place.published

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            UsageError: if they cannot be made or written to.
        """
        if self.linked:
            self.linked.log.require()
        self.place.prepare()

    def restore(self) -> list[str]:
        """Puts back earlier runs whose successor never came; returns their names."""
        restored = restore(self.place.staging)
        if self.linked:
            self.linked.mend(self.place.output)
        return restored

    @contextmanager
    def locked(self, attempt_id: str) -> Iterator[None]:
        """Holds the night and the attempt.

        Raises:
            UsageError: if another run holds the night, or the file system has no locks.
        """
        with self.place.locked(attempt_id):
            yield

    def sweep(self, staging_days: float) -> int:
        """Removes what failed attempts left in staging; returns how many."""
        if self.linked:
            self.linked.sweep(self.place.output)
        return self.place.sweep(staging_days)

    def check_space(self, rows: int) -> None:
        """Refuses to begin where the findings of `rows` declarations would not fit.

        Raises:
            UsageError: with the bytes needed and free.
        """
        self.place.check_space(rows)

    @contextmanager
    def draft(self, attempt_id: str) -> Iterator[Path]:
        """The folder for what the launcher draws up: the attempt's own."""
        yield self.place.attempt(attempt_id)

    def publish(self, attempt_id: str, before: None, mode: int) -> None:
        """Puts an attempt that is there whole in the place of the earlier run, if any."""
        if self.linked:  # first: the log must name files that are there
            self.linked.link(self.place.attempt(attempt_id), self.place.published.name, attempt_id)
        publish(self.place, self.place.attempt(attempt_id), mode)
        if self.linked:
            self.linked.mend(self.place.output, self.place.published.name)

    @contextmanager
    def logs(self, attempt_id: str) -> Iterator["KeptLogs"]:
        """Where the attempt's logs are written."""
        yield KeptLogs(self.place, attempt_id)


@dataclass(frozen=True)
class KeptLogs:
    """The logs of an attempt, beside the runs."""

    place: Place
    attempt_id: str

    def path(self, suffix: str) -> Path:
        """Of a log of this attempt."""
        return self.place.log(self.attempt_id, suffix)
