"""The rulings that pictures are like, asked of servers: honest ones, those that lie, and those that have none."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from hs.precedents import Precedent
from serving.client.classifier import Classifier
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.rulings import Rulings
from serving.contract import ServedModel
from serving.fake import FakeServer, Spoil, plain_model
from serving.messages import PredictRequest
from serving.tensors import to_tensor

RULINGS = (("KR-1", "870829"), ("KR-2", "392690"), ("KR-3", "870829"))
PLAIN = plain_model("870829", "392690", height=4, width=5)
MODEL = replace(PLAIN, card=replace(PLAIN.card, precedents=len(RULINGS)))
IMAGES = np.full((3, 4, 5, 3), 200, np.uint8)


@contextmanager
def client_of(model: ServedModel = MODEL, rulings=RULINGS, **how: Any) -> Iterator[tuple[Client, FakeServer]]:
    server = FakeServer(model, rulings=rulings, **how)
    with server.listening() as address, closing(Client(Connection(address))) as client:
        yield client, server


def answering(signature: str, **outputs: np.ndarray) -> Spoil:
    """A server's answers of one signature have these outputs instead of its own."""

    def spoil(request: Any, response: Any) -> None:
        if isinstance(request, PredictRequest) and request.model_spec.signature_name == signature:
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(to_tensor(array))

    return spoil


def refusing(code: StatusCode, times: list[int]) -> Spoil:
    """A server refuses `nearest_of` as often as `times` has places, and counts what it was asked there."""

    def spoil(request: Any, response: Any) -> tuple[StatusCode, str] | None:
        if isinstance(request, PredictRequest) and request.model_spec.signature_name == "nearest_of":
            times.append(1)
            return code, "not now"
        return None

    return spoil


def test_the_rulings_of_a_class_are_named_the_nearest_first():
    with client_of() as (client, _):
        found = Rulings(client, client.resolve("hs")).like(IMAGES, [0, 2], ["870829", "392690"])

    assert [[(one.case_id, one.hs_code) for one in of] for of in found] == [
        [("KR-1", "870829"), ("KR-3", "870829")],
        [("KR-2", "392690")],
    ]
    assert found[0][0].similarity == pytest.approx(0.9)


def test_an_answer_brings_the_rulings_of_the_rows_that_were_picked():
    with client_of() as (client, server):
        classifier = Classifier(client, MODEL)
        answer = classifier.submit(IMAGES, lambda answer: [(1, "870829"), (1, "392690")]).result(timeout=30)
        classifier.close()

    assert answer.probabilities.shape == (3, 2)
    assert {row: [one.case_id for one in found] for row, found in answer.precedents.items()} == {
        1: ["KR-1", "KR-3", "KR-2"]
    }
    assert server.answered.requests == 1


def test_a_model_without_precedents_is_never_asked_for_them():
    times: list[int] = []
    with client_of(PLAIN, (), spoil=refusing(StatusCode.INTERNAL, times)) as (client, _):
        classifier = Classifier(client, client.resolve("hs"))
        answer = classifier.submit(IMAGES, lambda answer: [(1, "870829")]).result(timeout=30)
        classifier.close()

    assert answer.precedents == {}
    assert not times


@pytest.mark.parametrize(
    "spoil",
    [
        answering("nearest_of", index=np.full((3, 3), 3, np.int32)),  # none of the three
        answering("nearest_of", index=np.full((3, 3), -2, np.int32)),
        answering("nearest_of", index=np.zeros((3, 101), np.int32)),
        answering("nearest_of", index=np.zeros((2, 3), np.int32)),
        answering("nearest_of", index=np.zeros((3, 3), np.float32)),
        answering("nearest_of", similarity=np.full((3, 3), np.nan, np.float32)),
        answering("nearest_of", similarity=np.full((3, 3), 7, np.float32)),
        answering("nearest_of", more=np.zeros(1, np.float32)),
        answering("precedents", hs_code=np.array([b"080810"] * 2, object)),  # no class of the model
        answering("precedents", case_id=np.array([b"x" * 10_000_000] * 2, object)),
        answering("precedents", case_id=np.array([b"x"], object)),
    ],
)
def test_a_server_that_lies_of_precedents_gives_none_and_costs_nothing_else(spoil):
    with client_of(spoil=spoil) as (client, _):
        found = Rulings(client, MODEL).like(IMAGES, [0, 1, 2], ["870829"] * 3)
        answer = client.classify(MODEL, IMAGES)

    assert found == [(), (), ()]
    assert client.trouble is None
    assert answer.fault is None


def test_a_hostile_id_is_cut_short_and_obeyed_by_no_terminal():
    hostile = "\x1b[31m\u202e<script>\x00" + "x" * 1000
    with client_of(rulings=((hostile, "870829"), *RULINGS[1:])) as (client, _):
        ((found, _),) = Rulings(client, MODEL).like(IMAGES, [0], ["870829"])

    assert found.case_id.startswith(r"\x1b[31m\u202e<script>\x00xxx")
    assert len(found.case_id) == 100


def test_a_server_that_never_answers_is_soon_asked_no_more():
    times: list[int] = []
    with client_of(spoil=refusing(StatusCode.FAILED_PRECONDITION, times)) as (client, _):
        rulings = Rulings(client, MODEL)
        found = [rulings.like(IMAGES, [0], ["870829"]) for _ in range(5)]

    assert found == [[()]] * 5
    assert len(times) == 3
    assert client.trouble is None


def test_a_busy_server_is_waited_for():
    refused: list[int] = []

    def spoil(request: Any, response: Any) -> tuple[StatusCode, str] | None:
        asked = isinstance(request, PredictRequest) and request.model_spec.signature_name == "nearest_of"
        if asked and not refused:
            refused.append(1)
            return StatusCode.UNAVAILABLE, "the queue is full"
        return None

    with client_of(spoil=spoil) as (client, _):
        ((found,),) = [Rulings(client, MODEL).like(IMAGES, [0], ["392690"])]

    assert refused
    assert found == (Precedent("KR-2", "392690", pytest.approx(0.9)),)
