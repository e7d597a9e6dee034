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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
from grpc import StatusCode

from hs.card import Card, Thresholds
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
CARD = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.5, 1.0), "sha256:00")


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
        requests: answered so far.
        refusals: requests answered UNAVAILABLE so far.
        began_at: when the first request for pictures came, by the clock of `time.monotonic`.
        ended_at: when the last one was answered.
    """

    def __init__(self, cost: Cost, seed: int = 0) -> None:
        self.cost = cost
        self.pictures = self.requests = self.refusals = 0
        self.began_at = self.ended_at = 0.0
        self._random = random.Random(seed)
        self._changing = threading.Lock()
        self._computing = threading.Lock()
        self._waiting = 0

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """The class table, or the same probabilities for every picture, after the time that they cost."""
        response = PredictResponse(model_spec=request.model_spec)
        if request.model_spec.signature_name == "classes":
            response.outputs["hs_codes"].CopyFrom(_texts([1, len(CLASSES)], *CLASSES))
            response.outputs["card"].CopyFrom(_texts([1], CARD.to_json()))
            return response
        rows = next(iter(request.inputs.values())).tensor_shape.dim[0].size
        self.began_at = self.began_at or time.monotonic()
        with self._changing:
            full = self._waiting > self.cost.queue or self._random.random() < self.cost.refused
            self.refusals += full
            self._waiting += not full
        if full:
            context.abort(StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full")
        self.compute(rows)
        with self._changing:
            self._waiting -= 1
        answer = np.tile(np.array([[0.1, 0.1, 0.8]], np.float32), (rows, 1))
        response.outputs["probabilities"].CopyFrom(to_tensor(answer))
        return response

    def compute(self, pictures: int) -> None:
        """Takes the time that a request of so many pictures costs; one at a time."""
        with self._computing:
            time.sleep(self.cost.of(pictures))
            self.pictures += pictures
            self.requests += 1
            self.ended_at = time.monotonic()

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


@contextmanager
def json_over_http(stand_in: StandIn, port: int) -> Iterator[None]:
    """Answers `{"instances": [...]}` with `{"predictions": [...]}` at the same cost, as TF Serving's REST port does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            instances = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            stand_in.began_at = stand_in.began_at or time.monotonic()
            stand_in.compute(len(instances))
            body = json.dumps({"predictions": [[0.1, 0.1, 0.8]] * len(instances)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    if not port:
        yield
        return
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()


def main() -> None:
    """Serves until SIGTERM; prints what was answered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--per-request-ms", type=float, default=3.0)
    parser.add_argument("--per-picture-ms", type=float, default=0.5)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--http-port", type=int, default=0, help="also answer REST-style JSON here")
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stand_in = StandIn(Cost(args.per_request_ms / 1000, args.per_picture_ms / 1000, args.queue))
    with listening(stand_in, f"unix:{args.socket}"), json_over_http(stand_in, args.http_port):
        print("ready", flush=True)
        stop.wait()
    names = ("pictures", "requests", "refusals", "began_at", "ended_at")
    print(json.dumps({name: getattr(stand_in, name) for name in names}))


if __name__ == "__main__":
    main()
