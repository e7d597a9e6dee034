"""The fake server that is shipped for tests of others: it does what its docstring says."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from grpc import StatusCode

from serving.client.client import Client
from serving.client.connection import Connection
from serving.fake import Cost, FakeServer, plain_model
from serving.messages import PredictResponse
from serving.tensors import to_tensor

MODEL = plain_model("392690", "870829", height=8, width=9)
IMAGES = np.zeros((5, 8, 9, 3), np.uint8)


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer(MODEL, probabilities=(0.25, 0.75))


@pytest.fixture
def client(fake: FakeServer) -> Iterator[Client]:
    with fake.listening() as address:
        client = Client(Connection(address))
        yield client
        client.close()


def test_what_it_serves_is_resolved_and_answered(fake, client):
    model = client.resolve("hs")
    answer = client.classify(model, IMAGES)

    assert model == MODEL
    assert answer.probabilities.tolist() == [[0.25, 0.75]] * 5
    assert (fake.answered.pictures, fake.answered.requests, fake.answered.refused) == (5, 1, 0)


def test_a_fault_comes_first_and_is_counted(fake, client):
    faults = [(StatusCode.INTERNAL, "boom")]
    fake.spoil = lambda request, response: faults.pop() if faults else None

    answer = client.classify(MODEL, IMAGES)

    assert answer.fault is None
    assert (fake.answered.requests, fake.answered.refused) == (1, 1)


def test_an_answer_can_be_spoiled(fake, client):
    def spoil(request: object, response: PredictResponse) -> None:
        response.outputs["probabilities"].CopyFrom(to_tensor(np.full((5, 2), 0.7, np.float32)))

    fake.spoil = spoil
    client.classify(MODEL, IMAGES)

    assert "do not sum to 1" in str(client.trouble)


def test_pictures_of_another_size_are_refused(client):
    turned = plain_model("392690", "870829", height=9, width=8)

    answer = client.classify(turned, np.zeros((1, 9, 8, 3), np.uint8))

    assert answer.fault == "INVALID_ARGUMENT: pictures of another size are expected, got [1, 9, 8, 3]"


def test_a_request_that_finds_the_queue_full_is_told_so():
    fake, computing = FakeServer(MODEL, cost=Cost(queue=0)), threading.Event()
    fake.compute = lambda pictures: computing.wait(30)
    with fake.listening() as address, ThreadPoolExecutor(2) as threads:
        client = Client(Connection(address))
        answers = [threads.submit(client.classify, MODEL, IMAGES) for _ in range(2)]
        while not fake.answered.refused:
            threading.Event().wait(0.01)
        computing.set()
        faults = [answer.result(timeout=30).fault for answer in answers]
        client.close()

    assert faults == [None, None]
    assert client.counters.waits >= 1


def test_a_request_costs_what_is_stated():
    fake = FakeServer(MODEL, cost=Cost(per_request_s=0.05, per_picture_s=0.01))
    with fake.listening() as address:
        client = Client(Connection(address))
        client.classify(MODEL, IMAGES)
        client.close()

    assert fake.answered.ended_at - fake.answered.began_at >= 0.1


def test_it_may_stop_and_come_back_at_its_address_and_counts_on():
    fake = FakeServer(MODEL)
    with fake.listening() as address:
        client = Client(Connection(address))
        client.classify(MODEL, IMAGES)
    with fake.listening(address):
        answer = client.classify(MODEL, IMAGES)
        client.close()

    assert answer.fault is None
    assert fake.answered.requests == 2
