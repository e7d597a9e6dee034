"""The launcher's end of a lease: it is renewed every second, and what the workers say is heard."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from hs.errors import StorageLost
from pipeline.job.counters import counted_elsewhere, counted_in_all
from pipeline.job.in_process import PROGRESS, STOP
from pipeline.job.lease import BEAT_S, DIGITS, SAID_STOP, Lease, Worker

_log = logging.getLogger("hs_audit.run")
_BEATS_TO_HEAR = 5  # between two looks at the workers' files where each is a request
_SLOW_S = 5.0  # soon the workers wait for the next number


class Kept:
    """A lease whose number rises every second, until it says `stop`."""

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
                    self._write()
            if self._lease.folder.is_local or self._beats % _BEATS_TO_HEAR == 0:  # a request for each worker
                self.hear()
            self._away = False
        except (OSError, StorageLost) as error:
            if not self._away:  # once, and not every second of an outage
                _log.warning("the lease in %s cannot be renewed: %s", self._lease.folder, error)
            self._away = True

    def _write(self) -> None:
        began = time.monotonic()
        self._lease.write(f"{self._beats:0{DIGITS}d}")
        took_s = time.monotonic() - began
        if took_s > _SLOW_S:
            _log.warning(
                "renewing the lease in %s took %.0f s: workers may have waited for it", self._lease.folder, took_s
            )

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
                self._lease.write(SAID_STOP)
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
