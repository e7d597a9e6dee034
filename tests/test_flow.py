"""How many requests are in flight: pure arithmetic, with a clock of its own."""

import threading

import pytest

from serving.client.flow import Flow


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def flow(clock: Clock, most: int = 8, budget_s: float = 60.0) -> Flow:
    return Flow(most, budget_s, lambda: False, clock)


def test_a_busy_server_gets_fewer_requests_at_most_one_less_per_round_trip(clock):
    busy = flow(clock)

    for _ in range(5):
        busy.refused()
    at_once = busy.limit
    clock.now += 1
    busy.refused()

    assert (at_once, busy.limit) == (7, 6)


def test_it_never_falls_below_two_and_grows_back_to_what_was_set(clock):
    busy = flow(clock, most=4)
    for _ in range(10):
        clock.now += 1
        busy.refused()
    least = busy.limit
    for _ in range(100):
        busy.answered(1, 0.01)

    assert (least, busy.limit) == (2, 4)


def test_one_request_at_a_time_stays_one(clock):
    single = flow(clock, most=1)
    single.refused()

    assert single.limit == 1


def test_a_queue_that_holds_three_is_asked_in_vain_for_one_request_in_ten_at_most(clock):
    adapting, refusals = flow(clock), []

    for _ in range(600):
        clock.now += 0.1
        refused = adapting.limit > 3
        refusals.append(refused)
        adapting.refused() if refused else adapting.answered(1, 0.05)

    assert sum(refusals[300:]) <= 30


def test_the_first_wait_is_a_service_time_and_later_ones_a_tenth_of_the_outage(clock):
    waiting = flow(clock)
    for _ in range(50):
        waiting.answered(1, 0.3)

    first = waiting.next_wait_s()
    clock.now += 20
    later = waiting.next_wait_s()
    clock.now += 40

    assert first == pytest.approx(0.3, rel=0.01)
    assert later == pytest.approx(2.0)
    assert waiting.next_wait_s() is None


def test_an_answer_ends_the_outage(clock):
    waiting = flow(clock)
    waiting.next_wait_s()
    clock.now += 59
    waiting.answered(1, 0.1)
    clock.now += 59

    assert waiting.next_wait_s() is not None


def test_no_more_than_the_limit_is_in_flight_at_any_time(clock):
    limited, held, most = flow(clock, most=3), 0, 0
    lock = threading.Lock()

    def work():
        nonlocal held, most
        for _ in range(50):
            with limited.slot():
                with lock:
                    held += 1
                    most = max(most, held)
                with lock:
                    held -= 1

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most <= 3
