"""What launcher and workers of a run tell each other where they are processes of their own, on any engine.

ATTEMPT/lease                   launcher → workers: a number that rises every second, or `stop`
ATTEMPT/workers/HOST-PID.json   workers → launcher: what they counted, wait for, and what ended their work for good

It lies in staging, which all of them must see anyway. Clocks are never compared: a worker counts how often it found the
same number. Where that was too often, the launcher is dead; where it cannot look, that says nothing yet.
"""

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from hs.errors import StorageLost
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.job.counters import counted_elsewhere, counted_in_all
from pipeline.job.in_process import PROGRESS, STOP
from serving.client.waits import Wait

_log = logging.getLogger("hs_audit.run")
BEAT_S = 1.0
_LOOKS_IN_VAIN = 7  # as many seconds; with the look before and the request on its way that stays below ten
_BLIND_LOOKS = 120  # so long may the storage be away before a worker no longer believes in its launcher
_BEATS_TO_HEAR = 5  # between two looks at the workers' files where each is a request
_STOP, _DIGITS = "stop", 12


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
                os.pwrite(descriptor, said.ljust(_DIGITS).encode(), 0)
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


class Kept:
    """The launcher's end: it says `alive` every second until it says `stop`."""

    def __init__(self, lease: Lease) -> None:
        self._lease, self._over, self._away, self._beats = lease, False, False, 0
        self._writing = threading.Lock()
        self.workers: list[Worker] = []

    @property
    def trouble(self) -> tuple[int, str] | None:
        """What ended the work of a worker for good."""
        return next((worker.trouble for worker in self.workers if worker.trouble), None)

    def beat(self) -> None:
        """Renews the lease, and hears the workers."""
        self._beats += 1
        try:
            with self._writing:
                if not self._over:
                    self._lease.write(f"{self._beats:0{_DIGITS}d}")
            if self._lease.folder.is_local or self._beats % _BEATS_TO_HEAR == 0:  # a request for each worker
                self.hear()
            self._away = False
        except (OSError, StorageLost) as error:
            if not self._away:  # once, and not every second of an outage
                _log.warning("the lease in %s cannot be renewed: %s", self._lease.folder, error)
            self._away = True

    def hear(self) -> None:
        """Reads what the workers say."""
        self.workers = self._lease.workers()
        if self.workers:
            counted_elsewhere(worker.counts for worker in self.workers)
            # No more than there are: what an engine tried again was counted twice.
            PROGRESS.declarations = min(PROGRESS.total, counted_in_all().get("declarations", 0))
        waits = [worker.wait for worker in self.workers if worker.wait]
        PROGRESS.waits.end(self)
        if waits:
            PROGRESS.waits.begin(self, min(waits, key=lambda wait: wait.since))

    def stop(self) -> None:
        """Tells the workers to stop; what they have not sent to the model server is never sent."""
        self._over = True  # first: a renewal may hold the lock for as long as the storage does not answer
        if self._writing.acquire(timeout=2 * BEAT_S):
            with suppress(OSError, StorageLost):  # then they see that nothing is renewed
                self._lease.write(_STOP)
            self._writing.release()

    def keep(self) -> None:
        """Renews until `stop`, which the wish to stop and the trouble of one worker make it say to all."""
        while not self._over:
            self.beat()
            if STOP.wait(BEAT_S) or self.trouble:
                self.stop()


_kept_here: set[Lease] = set()


@contextmanager
def kept(lease: Lease) -> Iterator[Kept]:
    """Keeps a lease for as long as the context lasts; the workers stop where that is left by an error."""
    lease.prepare()
    mine = Kept(lease)
    mine.beat()  # before the first worker can look
    thread = threading.Thread(target=mine.keep, name="lease", daemon=True)
    thread.start()
    _kept_here.add(lease)
    try:
        yield mine
    finally:
        mine.stop()
        PROGRESS.waits.end(mine)
        _kept_here.discard(lease)


def kept_here(lease: Lease) -> bool:
    """Whether this process is the launcher."""
    return lease in _kept_here


class Watch:
    """A worker's end: looks every second, and sets an event when its work is over.

    Args:
        said: what the lease said at first.
        look: what it says; raises as `Lease.read` does.
        stop: set when the work is over.
    """

    def __init__(self, said: str, look: Callable[[], str], stop: threading.Event) -> None:
        self.said, self._look, self._stop = said, look, stop
        self._in_vain = self._blind = 0

    def once(self) -> bool:
        """Looks; whether the launcher was seen to be alive."""
        try:
            said = self._look()
        except FileNotFoundError:
            said = _STOP
        except (OSError, StorageLost):
            self._blind += 1
            if self._blind > _BLIND_LOOKS:
                self._stop.set()
            return False
        self._blind = 0
        alive = said not in (self.said, "", _STOP)  # empty: just being written
        self._in_vain = 0 if alive else self._in_vain + 1
        if said == _STOP or self._in_vain >= _LOOKS_IN_VAIN:
            self._stop.set()
        self.said = said or self.said
        return alive


_watched: Lease | None = None
_beginning = threading.Lock()


def watch(lease: Lease, counts: Callable[[], dict[str, int]], patient: Stores) -> int:
    """Makes STOP of this worker process follow a lease; returns once the launcher was seen to be alive, or STOP is set.

    A process works for one run at a time. In the launcher's own process there is nothing to do: it sets STOP itself.

    Args:
        lease: of the run.
        counts: what this process counted so far.
        patient: the same storage, for the first look: it must succeed.

    Returns:
        For how many seconds the launcher has been at it, roughly.

    Raises:
        OSError, StorageLost: if the lease is not there, or nothing can be written beside it.
    """
    global _watched
    with _beginning:
        if kept_here(lease) or lease == _watched:
            return 0
        STOP.clear()
        first = replace(lease, stores=patient)
        watching = Watch(first.read(), lease.read, STOP)  # before anything is written where it does not belong
        first.say(counts(), None)
        # A worker that is started anew after the launcher's death must not send for as long as it takes to find out.
        while not watching.once() and not STOP.wait(BEAT_S):
            pass
        _watched = lease
        arguments: tuple[Any, ...] = (lease, watching, counts)
        threading.Thread(target=_follow, args=arguments, name="lease", daemon=True).start()
        return int(watching.said) if watching.said.isdecimal() else 0


def _follow(lease: Lease, watching: Watch, counts: Callable[[], dict[str, int]]) -> None:
    said: dict[str, int] = {}
    waited = False
    while not STOP.wait(BEAT_S) and lease == _watched:
        watching.once()
        wait = PROGRESS.waits.longest
        if wait or counts() != said or waited:
            said, waited = counts(), wait is not None
            with suppress(OSError, StorageLost):
                lease.say(said, None, wait)
