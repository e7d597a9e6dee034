"""Second names of published findings on a file system, for a Delta log: what is renamed away must not be gone for it.

OUTPUT/_parts/run_date=2026-11-21/attempt-A/part-*.parquet      links to the published files
"""

import json
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hs.storage.location import Location
from hs.storage.stores import ANYWHERE
from pipeline.runs.delta_log import DeltaLog


@dataclass(frozen=True)
class LinkedParts:
    """The links, and the log that names them.

    Attributes:
        folder: of the links, in the output.
        log: of the output.
        grace_days: how long those of a run that was replaced stay for those who read it.
    """

    folder: Path
    log: DeltaLog
    grace_days: float

    def link(self, attempt: Path, night: str, attempt_id: str) -> None:
        """Gives the findings of an attempt, which will be published, their second names."""
        to = self.folder / night / f"attempt-{attempt_id}"
        to.mkdir(parents=True)
        for part in (attempt / "findings").glob("*.parquet"):
            try:
                os.link(part, to / part.name)
            except OSError:  # a file system without links
                shutil.copyfile(part, to / part.name)

    def mend(self, output: Path, night: str = "run_date=*") -> None:
        """Makes the log name what is published, of one night or of all that were ever linked."""
        for folder in sorted(self.folder.glob(night)):
            if (standing := self._standing(output, folder)) is None:
                continue
            parts = {self._in_table(part): Location.parse(part) for part in sorted(standing.glob("*.parquet"))}
            if self.log.sync(date.fromisoformat(folder.name.removeprefix("run_date=")), parts, ANYWHERE):
                for other in folder.iterdir():
                    os.utime(other)  # their grace begins

    def sweep(self, output: Path) -> None:
        """Removes the links of runs that were replaced long enough ago; the disk keeps one name of what stands."""
        before, named = time.time() - self.grace_days * 86400, self.log.names()
        for folder in self.folder.glob("run_date=*/attempt-*"):
            in_use = folder == self._standing(output, folder.parent) or any(
                self._in_table(part) in named for part in folder.iterdir()
            )
            if not in_use and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)

    def _standing(self, output: Path, folder: Path) -> Path | None:
        """The links of the run of a night that is published; None where it has none."""
        with suppress(OSError, ValueError, KeyError):
            manifest = json.loads((output / folder.name / "manifest.json").read_text(encoding="utf-8"))
            linked = folder / f"attempt-{manifest['attempt_id']}"
            return linked if linked.is_dir() else None
        return None

    def _in_table(self, part: Path) -> str:
        return part.relative_to(self.folder.parent).as_posix()
