"""The client of a model server: resolves and pins a version, and classifies pictures with requests in flight.

It never raises for a server's fault while classifying: an answer says why its pictures were not scored, and `trouble`
says what ended the work for good.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

from pipeline.rules.errors import AuditError, ContractBroken, Interrupted, ServerUnreachable
from serving.contract import (
    BadAnswer,
    EncodedRequest,
    ServedModel,
    classes_request,
    encode_request,
    read_classes,
    read_probabilities,
)
from serving.messages import (
    GetModelStatusRequest,
    ModelServiceStub,
    ModelVersionStatus,
    PredictResponse,
)
from serving.status_rules import Action, action_for

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 5000),  # gRPC's own default reaches two minutes
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)
_TRIES_AFTER_FAULT = 2
_VERSION_WAIT_S = 60.0
_LONGEST_WAIT_S = 5.0


@dataclass(frozen=True)
class Tls:
    """Files, PEM, of an encrypted connection.

    Attributes:
        ca: the authority that signed the server's certificate.
        certificate, key: our own, where the server asks for one.
    """

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Connection:
    """Where a model server is and how long to be patient with it.

    Attributes:
        address: as gRPC names it, `host:port`, `dns:///host:port` or `unix:/path`.
        deadline_s: for one request; generous, as TF Serving keeps computing after it.
        outage_budget_s: how long the server may stay away during a run.
        connect_budget_s: how long it may stay away at the start.
        tls: None for a connection in the clear.
    """

    address: str
    deadline_s: float = 30.0
    outage_budget_s: float = 900.0
    connect_budget_s: float = 30.0
    tls: Tls | None = None


@dataclass(frozen=True)
class Answer:
    """What came of a batch of pictures.

    Attributes:
        probabilities: float32 [N, C]; rows of NaN stand for pictures that were not scored.
        fault: why pictures were not scored; None where all were.
    """

    probabilities: np.ndarray
    fault: str | None = None


class Client:
    """One channel to a model server, shared by all threads of a worker.

    Args:
        connection: where the server is.
        stop: when set, waits end and nothing more is sent.
    """

    def __init__(self, connection: Connection, stop: threading.Event | None = None) -> None:
        self.connection = connection
        self.trouble: AuditError | None = None
        self._stop = stop or threading.Event()
        self._channel = _open_channel(connection)
        self._predict: Callable[..., PredictResponse] = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict", response_deserializer=PredictResponse.FromString
        )
        self._status = ModelServiceStub(self._channel).GetModelStatus
        self._away = _Outage(connection.outage_budget_s)

    def close(self) -> None:
        """Closes the channel; requests in flight end as cancelled."""
        self._channel.close()

    def resolve(self, name: str, version: int | None = None) -> ServedModel:
        """Finds the version to use, the newest that is available unless one is named, and asks what it is.

        Raises:
            ServerUnreachable: if the server does not answer within the connect budget.
            Interrupted: if `stop` was set while waiting for it.
            ContractBroken: if the model or version is absent or breaks the contract.
        """
        pinned = self.available_version(name, version)
        try:
            response = self._at_start(self._predict, classes_request(name, pinned).SerializeToString())
        except grpc.RpcError as error:
            raise ContractBroken(
                f"model {name!r} version {pinned} has no class table: its `classes` signature answers {_said(error)}"
            ) from error
        return read_classes(response, name, pinned)

    def available_version(self, name: str, version: int | None = None) -> int:
        """The version of a model to pin: the one named, or the newest available.

        Raises:
            ServerUnreachable: if the server does not answer within the connect budget.
            Interrupted: if `stop` was set while waiting for it.
            ContractBroken: if the server has no such model or version.
        """
        request = GetModelStatusRequest()
        request.model_spec.name = name
        try:
            statuses = self._at_start(self._status, request).model_version_status
        except grpc.RpcError as error:
            raise ContractBroken(
                f"the server at {self.connection.address} has no model {name!r}: it answers {_said(error)}"
            ) from error
        available = sorted(status.version for status in statuses if status.state == ModelVersionStatus.AVAILABLE)
        if not available or version not in (None, *available):
            wanted = f"version {version}" if version is not None else "version"
            raise ContractBroken(
                f"model {name!r} at {self.connection.address} has no available {wanted}; "
                f"available: {available or 'none'}"
            )
        return available[-1] if version is None else version

    def classify(self, model: ServedModel, images: np.ndarray) -> Answer:
        """Sends uint8 [N, H, W, 3] and waits for the answer, by the rules of `status_rules`."""
        return self.send(model, encode_request(model, images))

    def send(self, model: ServedModel, request: EncodedRequest) -> Answer:
        """Sends an encoded request and waits for the answer, by the rules of `status_rules`."""
        rows = request.shape[0]
        tries = 0
        missing_since: float | None = None
        while not (self.trouble or self._stop.is_set()):
            try:
                response = self._predict(request.message, timeout=self.connection.deadline_s)
                self._away.over()
                return Answer(read_probabilities(response, model, rows))
            except BadAnswer as bad_answer:
                self.trouble = ContractBroken(f"model {model.name!r} version {model.version}: {bad_answer}")
                continue
            except grpc.RpcError as error:
                said, action = _said(error), action_for(error.code(), error.details() or "")
            except ValueError:  # gRPC's way of saying that the channel was closed under us
                return _not_scored(model, rows, "stopped")
            match action:
                case Action.WAIT:
                    self._wait_out(said)
                case Action.POLL:
                    missing_since = missing_since or time.monotonic()
                    if time.monotonic() - missing_since > _VERSION_WAIT_S:
                        self.trouble = ContractBroken(f"model {model.name!r} version {model.version} is gone: {said}")
                    self._pause(1.0)
                case Action.HALVE if rows > 1:
                    return self._in_halves(model, request.images)
                case Action.PROBE if rows > 1 or request.images.any():
                    return self._refused(model, rows, said)
                case Action.GIVE_UP:
                    self.trouble = ContractBroken(f"the server at {self.connection.address} refuses: {said}")
                case Action.CANCELLED:
                    return _not_scored(model, rows, "stopped")
                case _:
                    tries += 1
                    if tries > _TRIES_AFTER_FAULT:
                        return _not_scored(model, rows, said)
                    self._pause(0.1 * 2**tries)
        return _not_scored(model, rows, str(self.trouble or "stopped"))

    def _in_halves(self, model: ServedModel, images: np.ndarray) -> Answer:
        middle = len(images) // 2
        first, second = self.classify(model, images[:middle]), self.classify(model, images[middle:])
        return Answer(np.concatenate([first.probabilities, second.probabilities]), first.fault or second.fault)

    def _refused(self, model: ServedModel, rows: int, said: str) -> Answer:
        """These pictures were refused: a known-good one tells whether they or the contract are at fault."""
        known_good = np.zeros((1, model.card.height, model.card.width, 3), np.uint8)
        if self.classify(model, known_good).fault and not self.trouble:
            self.trouble = ContractBroken(f"model {model.name!r} refuses even a plain picture: {said}")
        return _not_scored(model, rows, said)

    def _wait_out(self, said: str) -> None:
        wait_s = self._away.next_wait_s()
        if wait_s is None:
            self.trouble = ServerUnreachable(
                f"the model server at {self.connection.address} stayed away for more than "
                f"{self.connection.outage_budget_s:g} s: {said}"
            )
        else:
            self._pause(wait_s)

    def _at_start(self, call: Callable, request: bytes | GetModelStatusRequest):
        """Calls while nothing has been started yet: waits for a server that is coming up, raises everything else."""
        away = _Outage(self.connection.connect_budget_s)
        while True:
            try:
                return call(request, timeout=self.connection.deadline_s)
            except grpc.RpcError as error:
                if action_for(error.code(), error.details() or "") not in (Action.WAIT, Action.AGAIN):
                    raise
                if self._stop.is_set():
                    raise Interrupted("interrupted while waiting for the model server") from error
                wait_s = away.next_wait_s()
                if wait_s is None:
                    raise ServerUnreachable(
                        f"no model server answers at {self.connection.address}: {_said(error)}"
                    ) from error
                self._pause(wait_s)

    def _pause(self, longest_s: float) -> None:
        self._stop.wait(longest_s * random.uniform(0.5, 1.0))


class Classifier:
    """Keeps several requests in flight.

    Args:
        client: the channel; closed by whoever made it.
        model: the pinned version.
        in_flight: how many requests may wait for their answers.
    """

    def __init__(self, client: Client, model: ServedModel, in_flight: int) -> None:
        self.client, self.model, self.in_flight = client, model, in_flight
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="request")

    def submit(self, images: np.ndarray) -> Future[Answer]:
        """Sends uint8 [N, H, W, 3]; the array may be filled anew at once."""
        return self._threads.submit(self.client.send, self.model, encode_request(self.model, images))

    def close(self) -> None:
        """Ends the threads; answers that nobody waits for are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Outage:
    """How long a server has been away, over all threads, and how long to wait before the next try."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._lock = threading.Lock()
        self._since: float | None = None

    def over(self) -> None:
        self._since = None

    def next_wait_s(self) -> float | None:
        """Seconds to wait at most, a tenth of the outage so far; None when the budget is spent."""
        with self._lock:
            now = time.monotonic()
            self._since = self._since or now
            away_s = now - self._since
        if away_s >= self._budget_s:
            return None
        return min(max(0.05, away_s / 10), _LONGEST_WAIT_S, self._budget_s - away_s + 0.01)


def _open_channel(connection: Connection) -> grpc.Channel:
    if connection.tls is None:
        return grpc.insecure_channel(connection.address, _CHANNEL_OPTIONS)
    tls = connection.tls
    credentials = grpc.ssl_channel_credentials(
        tls.ca.read_bytes(),
        tls.key.read_bytes() if tls.key else None,
        tls.certificate.read_bytes() if tls.certificate else None,
    )
    return grpc.secure_channel(connection.address, credentials, _CHANNEL_OPTIONS)


def _not_scored(model: ServedModel, rows: int, fault: str) -> Answer:
    return Answer(np.full((rows, len(model.table)), np.nan, np.float32), fault)


def _said(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}"
