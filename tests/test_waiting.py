"""Waiting for what another thread does, while a run may be stopped."""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

import pytest

from hs.errors import Interrupted
from pipeline.job.in_process import STOP, wait_unless_stopped


class _DoneAtTheLastMoment(Future):
    """Has its result just when a wait for it was given up."""

    def result(self, timeout: float | None = None) -> object:
        if not self.done():
            self.set_result("here")
            raise NotYet
        return super().result(timeout)


def test_a_result_that_comes_as_the_wait_ends_is_the_result():
    assert wait_unless_stopped(_DoneAtTheLastMoment()) == "here"


def test_work_that_timed_out_itself_says_so():
    future: Future[None] = Future()
    future.set_exception(NotYet("its own"))

    with pytest.raises(NotYet, match="its own"):
        wait_unless_stopped(future)


def test_a_run_that_is_stopped_waits_no_longer(monkeypatch):
    monkeypatch.setattr(STOP, "is_set", lambda: True)

    with pytest.raises(Interrupted):
        wait_unless_stopped(Future())
