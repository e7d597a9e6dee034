"""Threads that decode, and the last line against a picture that would never end: it is given up, with its thread.

The first line is a walk over what a file asks for, before it is decoded (`hs/pictures/work.py`). Threads cannot be
ended from outside: one that is given up goes on, nobody waits for it, another takes its place, and it does not keep the
process from ending. What it took is its own processor time, not the clock's: a busy machine makes no picture costly.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from hs.pictures.room import ROOM

T = TypeVar("T")

_MOST_GIVEN_UP = 4  # at once: they share the cores with those that work, and each may hold memory
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Task:
    """Work to do, what stands for its result if it is given up, and what it is about, for people."""

    work: Callable[[], Any]
    otherwise: Callable[[], Any]
    about: str
    future: Future[Any]


class _Turn(NamedTuple):
    """A thread at work, and how much its clock of processor time had counted as it began."""

    thread: threading.Thread
    clock: int
    began_s: float


class DecodingThreads:
    """Does work in threads; gives up what takes more than so much processor time.

    Args:
        threads: that work at once.
        max_s: of processor time that one piece of work may take.
    """

    def __init__(self, threads: int, max_s: float) -> None:
        self.trouble: str | None = None
        self._max_s = max_s
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._turns: dict[_Task, _Turn] = {}  # whoever takes a task out of it, its thread or the watch, settles it
        self._given_up: list[threading.Thread] = []
        self._closed = threading.Event()
        for _ in range(threads):
            self._start(self._work, "decode")
        self._start(self._watch, "watch decoding")

    def submit(self, work: Callable[[], T], otherwise: Callable[[], T], about: str) -> Future[T]:
        """The future result of `work`.

        Args:
            work: to do in a thread.
            otherwise: gives the result where that was given up; in another thread.
            about: what it is, for people.
        """
        task = _Task(work, otherwise, about, Future())
        self._tasks.put(task)
        return task.future

    def close(self) -> None:
        """Lets threads end after what they are at; what none of them has begun is not done any more."""
        self._closed.set()
        self._tasks.put(None)

    def _start(self, loop: Callable[[], None], name: str) -> None:
        threading.Thread(target=loop, name=name, daemon=True).start()

    def _work(self) -> None:
        me, clock = threading.current_thread(), time.pthread_getcpuclockid(threading.get_ident())
        while (task := self._tasks.get()) and not self._closed.is_set():
            self._turns[task] = _Turn(me, clock, time.clock_gettime(clock))
            done = _settling(task.future, task.otherwise if self.trouble else task.work)
            if self._turns.pop(task, None) is None:  # given up meanwhile: another thread is in our place
                return
            done()
            del task, done  # an idle thread would keep a picture in memory
        self._tasks.put(None)  # the next one shall end, too

    def _watch(self) -> None:
        while not self._closed.wait(min(1.0, self._max_s / 4)):
            for task, turn in list(self._turns.items()):
                if _spent_s(turn) > self._max_s and self._turns.pop(task, None) is not None:
                    self._give_up(task, turn.thread)

    def _give_up(self, task: _Task, thread: threading.Thread) -> None:
        _log.warning("given up after %g s of decoding: %s", self._max_s, task.about)
        ROOM.give_up(thread)
        self._given_up = [*(one for one in self._given_up if one.is_alive()), thread]
        if len(self._given_up) > _MOST_GIVEN_UP and not self.trouble:
            self.trouble = (
                f"{len(self._given_up)} pictures took more than {self._max_s:g} s each to decode "
                f"(pictures.max_decoding_s) and cannot be ended; the latest: {task.about}"
            )
        self._start(self._work, "decode")
        _settling(task.future, task.otherwise)()


def _spent_s(turn: _Turn) -> float:
    with suppress(OSError):  # its thread has ended
        return time.clock_gettime(turn.clock) - turn.began_s
    return 0.0


def _settling(future: Future[Any], work: Callable[[], Any]) -> Callable[[], None]:
    """Does work; what it gives or raises is the future's when the result is called."""
    try:
        return partial(future.set_result, work())
    except BaseException as error:  # whoever waits for the future is told
        return partial(future.set_exception, error)
