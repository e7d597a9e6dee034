"""What a run counts as it works, so that its progress is seen on any engine: Flink and others show these by name."""

import time
from concurrent.futures import Future
from typing import TypeVar

from apache_beam.metrics import Metrics

from pipeline.job.in_process import wait_unless_stopped

T = TypeVar("T")
_OURS = "hs_audit"

DECLARATIONS = Metrics.counter(_OURS, "declarations")  # that have their finding
DEAD_LETTERS = Metrics.counter(_OURS, "dead_letters")
PICTURES = Metrics.counter(_OURS, "pictures")
REQUESTS = Metrics.counter(_OURS, "requests")
ANSWER_WAITS_MS = Metrics.distribution(_OURS, "answer_waits_ms")  # near 0 where decoding is what takes long


def counted_wait(future: Future[T]) -> T:
    """Waits for an answer and counts how long."""
    started = time.monotonic()
    try:
        return wait_unless_stopped(future)
    finally:
        ANSWER_WAITS_MS.update(int((time.monotonic() - started) * 1000))
