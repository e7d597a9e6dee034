"""What launcher and workers of a run tell each other where they are processes of their own, on any engine: the files.

ATTEMPT/lease                   launcher → workers: a number that rises every second, or `stop`
ATTEMPT/workers/HOST-PID.json   workers → launcher: what they counted, wait for, and what ended their work for good

It lies in staging, which all of them must see anyway. The launcher's end is `pipeline.job.keeping`, a worker's
`pipeline.job.watching`.
"""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from hs.storage.location import Location
from hs.storage.stores import Stores
from serving.client.waits import Wait

BEAT_S = 1.0
SAID_STOP = "stop"
DIGITS = 12  # of the number, so that it never grows


@dataclass(frozen=True)
class Worker:
    """What a worker process says of itself.

    Attributes:
        name: host and process.
        counts: what it counted, by name.
        trouble: exit code and sentence of what ended its work for good.
        wait: what it waits for, the longest of its waits, by the clock of whoever hears it.
    """

    name: str
    counts: dict[str, int]
    trouble: tuple[int, str] | None
    wait: Wait | None = None


@dataclass(frozen=True)
class Lease:
    """The files, in the folder of an attempt.

    Attributes:
        folder: of the attempt.
        stores: how it is reached. A look never waits for a storage that is away: the next one may see more.
    """

    folder: Location
    stores: Stores

    @classmethod
    def of(cls, folder: Location, stores: Stores) -> "Lease":
        """The lease in a folder, without the patience of `stores`."""
        return cls(folder, replace(stores, settings=replace(stores.settings, outage_budget_s=0)))

    def write(self, said: str) -> None:
        """What the launcher says.

        Raises:
            OSError, StorageLost: if that cannot be written.
        """
        if self._file.is_local:
            # In place, as NFS remembers for a while which file a name is; without growing, as the disk may be full.
            descriptor = os.open(self._file.text, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(descriptor, said.ljust(DIGITS).encode(), 0)
            finally:
                os.close(descriptor)
        else:
            self.stores.write_bytes(self._file, said.encode())

    def read(self) -> str:
        """What the launcher says.

        Raises:
            FileNotFoundError: if it is gone, or was never here.
            OSError, StorageLost: if that cannot be seen.
        """
        return self.stores.read_bytes(self._file).decode().strip()

    def say(self, counts: dict[str, int], trouble: tuple[int, str] | None, wait: Wait | None = None) -> None:
        """Writes the file of this worker process.

        Raises:
            OSError, StorageLost: if that cannot be written.
        """
        now = time.monotonic()
        # Seconds from now, as two machines have two clocks.
        relative = wait and replace(wait, since=wait.since - now, until=wait.until and wait.until - now)
        said = json.dumps({"counts": counts, "trouble": trouble, "wait": relative and asdict(relative)})
        self.stores.write_bytes(self._workers / f"{name_of_worker()}.json", said.encode())

    def workers(self) -> list[Worker]:
        """Every worker process that began, also those that ended.

        Raises:
            OSError, StorageLost: if that cannot be seen.
        """
        found = []
        for facts in self.stores.files(self._workers):
            if facts.location.suffix == ".json":
                said = json.loads(self.stores.read_bytes(facts.location))
                found.append(_worker(facts.location.name, said))
        return found

    def prepare(self) -> None:
        """Makes the folder of the workers' files."""
        if self._workers.is_local:
            self._workers.path.mkdir()

    def remove(self) -> None:
        """Leaves nothing in the folder of the attempt, which is published."""
        self.stores.delete_folder(self._workers)
        self.stores.delete(self._file)

    @property
    def _file(self) -> Location:
        return self.folder / "lease"

    @property
    def _workers(self) -> Location:
        return self.folder / "workers"


def _worker(name: str, said: dict[str, Any]) -> Worker:
    now, wait = time.monotonic(), said["wait"] and Wait(**said["wait"])
    heard = wait and replace(wait, since=wait.since + now, until=wait.until and wait.until + now)
    return Worker(name, said["counts"], tuple(said["trouble"]) if said["trouble"] else None, heard)


def name_of_worker() -> str:
    """Host and process, as a name of a file."""
    return f"{socket.gethostname()}-{os.getpid()}"
