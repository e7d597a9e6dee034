"""Concurrent requests merged into batches, as TF Serving's `--enable_batching` does.

    requests ──► open batch of their signature ──► queue of batches ──► threads ──► one call of the model each

A batch is closed when the next request would not fit; a thread takes it when it is closed or has waited long enough.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from grpc import StatusCode

from hs.errors import UsageError
from serving.server.config_files import BatchingParameters, read_text_file
from serving.server.refusal import Refusal, invalid

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batching:
    """How requests are merged; the defaults are TF Serving's.

    Attributes:
        max_batch_size: rows in a batch.
        timeout_s: how long an open batch waits for more.
        max_enqueued_batches: batches that wait for a thread; more are refused.
        threads: batches that are computed at once.
        allowed_sizes: rows that a batch is filled up to, ascending; empty leaves it as it is.
    """

    max_batch_size: int = 1000
    timeout_s: float = 0.0
    max_enqueued_batches: int = 10
    threads: int = os.cpu_count() or 1
    allowed_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.max_batch_size, self.max_enqueued_batches, self.threads) < 1 or self.timeout_s < 0:
            raise UsageError("batching parameters must be at least 1, the timeout at least 0")
        if self.allowed_sizes and (
            list(self.allowed_sizes) != sorted(set(self.allowed_sizes)) or self.allowed_sizes[-1] != self.max_batch_size
        ):
            raise UsageError("allowed_batch_sizes must ascend, and the last one must be max_batch_size")

    def filled(self, rows: int) -> int:
        """The smallest allowed size for so many rows."""
        return next((size for size in self.allowed_sizes if size >= rows), rows)


def read_batching(path: Path | None) -> Batching:
    """Reads a BatchingParameters file; what it leaves out keeps its default.

    Raises:
        UsageError: if it cannot be read, or its values cannot be.
    """
    if path is None:
        return Batching()
    written = read_text_file(path, BatchingParameters)
    names = {
        "max_batch_size": "max_batch_size",
        "max_enqueued_batches": "max_enqueued_batches",
        "num_batch_threads": "threads",
    }
    given = {ours: getattr(written, theirs).value for theirs, ours in names.items() if written.HasField(theirs)}
    if written.HasField("batch_timeout_micros"):
        given["timeout_s"] = written.batch_timeout_micros.value / 1e6
    return Batching(**given, allowed_sizes=tuple(written.allowed_batch_sizes))


@dataclass(eq=False)
class _Request:
    inputs: Arrays
    rows: int
    done: threading.Event = field(default_factory=threading.Event)
    outputs: Arrays = field(default_factory=dict)
    refusal: Refusal | None = None


@dataclass(eq=False)
class _Batch:
    signature: str
    opened_at: float
    requests: list[_Request] = field(default_factory=list)
    closed: bool = False

    @property
    def rows(self) -> int:
        return sum(request.rows for request in self.requests)


class Batcher:
    """Merges what is asked at the same time.

    Args:
        batching: how.
        compute: (signature, inputs) → outputs, all with the rows as first dimension.
    """

    def __init__(self, batching: Batching, compute: Callable[[str, Arrays], Arrays]) -> None:
        self._batching, self._compute = batching, compute
        self._changed = threading.Condition()
        self._queue: deque[_Batch] = deque()
        self._open: dict[Hashable, _Batch] = {}
        self._closing = False
        for number in range(batching.threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def close(self) -> None:
        """Ends the threads once the queue is empty."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def run(self, signature: str, inputs: Arrays) -> Arrays:
        """Waits until a batch with these inputs was computed, and returns the rows that are theirs.

        Raises:
            Refusal: INVALID_ARGUMENT if the inputs are no rows or too many, UNAVAILABLE if the queue is full, or
                whatever the batch was refused with.
        """
        request = _Request(inputs, self._rows(inputs))
        if not request.rows:  # it has no row to fill a batch up with, which would fail for all who share it
            return self._compute(signature, inputs)
        # Requests of one signature whose rows differ in shape cannot be merged; TF Serving lets the whole batch fail.
        likeness = (signature, *((name, array.shape[1:]) for name, array in sorted(inputs.items())))
        with self._changed:
            closing = self._closing  # looked at under the lock: whoever is enqueued before it closes is still computed
            if not closing:
                self._enqueue(likeness, signature, request)
                self._changed.notify_all()
        if closing:  # the version is going, and its threads with it: whoever found it just before is answered alone
            return self._compute(signature, inputs)
        request.done.wait()
        if request.refusal:
            raise request.refusal
        return request.outputs

    def _rows(self, inputs: Arrays) -> int:
        if any(array.ndim == 0 for array in inputs.values()):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes = {len(array) for array in inputs.values()}
        if len(sizes) != 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        (rows,) = sizes
        if rows > self._batching.max_batch_size:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {self._batching.max_batch_size}")
        return rows

    def _enqueue(self, likeness: Hashable, signature: str, request: _Request) -> None:
        batch = self._open.get(likeness)
        if batch and batch.rows + request.rows <= self._batching.max_batch_size:
            batch.requests.append(request)  # also where the queue is full: this batch has its place in it
            return
        if len(self._queue) >= self._batching.max_enqueued_batches:
            raise Refusal(StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
        if batch:
            batch.closed = True
        self._open[likeness] = batch = _Batch(signature, time.monotonic(), [request])
        self._queue.append(batch)

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._answer(batch)
            except Refusal as error:
                refusal = error
            except Exception as error:  # whatever a model raises: a dead thread would leave its callers waiting
                refusal = Refusal(StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
            else:
                continue
            for request in batch.requests:
                request.refusal = refusal
                request.done.set()

    def _next(self) -> _Batch | None:
        """The first batch that is due, once there is one; None when closing and nothing is left."""
        with self._changed:
            while True:
                now = time.monotonic()
                for batch in self._queue:
                    if batch.closed or self._closing or self._due_in(batch, now) <= 0:
                        self._queue.remove(batch)  # not always the first: a full one is due at once
                        self._open = {likeness: other for likeness, other in self._open.items() if other is not batch}
                        return batch
                if self._closing:
                    return None
                self._changed.wait(min((self._due_in(batch, now) for batch in self._queue), default=None))

    def _due_in(self, batch: _Batch, now: float) -> float:
        full = batch.rows >= self._batching.max_batch_size
        return 0.0 if full else batch.opened_at + self._batching.timeout_s - now

    def _answer(self, batch: _Batch) -> None:
        requests, rows = batch.requests, batch.rows
        missing = self._batching.filled(rows) - rows
        inputs = {}
        for name, first in requests[0].inputs.items():
            parts = [request.inputs[name] for request in requests]
            if missing:
                parts.append(np.repeat(first[:1], missing, axis=0))  # a row that the model takes; zeros may be none
            inputs[name] = np.concatenate(parts) if len(parts) > 1 else parts[0]  # one alone is not copied
        outputs = self._compute(batch.signature, inputs)
        if any(array.ndim == 0 or len(array) != rows + missing for array in outputs.values()):
            raise Refusal(
                StatusCode.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
        start = 0
        for request in requests:
            request.outputs = {name: array[start : start + request.rows] for name, array in outputs.items()}
            start += request.rows
            request.done.set()
