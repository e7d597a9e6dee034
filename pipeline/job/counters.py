"""What a run counts as it works, so that its progress is seen on any engine: Flink and others show these by name."""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from apache_beam.metrics import Metrics

from pipeline.job.in_process import wait_unless_stopped

T = TypeVar("T")
OURS = "hs_audit"
_counted: dict[str, int] = {}
_elsewhere: dict[str, int] = {}
_counting = threading.Lock()


class Counter:
    """One of Beam's, which also counts for this process: some engines show theirs only when all is over."""

    def __init__(self, name: str) -> None:
        self._name, self._beams = name, Metrics.counter(OURS, name)

    def inc(self, more: int = 1) -> None:
        """Counts."""
        self._beams.inc(more)
        _count(self._name, more)


DECLARATIONS = Counter("declarations")  # that have their finding
DEAD_LETTERS = Counter("dead_letters")
PICTURES = Counter("pictures")
REQUESTS = Counter("requests")
LOOKED_UP = Counter("looked_up")  # pictures that precedents were asked for
ANSWER_WAITS_MS = Metrics.distribution(OURS, "answer_waits_ms")  # near 0 where decoding is what takes long


def counted_wait(future: Future[T]) -> T:
    """Waits for an answer and counts how long."""
    started = time.monotonic()
    try:
        return wait_unless_stopped(future)
    finally:
        waited_ms = int((time.monotonic() - started) * 1000)
        ANSWER_WAITS_MS.update(waited_ms)
        _count("answer_waits_ms", waited_ms)


def counted_here() -> dict[str, int]:
    """Name → what this process counted in its run."""
    with _counting:
        return dict(_counted)


def counted_in_all() -> dict[str, int]:
    """Name → what the run counted so far, in its launcher; more than there is where an engine tried something again."""
    with _counting:
        return dict(_elsewhere or _counted)


def counted_elsewhere(counts: Iterable[Mapping[str, int]]) -> None:
    """Takes what each of the workers counted, or the engine."""
    with _counting:
        _elsewhere.clear()
        for one in counts:
            for name, count in one.items():
                _elsewhere[name] = _elsewhere.get(name, 0) + count


def counted_exactly(counts: Mapping[str, int]) -> None:
    """Takes what is known for sure in the end: what is said of the last second of a worker may be missing till then."""
    with _counting:
        _elsewhere.update(_elsewhere or _counted, **counts)


def forget_counts() -> None:
    """Begins at nothing, as a run does."""
    with _counting:
        _counted.clear()
        _elsewhere.clear()


def _count(name: str, more: int) -> None:
    with _counting:
        _counted[name] = _counted.get(name, 0) + more
