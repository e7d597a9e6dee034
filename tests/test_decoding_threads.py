"""A picture that takes too much processor time is given up with its thread, and the run goes on without either."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hs.pictures.room import ROOM
from pipeline.job.decoding_threads import DecodingThreads

MAX_S = 0.05


@pytest.fixture
def threads() -> Iterator[DecodingThreads]:
    threads = DecodingThreads(2, MAX_S)
    yield threads
    threads.close()


@pytest.fixture
def endless() -> Iterator[Callable[[], None]]:
    """Work that takes processor time until the test is over."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            pass

    yield work
    over.set()


def test_work_that_takes_too_long_is_given_up_and_the_rest_is_done(threads, endless):
    futures = [threads.submit(endless, lambda: "given up", "a picture") for _ in range(2)]
    futures += [threads.submit(lambda: "done", lambda: "given up", "a picture") for _ in range(4)]

    assert [future.result(60) for future in futures] == ["given up"] * 2 + ["done"] * 4
    assert threads.trouble is None


def test_only_processor_time_counts_not_waiting(threads, endless):
    go_on = threading.Event()
    waiting = threads.submit(go_on.wait, lambda: "given up", "a picture")
    threads.submit(endless, lambda: None, "a picture").result(60)

    go_on.set()

    assert waiting.result(60) is True


def test_what_work_raises_is_raised_to_who_waits_for_it(threads):
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0, lambda: None, "a picture").result(60)


def test_too_many_at_once_are_trouble_and_what_is_left_is_not_begun(threads, endless):
    for number in range(5):
        assert threads.trouble is None
        threads.submit(endless, lambda: None, f"picture {number}").result(60)

    assert threads.trouble == (
        "5 pictures took more than 0.05 s each to decode (pictures.max_decoding_s) and cannot be ended; "
        "the latest: picture 4"
    )
    assert threads.submit(lambda: "done", lambda: "not begun", "a picture").result(60) == "not begun"


def test_those_that_ended_after_all_are_no_trouble(threads):
    def slow() -> None:
        until = time.thread_time() + 3 * MAX_S
        while time.thread_time() < until:
            pass
        ended.set()

    for _ in range(7):
        ended = threading.Event()
        threads.submit(slow, lambda: None, "a picture").result(60)
        assert ended.wait(60)

    assert threads.trouble is None


def test_memory_of_a_picture_that_was_given_up_is_not_waited_for(threads, endless):
    def hold() -> None:
        with ROOM.of(70, most=100):
            endless()

    def ask(needed: int) -> str:
        with ROOM.of(needed, most=100):
            return "done"

    threads.submit(hold, lambda: None, "a picture").result(60)

    assert threads.submit(lambda: ask(30), lambda: None, "a picture").result(60) == "done"
    with pytest.raises(Exception, match="beside pictures that were given up"):
        threads.submit(lambda: ask(31), lambda: None, "a picture").result(60)


def test_a_process_ends_whatever_its_threads_are_at():
    program = """
from pipeline.job.decoding_threads import DecodingThreads
threads = DecodingThreads(2, 0.05)
def endless():
    while True:
        pass
for _ in range(2):
    threads.submit(endless, lambda: None, "a picture").result()
threads.submit(endless, lambda: None, "a picture")
threads.close()
"""

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
