"""A model server for tests: speaks the protocol without a model, at a stated cost, and misbehaves where it is told to.

>>> from contextlib import closing
>>> from serving.client.client import Client, Connection
>>> fake = FakeServer(plain_model("392690", "870829"), probabilities=(0.25, 0.75))
>>> with fake.listening() as address, closing(Client(Connection(address))) as client:
...     answer = client.classify(client.resolve("hs"), np.zeros((2, 224, 224, 3), np.uint8))
>>> answer.probabilities.tolist(), fake.answered.pictures
([[0.25, 0.75], [0.25, 0.75]], 2)
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from grpc import StatusCode

from hs.card import Card, Thresholds
from hs.class_table import ClassTable
from serving.contract import CLASSES_SIGNATURE, NOVELTY, ServedModel
from serving.messages import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelSpec,
    ModelVersionStatus,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.tensors import from_tensor, to_tensor

_THREADS = 32  # more than a client has in flight: none may wait for a thread where the queue does not see it

Fault = tuple[StatusCode, str]
Spoil = Callable[[PredictRequest | GetModelStatusRequest, PredictResponse | GetModelStatusResponse], Fault | None]


def plain_model(*labels: str, height: int = 224, width: int = 224) -> ServedModel:
    """Version 1 of a model `hs` with these classes, and a card with nothing special in it."""
    card = Card(height, width, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.5, 1.0), "sha256:00")
    return ServedModel("hs", 1, ClassTable(labels), card)


@dataclass(frozen=True)
class Cost:
    """What a request costs; they are computed one at a time.

    Attributes:
        per_request_s: whatever its size.
        per_picture_s: for each picture.
        queue: requests that may wait for the one that is computed; more are answered UNAVAILABLE.
    """

    per_request_s: float = 0.0
    per_picture_s: float = 0.0
    queue: int = 64

    def of(self, pictures: int) -> float:
        """Seconds for a request of so many pictures."""
        return self.per_request_s + self.per_picture_s * pictures


@dataclass
class Answered:
    """What a server has answered so far.

    Attributes:
        pictures, requests: that were given probabilities.
        refused: requests that were given a fault.
        began_at: when the first request for pictures came, by the clock of `time.monotonic`.
        ended_at: when the last one was answered.
    """

    pictures: int = 0
    requests: int = 0
    refused: int = 0
    began_at: float = 0.0
    ended_at: float = 0.0


@dataclass(eq=False)
class FakeServer(PredictionServiceServicer, ModelServiceServicer):
    """Answers for one model, every picture alike; reads no pixel, so that a request costs what is stated.

    Attributes:
        model: what it claims to serve.
        probabilities: of each picture, [C]; empty gives every class the same.
        cost: of a request.
        spoil: sees each request with the answer that it is about to get; may change that answer in place, or return
            (status code, details) to be sent instead. Threads may call it at the same time.
        rulings: case id and class of each that it knows; of all pictures the first one is the nearest. The card of
            `model` has to count them.
        answered: what it did so far.
    """

    model: ServedModel
    probabilities: Sequence[float] = ()
    cost: Cost = Cost()
    spoil: Spoil = lambda request, response: None
    rulings: Sequence[tuple[str, str]] = ()
    answered: Answered = field(default_factory=Answered)

    def __post_init__(self) -> None:
        self._places = threading.BoundedSemaphore(self.cost.queue + 1)
        self._computing, self._refusing = threading.Lock(), threading.Lock()

    @contextmanager
    def listening(self, address: str = "localhost:0") -> Iterator[str]:
        """Answers for as long as the context lasts, and gives the address; port 0 is any that is free."""
        # A port that is taken is an error: two fake servers would share the requests otherwise.
        options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="fake") as threads:
            server = grpc.server(threads, options=options)
            add_PredictionServiceServicer_to_server(self, server)
            add_ModelServiceServicer_to_server(self, server)
            port = server.add_insecure_port(address)
            server.start()
            try:
                yield f"{address[:-1]}{port}" if address.endswith(":0") else address
            finally:
                server.stop(None).wait()

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """The class table and the card, or probabilities after the time that they cost."""
        self._check_spec(request.model_spec, context)
        if request.model_spec.signature_name == CLASSES_SIGNATURE:
            return self._spoiled(request, self._described(), context)
        if request.model_spec.signature_name == "precedents":
            return self._spoiled(request, self._named(from_tensor(request.inputs["index"])), context)
        pictures = self._pictures_in(request, context)
        if request.model_spec.signature_name in ("nearest", "nearest_of"):
            return self._spoiled(request, self._nearest(request, pictures), context)
        response = self._spoiled(request, self._scored(pictures), context)
        if not self._places.acquire(blocking=False):
            self._refuse(context, StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
        self.compute(pictures)
        self._places.release()
        return response

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext) -> GetModelStatusResponse:
        """AVAILABLE."""
        self._check_spec(request.model_spec, context)
        status = ModelVersionStatus(version=self.model.version, state=ModelVersionStatus.AVAILABLE)
        return self._spoiled(request, GetModelStatusResponse(model_version_status=[status]), context)

    def compute(self, pictures: int) -> None:
        """Takes the time that a request of so many pictures costs, one request after the other, and counts it."""
        self.answered.began_at = self.answered.began_at or time.monotonic()
        with self._computing:  # as a GPU does, one request at a time
            time.sleep(self.cost.of(pictures))
            self.answered.pictures += pictures
            self.answered.requests += 1
            self.answered.ended_at = time.monotonic()

    def _check_spec(self, spec: ModelSpec, context: grpc.ServicerContext) -> None:
        version = spec.version.value if spec.HasField("version") else self.model.version
        if (spec.name, version) != (self.model.name, self.model.version):
            self._refuse(context, StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}, {version}")

    def _pictures_in(self, request: PredictRequest, context: grpc.ServicerContext) -> int:
        shape = [dim.size for dim in request.inputs[self.model.signature.input].tensor_shape.dim]
        if shape[1:] != [self.model.card.height, self.model.card.width, 3]:
            self._refuse(context, StatusCode.INVALID_ARGUMENT, f"pictures of another size are expected, got {shape}")
        return shape[0]

    def _described(self) -> PredictResponse:
        labels, card = [label.encode() for label in self.model.table.labels], self.model.card.to_json().encode()
        return self._response(hs_codes=np.array([labels], object), card=np.array([card], object))

    def _scored(self, pictures: int) -> PredictResponse:
        classes = len(self.model.table)
        row = np.array(self.probabilities or [1 / classes] * classes, np.float32)
        novelty = {NOVELTY: np.zeros(pictures, np.float32)} if self.model.has_novelty else {}
        return self._response(**{self.model.signature.output: np.tile(row, (pictures, 1))}, **novelty)

    def _nearest(self, request: PredictRequest, pictures: int) -> PredictResponse:
        codes = [code.encode() for _, code in self.rulings]
        wanted = from_tensor(request.inputs["hs_code"]) if "hs_code" in request.inputs else [None] * pictures
        index = np.full((pictures, len(codes)), -1, np.int32)
        for row, code in enumerate(wanted):
            places = [place for place, its in enumerate(codes) if code in (None, its)]
            index[row, : len(places)] = places
        similarity = np.where(index < 0, 0, np.linspace(0.9, 0.5, len(codes))[None]).astype(np.float32)
        return self._response(index=index, similarity=similarity)

    def _named(self, index: np.ndarray) -> PredictResponse:
        ids, codes = zip(*(self.rulings[place] for place in index.tolist()), strict=True)
        texts = {"case_id": ids, "hs_code": codes}
        return self._response(**{name: np.array([one.encode() for one in of], object) for name, of in texts.items()})

    def _response(self, **outputs: np.ndarray) -> PredictResponse:
        response = PredictResponse(outputs={name: to_tensor(array) for name, array in outputs.items()})
        response.model_spec.name, response.model_spec.version.value = self.model.name, self.model.version
        return response

    def _spoiled(self, request: Any, response: Any, context: grpc.ServicerContext) -> Any:
        if fault := self.spoil(request, response):
            self._refuse(context, *fault)
        return response

    def _refuse(self, context: grpc.ServicerContext, code: StatusCode, details: str) -> None:
        with self._refusing:
            self.answered.refused += 1
        context.abort(code, details)  # raises
