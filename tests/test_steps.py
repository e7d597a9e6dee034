"""How far a long computation is, as a log and a terminal show it."""

import io

import pytest
from rich.console import Console

from hs_audit.steps import Steps


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lines_of(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_a_log_tells_each_half_minute_how_fast_pictures_are_looked_at_and_how_long_it_takes(clock):
    console = Console(file=io.StringIO(), width=200)

    with Steps(console, clock) as steps, steps.step("looking", 2640) as advance:
        advance(0)
        for _ in range(165):
            clock.now += 0.4
            advance(16, pictures=24)

    assert lines_of(console) == [
        "looking: 1,200 of 2,640, 60 pictures/s, 36 s left",
        "looking: 2,400 of 2,640, 60 pictures/s, 6 s left",
        "looking: 66 s, 60 pictures/s",
    ]


def test_what_an_earlier_try_did_counts_for_how_far_it_is_and_not_for_how_fast(clock):
    console = Console(file=io.StringIO(), width=200)

    with Steps(console, clock) as steps, steps.step("looking", 10_000) as advance:
        advance(1000)
        clock.now += 30
        advance(900, pictures=900)
        clock.now += 30

    assert lines_of(console) == ["looking: 1,900 of 10,000, 30 pictures/s, 4 min left", "looking: 60 s, 15 pictures/s"]


def test_a_step_without_pictures_tells_how_long_it_takes(clock):
    console = Console(file=io.StringIO(), width=200)

    with Steps(console, clock) as steps, steps.step("learning", 100) as advance:
        advance(0)
        clock.now += 40
        advance(50)
        clock.now += 20
        advance(50)

    assert lines_of(console) == ["learning: 50 of 100, 40 s left", "learning: 60 s"]


def test_a_terminal_shows_the_speed_beside_the_bar(clock):
    console = Console(file=io.StringIO(), width=200, force_terminal=True)

    with Steps(console, clock) as steps, steps.step("looking", 100) as advance:
        advance(0)
        clock.now += 2
        advance(50, pictures=170)

    assert "looking, 85 pictures/s" in console.file.getvalue()
