"""How many pictures a request may hold after the server ran out of memory: pure arithmetic."""

from collections.abc import Callable

import pytest

from serving.client.rows_that_fit import RowsThatFit


def send(fit: RowsThatFit, rows: int, memory: int) -> list[tuple[int, bool]]:
    """Sends a batch to a server whose memory holds so many pictures: sizes of the requests, and whether they fitted."""
    sent, left = [], rows
    while left:
        size = fit.take(left)
        fits = size <= memory
        sent.append((size, fits))
        fit.answered(size) if fits else fit.refused(size)
        left -= size * fits
    return sent


def test_a_batch_too_large_is_halved_until_it_fits_and_that_is_remembered():
    fit = RowsThatFit()

    first, again = send(fit, 64, memory=20), send(fit, 64, memory=20)

    assert first == [(64, False), (32, False), *[(16, True)] * 4]
    assert again == [(16, True)] * 4


def test_full_batches_come_back_once_the_memory_does():
    fit = RowsThatFit()
    send(fit, 64, memory=1)

    batches = 0
    while send(fit, 64, memory=1000) != [(64, True)]:
        batches += 1

    assert batches < 100


@pytest.mark.parametrize(("rows", "memory"), [(64, 40), (64, 1), (136, 100), (50, 49), (3, 2)])
def test_a_memory_that_stays_small_is_tried_in_vain_by_one_request_in_65(rows, memory):
    fit = RowsThatFit()
    send(fit, rows, memory)

    sent = [one for _ in range(2000) for one in send(fit, rows, memory)]

    assert sum(not fits for _, fits in sent) <= len(sent) / 65


@pytest.fixture
def due() -> RowsThatFit:
    """What fits is 32, and something larger is about to be tried."""
    fit = RowsThatFit()
    fit.refused(64)
    for _ in range(64):
        fit.answered(32)
    return fit


def test_one_request_alone_tries_a_larger_size(due):
    assert [due.take(64) for _ in range(3)] == [64, 32, 32]


def test_no_more_is_tried_than_is_there(due):
    assert due.take(40) == 40


@pytest.mark.parametrize(
    ("happens", "then"),
    [
        (lambda fit: fit.answered(64), 64),
        (lambda fit: fit.refused(64), 32),
        (lambda fit: fit.answered(32), 32),  # another request's: the trial is still under way
    ],
)
def test_a_trial_decides_for_all(due: RowsThatFit, happens: Callable[[RowsThatFit], None], then: int):
    due.take(64)

    happens(due)

    assert due.take(64) == then


def test_a_large_request_that_was_under_way_already_when_another_was_refused_proves_nothing():
    fit = RowsThatFit()
    fit.refused(64)

    fit.answered(64)
    fit.refused(64)

    assert fit.take(64) == 32


def test_rests_of_batches_do_not_count_as_answers_at_the_size():
    fit = RowsThatFit()
    fit.refused(64)

    for _ in range(1000):
        fit.answered(5)

    assert fit.take(64) == 32
