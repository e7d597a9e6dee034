"""Throughput with a server that refuses, or goes away: side by side with one that does not."""

import random
import statistics
import threading
import time

import pytest
from grpc import StatusCode

from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.load_generator import Throughput, generate_load
from serving.fake import Cost, FakeServer, Spoil, plain_model
from serving.messages import PredictResponse

MODEL = plain_model("392690", "732690", "870829")
COST = Cost(per_request_s=0.003, per_picture_s=0.001)
BATCH = 64


def refuses(share: float) -> Spoil:
    """Some of the requests for pictures are told that the queue is full."""
    draw = random.Random(0)
    full = (StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
    return lambda request, response: full if isinstance(response, PredictResponse) and draw.random() < share else None


def load_of(server: FakeServer) -> Throughput:
    with server.listening() as address:
        client = Client(Connection(address, in_flight=4))
        load = generate_load(client, client.resolve("hs"), BATCH, 4, seconds=2.0)
        client.close()
    assert load.fault is None
    assert server.answered.pictures == load.pictures  # nothing lost, nothing twice
    return load


@pytest.mark.slow
def test_one_refusal_in_five_costs_no_more_than_a_fifth():
    ratios = []
    for _ in range(5):
        undisturbed = load_of(FakeServer(MODEL, cost=COST))
        disturbed = load_of(FakeServer(MODEL, cost=COST, spoil=refuses(0.2)))
        ratios.append(disturbed.pictures_per_s / undisturbed.pictures_per_s)

    assert statistics.median(ratios) >= 0.8, ratios


@pytest.mark.slow
def test_an_outage_of_ten_seconds_costs_no_more_than_thirteen():
    requests = 60
    undisturbed_s = COST.of(BATCH) * requests
    server = FakeServer(MODEL, cost=COST)
    first = server.listening()
    address = first.__enter__()
    client = Client(Connection(address, in_flight=4))
    model = client.resolve("hs")

    def outage() -> None:
        time.sleep(1.0)
        first.__exit__(None, None, None)
        time.sleep(10.0)
        with server.listening(address):
            done.wait()

    done = threading.Event()
    thread = threading.Thread(target=outage)
    thread.start()
    load = generate_load(client, model, BATCH, 4, 0.0, requests // 4)
    done.set()
    thread.join()
    client.close()

    assert load.fault is None
    assert load.pictures == requests * BATCH
    assert load.seconds <= undisturbed_s * 1.2 + 13


@pytest.mark.endurance
def test_a_queue_too_short_is_asked_in_vain_by_one_request_in_ten_at_most():
    server = FakeServer(MODEL, cost=Cost(COST.per_request_s, COST.per_picture_s / 4, queue=1))
    with server.listening() as address:
        client = Client(Connection(address, in_flight=8))
        model = client.resolve("hs")
        generate_load(client, model, BATCH, 8, 30.0)
        before, refused_before = client.counters, server.answered.refused
        load = generate_load(client, model, BATCH, 8, 10.0)
        after = client.counters
        client.close()

    assert load.fault is None
    assert server.answered.refused - refused_before <= 0.1 * (after.requests - before.requests)
