"""Where a night is written and published, whatever the storage: by renaming folders, or as objects side by side."""

from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.runs.delta_log import DeltaLog
from pipeline.runs.folders import Folders
from pipeline.runs.linked_parts import LinkedParts
from pipeline.runs.objects import Objects
from pipeline.runs.renamed import RenamedFolders
from pipeline.runs.staging import Place


class Logs(Protocol):
    """The logs of an attempt."""

    def path(self, suffix: str) -> Path:
        """Of a log, on this machine."""


class Destination(Protocol):
    """What `pipeline.night` needs of the place of a night; see `Folders`, `RenamedFolders` and `Objects`."""

    @property
    def run(self) -> Path | Location:
        """What people call the run of this night."""

    @property
    def is_published(self) -> bool:
        """Whether there is a run of this night."""

    def begin(self, attempt_id: str) -> Location:
        """The folder that workers and launcher write an attempt to."""

    def published(self, attempt_id: str) -> Path | Location:
        """Where the files of an attempt are, once it is published."""

    def prepare(self) -> None:
        """Makes what must be there, and refuses what cannot work."""

    def restore(self) -> list[str]:
        """Mends what interrupted publications left; the names of the runs that stand again."""

    def locked(self, attempt_id: str) -> AbstractContextManager[Any]:
        """For as long as the attempt lasts; what it gives is for `publish`."""

    def sweep(self, staging_days: float) -> int:
        """Removes what is over and old enough; how many."""

    def check_space(self, rows: int) -> None:
        """Refuses to begin where the findings of so many declarations would not fit."""

    def draft(self, attempt_id: str) -> AbstractContextManager[Path]:
        """A folder of this machine for what the launcher draws up, part of the attempt when the context ends."""

    def publish(self, attempt_id: str, before: Any, mode: int) -> None:
        """Makes an attempt that is there whole the run of its night."""

    def logs(self, attempt_id: str) -> AbstractContextManager[Logs]:
        """Where the attempt's logs go."""


def destination(written: str, run_date: date, stores: Stores, grace_days: float, delta: bool = False) -> Destination:
    """Where the runs of a night go.

    Args:
        written: the output, as the configuration or the command line has it.
        run_date: the night.
        stores: how object storage is reached.
        grace_days: how long a run that was replaced stays there.
        delta: whether a Delta log names the findings.

    Raises:
        UsageError: if nothing can be published there.
    """
    output = Location.parse(written)
    log = DeltaLog(output, stores.settings) if delta else None
    if output.is_local:
        place = Place(Path(written) if "://" not in written else output.path, run_date)
        return Folders(place, LinkedParts(output.path / "_parts", log, grace_days) if log else None)
    if output.scheme == "hdfs":
        if delta:
            raise UsageError(f"a Delta log is not built for HDFS: publish.delta must be false with the output {output}")
        return RenamedFolders(output, run_date, stores)
    return Objects(output, run_date, stores, grace_days, log)
