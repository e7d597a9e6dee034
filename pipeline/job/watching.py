"""A worker's end of a lease: where the launcher shows no sign of life nothing is sent, and in the end the work is over.

Clocks are never compared: a worker counts how often it found the same number. A launcher that was suspended, or whose
PUT took long, is believed again with the next number; where a worker cannot look, that says nothing yet.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hs.errors import StorageLost
from hs.storage.stores import Stores
from pipeline.job.in_process import MAY_SEND, PROGRESS, STOP
from pipeline.job.keeping import kept_here
from pipeline.job.lease import BEAT_S, SAID_STOP, Lease

_log = logging.getLogger("hs_audit.run")
_LOOKS_BEFORE_SILENCE = 7  # as many seconds; with the look before and the request on its way that stays below ten
_LOOKS_BEFORE_THE_END = 60
_BLIND_LOOKS = 120  # so long may the storage be away before a worker no longer believes in its launcher


class Watch:
    """Looks every second, and says by two events what that means for the work.

    Args:
        said: what the lease said at first.
        look: what it says; raises as `Lease.read` does.
        stop: set when the work is over.
        may_send: not set while nothing may be sent to the model server.
    """

    def __init__(self, said: str, look: Callable[[], str], stop: threading.Event, may_send: threading.Event) -> None:
        self.said, self._look, self._stop, self._may_send = said, look, stop, may_send
        self._in_vain = self._blind = 0

    def once(self) -> bool:
        """Looks; whether the launcher was seen to be alive."""
        try:
            said = self._look()
        except FileNotFoundError:
            said = SAID_STOP
        except (OSError, StorageLost):
            self._blind += 1
            if self._blind > _BLIND_LOOKS:
                self._stop.set()
            return False
        self._blind = 0
        alive = said not in (self.said, "", SAID_STOP)  # empty: just being written
        self._in_vain = 0 if alive else self._in_vain + 1
        if said == SAID_STOP or self._in_vain >= _LOOKS_BEFORE_THE_END:
            self._stop.set()
        self._send_or_wait(alive)
        self.said = said or self.said
        return alive

    def _send_or_wait(self, alive: bool) -> None:
        if alive and not self._may_send.is_set():
            _log.warning("the launcher is there again: pictures are sent on")
            self._may_send.set()
        elif self._in_vain == _LOOKS_BEFORE_SILENCE:
            _log.warning("no sign of life of the launcher: nothing is sent until there is one")
            self._may_send.clear()


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
        MAY_SEND.set()
        first = replace(lease, stores=patient)
        # Read before anything is written where it does not belong.
        watching = Watch(first.read(), lease.read, STOP, MAY_SEND)
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
