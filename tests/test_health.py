"""Throughput with a server that refuses, or goes away: side by side with one that does not."""

import socket
import statistics
import threading
import time

import pytest

from benchmarks.stand_in import Cost, StandIn, listening
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.load_generator import Throughput, generate_load

COST = Cost(per_request_s=0.003, per_picture_s=0.001)
BATCH = 64


@pytest.fixture
def address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"localhost:{free.getsockname()[1]}"


def load_of(address: str, cost: Cost, seconds: float = 2.0, in_flight: int = 4) -> tuple[Throughput, StandIn]:
    stand_in = StandIn(cost)
    with listening(stand_in, address):
        client = Client(Connection(address, in_flight=in_flight))
        load = generate_load(client, client.resolve("hs"), BATCH, in_flight, seconds)
        client.close()
    assert load.fault is None
    assert stand_in.pictures == load.pictures  # nothing lost, nothing twice
    return load, stand_in


@pytest.mark.slow
def test_one_refusal_in_five_costs_no_more_than_a_fifth(address):
    refusing = Cost(COST.per_request_s, COST.per_picture_s, refused=0.2)
    ratios = []
    for _ in range(5):
        undisturbed, _ = load_of(address, COST)
        disturbed, _ = load_of(address, refusing)
        ratios.append(disturbed.pictures_per_s / undisturbed.pictures_per_s)

    assert statistics.median(ratios) >= 0.8, ratios


@pytest.mark.slow
def test_an_outage_of_ten_seconds_costs_no_more_than_thirteen(address):
    requests = 60
    undisturbed_s = COST.of(BATCH) * requests
    stand_in = StandIn(COST)
    first = listening(stand_in, address)
    first.__enter__()
    client = Client(Connection(address, in_flight=4))
    model = client.resolve("hs")

    def outage() -> None:
        time.sleep(1.0)
        first.__exit__(None, None, None)
        time.sleep(10.0)
        with listening(stand_in, address):
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
def test_a_queue_too_short_is_asked_in_vain_by_one_request_in_ten_at_most(address):
    short = Cost(COST.per_request_s, COST.per_picture_s / 4, queue=1)
    stand_in = StandIn(short)
    with listening(stand_in, address):
        client = Client(Connection(address, in_flight=8))
        model = client.resolve("hs")
        generate_load(client, model, BATCH, 8, 30.0)
        before, refused_before = client.counters, stand_in.refusals
        load = generate_load(client, model, BATCH, 8, 10.0)
        after = client.counters
        client.close()

    assert load.fault is None
    assert stand_in.refusals - refused_before <= 0.1 * (after.requests - before.requests)
