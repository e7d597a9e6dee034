"""What a program waits for, shared by its threads, so that it can say so while it does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Wait:
    """A wait that goes on.

    Attributes:
        what: is waited for.
        since: when it began, by the clock of `time.monotonic`.
        until: when it is given up; None where there is no limit.
        said: the last word of what is waited for, such as a status code.
    """

    what: str
    since: float
    until: float | None = None
    said: str = ""

    def in_words(self, now: float) -> str:
        """What is waited for, how long already, and how long still.

        >>> Wait("the model server", since=100, until=1000, said="UNAVAILABLE").in_words(now=140)
        'waiting for the model server for 40 s (UNAVAILABLE), gives up in 14 min'
        """
        said = f" ({self.said})" if self.said else ""
        end = "no limit" if self.until is None else f"gives up in {_duration(max(0.0, self.until - now))}"
        return f"waiting for {self.what} for {_duration(now - self.since)}{said}, {end}"


class Waits:
    """The waits of a program that go on, each under a name of whoever waits."""

    def __init__(self) -> None:
        self._going_on: dict[object, Wait] = {}
        self._lock = threading.Lock()

    def begin(self, who: object, wait: Wait) -> None:
        """Somebody waits, still or from now on."""
        with self._lock:
            self._going_on[who] = wait

    def end(self, who: object) -> None:
        """Somebody waits no longer, if it did."""
        if self._going_on:  # the usual case takes no lock: this is called after every answer
            with self._lock:
                self._going_on.pop(who, None)

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """A wait as long as the context, without a limit."""
        who = object()
        self.begin(who, Wait(what, time.monotonic()))
        try:
            yield
        finally:
            self.end(who)

    @property
    def longest(self) -> Wait | None:
        """The one that began first."""
        with self._lock:
            return min(self._going_on.values(), key=lambda wait: wait.since, default=None)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
