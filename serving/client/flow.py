"""How many requests may be in flight, how long to wait after a refusal, and when the server counts as away.

The limit falls by one when the server refuses for being busy, at most once per round trip, and rises by one after a
stretch of answers without a refusal: long enough that a full queue is asked in vain at most once in some fifteen
requests.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_ANSWERS_BEFORE_GROWTH = 16
_LEAST = 2  # with one alone the server idles while its answer travels
_LONGEST_WAIT_S = 5.0  # so long may a server be back without our knowing
_CIRCUIT_OPENS_AFTER_S = 1.0  # a request sent in vain is 10 MB, asking how the server is a few bytes


@dataclass
class Counters:
    """What a client did.

    Attributes:
        requests: sent, the repeated ones included.
        retries: sent again.
        rows: pictures that were answered.
        bytes_sent: of requests.
        waits: how often it waited for a busy or absent server.
        waited_s: how long, over all threads.
    """

    requests: int = 0
    retries: int = 0
    rows: int = 0
    bytes_sent: int = 0
    waits: int = 0
    waited_s: float = 0.0


class Flow:
    """Shared by all threads of a client.

    Args:
        most: requests in flight at most.
        outage_budget_s: how long the server may stay away.
        stopped: whether waits shall end.
        clock: seconds.
    """

    def __init__(
        self,
        most: int,
        outage_budget_s: float,
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit, self.counters = most, Counters()
        self._most, self._least, self._budget_s = most, min(_LEAST, most), outage_budget_s
        self._stopped, self._clock = stopped, clock
        self._changed = threading.Condition()
        self._in_flight = 0
        self._answers = 0
        self._shrunk_at = float("-inf")
        self._service_s = 0.05  # a guess, until the first answers
        self._away_since: float | None = None
        self._circuit_closed_at = float("-inf")

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Holds a place among the requests in flight; gives False where the work was stopped instead."""
        with self._changed:
            while self._in_flight >= self.limit and not self._stopped():
                self._changed.wait(0.2)  # whoever stops the work tells nobody here
            self._in_flight += 1
        try:
            yield not self._stopped()
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def sent(self, size: int, again: bool) -> None:
        """Counts a request of so many bytes."""
        with self._changed:
            self.counters.requests += 1
            self.counters.retries += again
            self.counters.bytes_sent += size

    def answered(self, rows: int, took_s: float) -> None:
        """The server is there and well."""
        with self._changed:
            self.counters.rows += rows
            self._service_s += 0.2 * (took_s - self._service_s)  # one slow answer does not make all waits long
            self._away_since = None
            self._answers += 1
            if self._answers >= _ANSWERS_BEFORE_GROWTH:
                self._answers = 0
                self.limit = min(self.limit + 1, self._most)
                self._changed.notify_all()

    def refused(self) -> None:
        """The server is busy, slow or away."""
        with self._changed:
            self._answers = 0
            if self._clock() - self._shrunk_at > self._service_s:  # what was sent together is refused together
                self._shrunk_at = self._clock()
                self.limit = max(self.limit - 1, self._least)

    def next_wait_s(self) -> float | None:
        """Seconds to wait at most: a service time first, a tenth of the outage later; None: the budget is spent."""
        with self._changed:
            now = self._clock()
            self._away_since = now if self._away_since is None else self._away_since
            away_s = now - self._away_since
            if away_s >= self._budget_s:
                return None
            # A hundredth beyond the budget, or the last wait could end just before it and be followed by tiny ones.
            return min(max(self._service_s, away_s / 10), _LONGEST_WAIT_S, self._budget_s - away_s + 0.01)

    def waited(self, seconds: float) -> None:
        """Counts a wait."""
        with self._changed:
            self.counters.waits += 1
            self.counters.waited_s += seconds

    @property
    def away_since(self) -> float | None:
        """When the outage began that goes on, by the clock; None where there is none."""
        return self._away_since

    @property
    def circuit_open(self) -> bool:
        """Whether nothing was answered for so long that the server should be asked how it is before it gets more."""
        since = self._away_since  # read once: an answer to another thread may end the outage meanwhile
        return since is not None and self._clock() - max(since, self._circuit_closed_at) > _CIRCUIT_OPENS_AFTER_S

    def close_circuit(self) -> None:
        """The server says that it is well, though it has answered nothing yet."""
        self._circuit_closed_at = self._clock()
