"""What the launcher and the transforms share where the runner works in the launcher's own process.

On a cluster each worker has its own copy, which nobody sets or reads; the launcher cancels the job instead.
"""

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TypeVar

from hs.errors import Interrupted
from hs.storage.patience import STOP as STOP  # one for all: nobody waits for a storage either
from serving.client.waits import Waits

T = TypeVar("T")

MAY_SEND = threading.Event()  # not set in a worker that sees no sign of life of its launcher: see pipeline.job.watching
MAY_SEND.set()


class Progress:
    """How far the run is: its id, its step, how many declarations of how many have their finding, what it waits for."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A run begins; the run before it in this process is forgotten."""
        self.run_id: str | None = None  # until the model is resolved
        self.step = "starting"
        self.declarations = 0
        self.total = 0
        self.waits = Waits()


PROGRESS = Progress()


def wait_unless_stopped(future: Future[T]) -> T:
    """The result of a future.

    Raises:
        Interrupted: if the run is stopped before it is there.
    """
    while not STOP.is_set():
        try:
            return future.result(timeout=0.2)  # whoever sets STOP does not wake us
        except NotYet:
            if future.done():  # in this very moment; or the work's own TimeoutError, which is of the same class
                return future.result()
    raise Interrupted("interrupted")
