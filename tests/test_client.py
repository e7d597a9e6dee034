"""The client against a real gRPC server that misbehaves on demand."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from grpc import StatusCode

from hs.errors import ContractBroken, Interrupted, ServerUnreachable, UsageError
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.status_rules import Action, action_for
from serving.fake import FakeServer, Fault, plain_model
from serving.messages import GetModelStatusResponse, ModelVersionStatus
from serving.tensors import from_tensor, to_tensor

ROWS = 136
MODEL = plain_model("870829", "392690")
IMAGES = np.full((ROWS, 224, 224, 3), 200, np.uint8)  # 20 MB
AVAILABLE, LOADING = ModelVersionStatus.AVAILABLE, ModelVersionStatus.LOADING


class Script:
    """How the server misbehaves: faults as they are listed, or as the pictures are; else it answers each picture with
    (its first pixel / 255, the rest)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.faults: list[Fault | np.ndarray] = []
        self.status_faults: list[Fault] = []
        self.fault_for: Callable[[np.ndarray], Fault | None] = lambda images: None
        self.states: list[dict[int, int]] = [{1: AVAILABLE}]  # one answer after the other, the last again and again
        self.batches: list[int] = []
        self.status_requests = 0

    def __call__(self, request, response) -> Fault | None:
        if isinstance(response, GetModelStatusResponse):
            return self._status(response)
        if "images" not in request.inputs:
            return self.faults.pop(0) if self.faults else None
        images = from_tensor(request.inputs["images"])
        self.batches.append(len(images))
        fault = self.faults.pop(0) if self.faults else self.fault_for(images)
        if isinstance(fault, tuple):
            return fault
        first = images[:, 0, 0, 0].astype(np.float32) / 255
        answer = np.stack([first, 1 - first], axis=1) if fault is None else fault
        response.outputs["probabilities"].CopyFrom(to_tensor(answer))
        return None

    def _status(self, response: GetModelStatusResponse) -> Fault | None:
        self.status_requests += 1
        if self.status_faults:
            return self.status_faults.pop(0)
        states = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        response.CopyFrom(
            GetModelStatusResponse(
                model_version_status=[ModelVersionStatus(version=v, state=state) for v, state in states.items()]
            )
        )
        return None


@contextmanager
def running() -> Iterator[Script]:
    fake = FakeServer(MODEL)
    with fake.listening() as address:
        fake.spoil = script = Script(address)
        yield script


@pytest.fixture
def server() -> Iterator[Script]:
    with running() as script:
        yield script


@pytest.fixture
def client(server: Script) -> Iterator[Client]:
    client = Client(Connection(server.address, outage_budget_s=20, connect_budget_s=0.3))
    yield client
    client.close()


def assert_scored(answer) -> None:
    assert answer.fault is None
    np.testing.assert_allclose(answer.probabilities, [[200 / 255, 55 / 255]] * ROWS, rtol=1e-6)


@pytest.mark.parametrize(
    ("code", "details", "times"),
    [
        (StatusCode.UNAVAILABLE, "queue is full", 5),
        (StatusCode.CANCELLED, "CANCELLED", 5),  # so a server that stops ends what it had begun
        (StatusCode.DEADLINE_EXCEEDED, "", 2),
        (StatusCode.INTERNAL, "", 2),
        (StatusCode.UNKNOWN, "", 2),
        (StatusCode.ABORTED, "", 2),
        (StatusCode.DATA_LOSS, "", 2),
        (StatusCode.NOT_FOUND, "Servable not found for request: Specific(hs, 1)", 2),
        (StatusCode.RESOURCE_EXHAUSTED, "thread pool is full", 3),
    ],
)
def test_a_passing_fault_costs_nothing(server, client, code, details, times):
    server.faults = [(code, details)] * times

    answer = client.classify(MODEL, IMAGES)

    assert_scored(answer)
    assert server.batches == [ROWS] * (times + 1)


def test_a_fault_that_stays_leaves_the_pictures_unscored_with_its_name(server, client):
    server.faults = [(StatusCode.INTERNAL, "boom")] * 3

    answer = client.classify(MODEL, IMAGES)

    assert np.isnan(answer.probabilities).all()
    assert answer.fault == "INTERNAL: boom"
    assert client.trouble is None


def test_a_batch_too_large_for_the_gpu_is_halved_and_the_size_is_remembered(server, client):
    server.fault_for = lambda images: (
        (StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating") if len(images) > 50 else None
    )

    first, again = client.classify(MODEL, IMAGES), client.classify(MODEL, IMAGES)

    assert_scored(first)
    assert_scored(again)
    assert server.batches == [136, 68, *[34] * 4, *[34] * 4]  # the second time it is known what fits


@pytest.mark.parametrize("refusals", [1, 2, 3])
def test_full_batches_come_back_once_the_gpu_has_room_again(server, client, monkeypatch, refusals):
    monkeypatch.setattr("serving.client.rows_that_fit._ANSWERS_BEFORE_TRIAL", 4)
    server.faults = [(StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating")] * refusals

    answers = [client.classify(MODEL, IMAGES) for _ in range(8)]

    for answer in answers:
        assert_scored(answer)
    assert server.batches[-1] == ROWS


def test_a_refused_batch_is_unscored_and_the_next_one_goes_on(server, client):
    server.fault_for = lambda images: (StatusCode.INVALID_ARGUMENT, "bad row") if (images == 13).any() else None

    refused = client.classify(MODEL, np.full_like(IMAGES, 13))
    good = client.classify(MODEL, IMAGES)

    assert refused.fault == "INVALID_ARGUMENT: bad row"
    assert_scored(good)
    assert client.trouble is None


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (StatusCode.INVALID_ARGUMENT, "input size does not match signature"),
        (StatusCode.FAILED_PRECONDITION, 'Serving signature key "x" not found.'),
        (StatusCode.UNIMPLEMENTED, ""),
        (StatusCode.PERMISSION_DENIED, ""),
        (StatusCode.UNAUTHENTICATED, ""),
        (StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (1153 vs. 1024)"),
    ],
)
def test_what_no_patience_will_mend_ends_the_work_at_once(server, client, code, details):
    server.fault_for = lambda images: (code, details)

    answer = client.classify(MODEL, IMAGES)

    assert np.isnan(answer.probabilities).all()
    assert isinstance(client.trouble, ContractBroken)
    assert code.name in str(client.trouble)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (np.full((ROWS, 3), 1 / 3, np.float32), "expected probabilities float32 [136, 2], got float32 [136, 3]"),
        (np.full((5, 2), 0.5, np.float32), "expected probabilities float32 [136, 2], got float32 [5, 2]"),
        (np.full((ROWS, 2), np.nan, np.float32), "NaN"),
        (np.full((ROWS, 2), 0.7, np.float32), "do not sum to 1"),
        (np.full((ROWS, 2), 1, np.int32), "expected probabilities float32 [136, 2], got int32 [136, 2]"),
    ],
)
def test_an_answer_that_cannot_be_true_is_never_believed(server, client, wrong, sentence):
    server.faults = [wrong]

    client.classify(MODEL, IMAGES)

    assert isinstance(client.trouble, ContractBroken)
    assert sentence in str(client.trouble)


def test_a_spent_outage_budget_ends_the_work_with_one_sentence(server):
    client = Client(Connection(server.address, outage_budget_s=0.3))
    server.fault_for = lambda images: (StatusCode.UNAVAILABLE, "gone")

    answer = client.classify(MODEL, IMAGES)

    assert np.isnan(answer.probabilities).all()
    assert isinstance(client.trouble, ServerUnreachable)
    assert "stayed away for more than 0.3 s: UNAVAILABLE: gone" in str(client.trouble)
    client.close()


def test_a_stopped_client_lets_go_at_once(server):
    stop = threading.Event()
    client = Client(Connection(server.address, outage_budget_s=600), stop)
    server.fault_for = lambda images: stop.set() or (StatusCode.UNAVAILABLE, "gone")

    answer = client.classify(MODEL, IMAGES)

    assert answer.fault == "stopped"
    assert client.trouble is None
    client.close()


class _SetAtTheThirdLook(threading.Event):
    looks = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.looks += 1
        if self.looks == 3:
            self.set()
        return self.is_set()


def test_while_nothing_may_be_sent_a_client_waits_and_then_goes_on(server):
    may_send, sent = _SetAtTheThirdLook(), []
    client = Client(Connection(server.address), may_send=may_send)
    server.fault_for = lambda images: sent.append(may_send.looks)

    assert_scored(client.classify(MODEL, IMAGES))

    assert sent[0] == 3
    client.close()


def test_a_client_that_may_not_send_and_is_stopped_lets_go(server):
    stop, never = threading.Event(), threading.Event()
    never.wait = lambda timeout=None: stop.set()  # type: ignore[method-assign]  # meanwhile
    client = Client(Connection(server.address), stop, may_send=never)

    answer = client.classify(MODEL, IMAGES)

    assert (answer.fault, server.batches) == ("stopped", [])
    client.close()


def test_the_newest_available_version_is_pinned(server, client):
    server.states = [{1: AVAILABLE, 2: AVAILABLE, 3: LOADING}]

    assert client.available_version("hs") == 2
    assert client.available_version("hs", 1) == 1


@pytest.mark.parametrize(("name", "version"), [("hs", 3), ("hs", 9), ("cars", None)])
def test_a_model_or_version_that_is_not_there_is_named(server, client, name, version):
    with pytest.raises(ContractBroken, match=rf"{name}"):
        client.available_version(name, version)


def test_a_server_that_is_down_is_told_within_the_connect_budget():
    client = Client(Connection("localhost:1", connect_budget_s=0.2))

    with pytest.raises(ServerUnreachable, match="no model server answers at localhost:1"):
        client.resolve("hs")
    client.close()


def test_a_server_that_stops_while_it_is_asked_at_the_start_is_waited_for(server):
    client = Client(Connection(server.address, connect_budget_s=30))
    server.status_faults = [(StatusCode.CANCELLED, "CANCELLED")]

    assert client.available_version("hs") == 1
    client.close()


def test_closing_a_client_lets_go_of_requests_in_flight(server, client):
    asked, answer_now = threading.Event(), threading.Event()
    server.fault_for = lambda images: asked.set() or (answer_now.wait(30) and None)

    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.classify, MODEL, IMAGES)
        asked.wait(30)
        client.close()
        fault = answer.result(timeout=10).fault
        answer_now.set()

    assert fault == "stopped"


def test_a_client_that_is_stopped_while_it_waits_for_the_server_says_so():
    stop = threading.Event()
    stop.set()
    client = Client(Connection("localhost:1", connect_budget_s=600), stop)

    with pytest.raises(Interrupted, match="while waiting for the model server"):
        client.resolve("hs")
    client.close()


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_every_status_code_has_its_rule(code):
    assert action_for(code, "") in Action


def test_a_model_that_is_still_loading_is_waited_for(server):
    client = Client(Connection(server.address, connect_budget_s=30))
    server.states = [{1: LOADING}, {1: LOADING}, {1: AVAILABLE}]

    assert client.available_version("hs") == 1
    client.close()


def test_what_was_done_is_counted(server, client):
    server.faults = [(StatusCode.UNAVAILABLE, "queue is full")] * 2

    client.classify(MODEL, IMAGES)

    counted = client.counters
    assert (counted.requests, counted.retries, counted.rows, counted.waits) == (3, 2, ROWS, 2)
    assert counted.bytes_sent > 3 * IMAGES.nbytes
    assert 0 < counted.waited_s < 10


def test_a_server_that_was_away_for_long_is_asked_how_it_is_before_it_gets_more_pictures(server, client, monkeypatch):
    monkeypatch.setattr("serving.client.flow._CIRCUIT_OPENS_AFTER_S", 0.1)
    server.states = [{1: LOADING}]
    server.fault_for = lambda images: (
        None if server.states == [{1: AVAILABLE}] else (StatusCode.UNAVAILABLE, "restarting")
    )
    answer_of = {}
    sending = threading.Thread(target=lambda: answer_of.update(it=client.classify(MODEL, IMAGES)))
    sending.start()
    while server.status_requests < 3:
        threading.Event().wait(0.01)
    before = len(server.batches)
    server.states = [{1: AVAILABLE}]
    sending.join()

    assert_scored(answer_of["it"])
    assert before <= 6  # requests of 20 MB, over all the time that it was loading
    assert len(server.batches) == before + 1


def test_losing_one_of_three_servers_costs_nothing():
    with running() as one, running() as three:
        with running() as two:
            client = Client(Connection(f"{one.address},{two.address},{three.address}", outage_budget_s=20))
            before = [client.classify(MODEL, IMAGES) for _ in range(9)]
            used = [len(server.batches) for server in (one, two, three)]
        after = [client.classify(MODEL, IMAGES) for _ in range(6)]
        client.close()

    assert min(used) > 0
    for answer in (*before, *after):
        assert_scored(answer)
    assert client.trouble is None


def test_an_address_that_cannot_be_found_is_named():
    with pytest.raises(UsageError, match=r"'no-such-host\.invalid:8500' is no host:port that can be found"):
        Client(Connection("localhost:8500,no-such-host.invalid:8500"))


def test_a_version_that_goes_for_a_moment_at_the_start_is_waited_for(server, client):
    server.faults = [(StatusCode.NOT_FOUND, "Servable not found for request: Specific(hs, 1)")]

    assert client.resolve("hs") == MODEL
    assert server.faults == []
