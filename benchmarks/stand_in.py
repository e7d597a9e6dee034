"""A stand-in for a GPU: answers the Predict protocol at a stated cost, one request at a time, and touches no tensor.

python -m benchmarks.stand_in --socket /tmp/gpu.sock --per-request-ms 3 --per-picture-ms 0.5
"""

import argparse
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from grpc import StatusCode

from pipeline.rules.card import Card, Thresholds
from serving.messages import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelServiceServicer,
    ModelVersionStatus,
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    TensorProto,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.tensors import to_tensor

CLASSES = ("392690", "732690", "870829")


@dataclass(frozen=True)
class Cost:
    """What a request costs.

    Attributes:
        per_request_s: whatever its size.
        per_picture_s: for each picture.
        queue: requests that may wait for the one that is computed.
        refused: share of requests that are answered UNAVAILABLE whatever the queue.
    """

    per_request_s: float = 0.003
    per_picture_s: float = 0.0005
    queue: int = 64
    refused: float = 0.0

    def of(self, pictures: int) -> float:
        """Seconds for a request of so many pictures."""
        return self.per_request_s + self.per_picture_s * pictures


class StandIn(PredictionServiceServicer, ModelServiceServicer):
    """Answers for model `hs`, version 1, of three classes and 224 x 224 pixels.

    Attributes:
        pictures: answered so far.
        refusals: requests answered UNAVAILABLE so far.
    """

    def __init__(self, cost: Cost, seed: int = 0) -> None:
        self.cost, self.pictures, self.refusals = cost, 0, 0
        self._random = random.Random(seed)
        self._changing = threading.Lock()
        self._computing = threading.Lock()
        self._waiting = 0

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """The class table, or the same probabilities for every picture, after the time that they cost."""
        response = PredictResponse(model_spec=request.model_spec)
        if request.model_spec.signature_name == "classes":
            card = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.5, 1.0), "sha256:00")
            response.outputs["hs_codes"].CopyFrom(_texts([1, len(CLASSES)], *CLASSES))
            response.outputs["card"].CopyFrom(_texts([1], card.to_json()))
            return response
        rows = next(iter(request.inputs.values())).tensor_shape.dim[0].size
        with self._changing:
            full = self._waiting > self.cost.queue or self._random.random() < self.cost.refused
            self.refusals += full
            self._waiting += not full
        if full:
            context.abort(StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
        with self._computing:
            time.sleep(self.cost.of(rows))
            self._waiting -= 1
            self.pictures += rows
        answer = np.tile(np.array([[0.1, 0.1, 0.8]], np.float32), (rows, 1))
        response.outputs["probabilities"].CopyFrom(to_tensor(answer))
        return response

    def GetModelStatus(self, request: GetModelStatusRequest, context: grpc.ServicerContext) -> GetModelStatusResponse:
        """AVAILABLE."""
        status = ModelVersionStatus(version=1, state=ModelVersionStatus.AVAILABLE)
        return GetModelStatusResponse(model_version_status=[status])


def _texts(shape: list[int], *values: str) -> TensorProto:
    tensor = TensorProto(dtype=7, string_val=[value.encode() for value in values])
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@contextmanager
def listening(stand_in: StandIn, address: str) -> Iterator[None]:
    """Answers at an address for as long as the context lasts."""
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(32), options=unlimited)
    add_PredictionServiceServicer_to_server(stand_in, server)
    add_ModelServiceServicer_to_server(stand_in, server)
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def main() -> None:
    """Serves until SIGTERM; prints what was answered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--per-request-ms", type=float, default=3.0)
    parser.add_argument("--per-picture-ms", type=float, default=0.5)
    parser.add_argument("--queue", type=int, default=64)
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stand_in = StandIn(Cost(args.per_request_ms / 1000, args.per_picture_ms / 1000, args.queue))
    with listening(stand_in, f"unix:{args.socket}"):
        stop.wait()
    print(json.dumps({"pictures": stand_in.pictures, "refusals": stand_in.refusals}))


if __name__ == "__main__":
    main()
