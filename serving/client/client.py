"""The client of a model server: resolves and pins a version, and classifies pictures with requests in flight.

    client = Client(Connection("tf-serving:8500"))
    model = client.resolve("hs")
    answer = client.classify(model, images)  # uint8 [N, 224, 224, 3] → answer.probabilities, float32 [N, C]

It never raises for a server's fault while classifying: an answer says why its pictures were not scored, and `trouble`
says what ended the work for good. It needs neither Beam nor TensorFlow's runtime.
"""

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from hs.errors import AuditError, ContractBroken, Interrupted, ServerUnreachable
from hs.precedents import Precedent
from hs.text import excerpt
from serving.client.connection import Connection
from serving.client.flow import Counters, Flow
from serving.client.rows_that_fit import RowsThatFit
from serving.client.status_rules import Action, action_for
from serving.client.tls import closed_trouble, handshake_trouble
from serving.client.waits import Wait, Waits
from serving.contract import (
    BadAnswer,
    EncodedRequest,
    ServedModel,
    classes_request,
    encode_part,
    encode_request,
    read_answer,
    read_classes,
    read_novelty,
    read_probabilities,
)
from serving.messages import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServiceStub,
    ModelVersionStatus,
    PredictionServiceStub,
)

_TRIES_AFTER_FAULT = 2  # the server computes each to its end, also when we have long gone
_VERSION_WAIT_S = 60.0
_PROBE_DEADLINE_S = 5.0  # a status needs no GPU: who takes longer is not back
_SURELY_WRONG_AFTER_S = 5.0  # TF Serving opens its port after the first load: what it does not know by then is misspelt
_COMING = (ModelVersionStatus.START, ModelVersionStatus.LOADING)


@dataclass(frozen=True)
class Answer:
    """What came of a batch of pictures.

    Attributes:
        probabilities: float32 [N, C]; rows of NaN stand for pictures that were not scored.
        novelty: float32 [N]; NaN where a picture was not scored, or the model does not give it.
        fault: why pictures were not scored; None where all were.
        precedents: row → the rulings that its picture is like, for the rows that these were looked for.
    """

    probabilities: np.ndarray
    novelty: np.ndarray
    fault: str | None = None
    precedents: Mapping[int, tuple[Precedent, ...]] = field(default_factory=dict)


class Unanswered(Exception):
    """A server does not answer what the work can do without; the message says why."""


class Client:
    """One channel to a model server, shared by all threads of a worker.

    Args:
        connection: where the server is.
        stop: when set, waits end and nothing more is sent.
        waits: where it says what it waits for.
        may_send: while it is not set no pictures are sent.
    """

    def __init__(
        self,
        connection: Connection,
        stop: threading.Event | None = None,
        waits: Waits | None = None,
        may_send: threading.Event | None = None,
    ) -> None:
        self.connection = connection
        self._may_send = may_send
        self._waits = waits or Waits()
        self.trouble: AuditError | None = None
        self._stop = stop or threading.Event()
        self._closed = False
        self._channel = connection.open_channel()
        # Not the stub's: our message is bytes already, with a single copy of the pixels, and the server's is parsed
        # only if it is no larger than what was asked.
        self._predict: Callable[..., bytes] = self._channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        self._status = ModelServiceStub(self._channel).GetModelStatus
        self._metadata = PredictionServiceStub(self._channel).GetModelMetadata
        self._flow = Flow(connection.in_flight, connection.outage_budget_s, self._ended)
        self._probing = threading.Lock()
        self._fit = RowsThatFit()

    @property
    def counters(self) -> Counters:
        """What was sent, answered and waited for so far."""
        return dataclasses.replace(self._flow.counters)  # a copy, to be compared with a later one

    def _goes_on(self) -> bool:
        """Whether the work goes on; waits for that where nothing may be sent."""
        while self._may_send is not None and not self._ended() and not self._may_send.wait(0.2):
            pass
        return not self._ended()

    def _ended(self) -> bool:
        return self.trouble is not None or self._closed or self._stop.is_set()

    def close(self) -> None:
        """Closes the channel; what is in flight ends unscored."""
        self._closed = True
        self._waits.end(self)
        self._channel.close()

    def resolve(self, name: str, version: int | None = None, label: str | None = None) -> ServedModel:
        """Finds the version to use, the newest that is available unless it is named, and asks what it is.

        Raises:
            ServerUnreachable: if the server does not answer within the connect budget.
            Interrupted: if `stop` was set while waiting for it.
            ContractBroken: if the model or version is absent or breaks the contract, or is not the same at all servers.
        """
        pinned = self.available_version(name, version, label)
        servers = self.connection.servers()
        if len(servers) == 1:
            return self._described(name, pinned)
        described = {}
        for server in servers:
            patience_s = min(server.connect_budget_s, _SURELY_WRONG_AFTER_S)
            alone = Client(dataclasses.replace(server, connect_budget_s=patience_s), self._stop, self._waits)
            with closing(alone), suppress(ServerUnreachable):  # one that is lost costs nothing, now or later
                described[server.address] = alone._described(name, pinned)
        return _the_same(described) if described else self._described(name, pinned)

    def _described(self, name: str, version: int) -> ServedModel:
        """A version by its class table and card."""
        try:
            request = classes_request(name, version).SerializeToString()
            message = self._at_start(self._predict, request, seen=True)
        except grpc.RpcError as error:
            raise ContractBroken(
                f"model {name!r} version {version} has no class table at {self.connection.address}: "
                f"its `classes` signature answers {_said(error)}"
            ) from error
        return read_classes(message, name, version)

    def available_version(self, name: str, version: int | None = None, label: str | None = None) -> int:
        """The version of a model to pin: the one named by number or label, or the newest available.

        Raises:
            ServerUnreachable: if the server does not answer within the connect budget.
            Interrupted: if `stop` was set while waiting for it.
            ContractBroken: if the server has no such model or version.
        """
        if version is None and label is not None:
            version = self._labelled(name, label)
        request = GetModelStatusRequest()
        request.model_spec.name = name
        started = time.monotonic()
        while True:
            statuses, said = self._statuses(request)
            states = {status.version: status.state for status in statuses}
            available = sorted(number for number, state in states.items() if state == ModelVersionStatus.AVAILABLE)
            if available and version in (None, *available):
                return available[-1] if version is None else version
            loading = [number for number, state in states.items() if state in _COMING and version in (None, number)]
            budget_s = self.connection.connect_budget_s
            patience_s = budget_s if loading else min(_SURELY_WRONG_AFTER_S, budget_s)
            # A version that has ended, or could not be loaded, does not come by waiting.
            wanted = f"version {version}" if version is not None else "version"
            if (loading or not states) and time.monotonic() - started < patience_s and not self._stop.is_set():
                self._waits.begin(self, Wait(f"a {wanted} of model {name!r}", started, started + patience_s))
                self._pause(0.5)
                continue
            raise ContractBroken(
                f"model {name!r} at {self.connection.address} has no available {wanted}; "
                f"available: {excerpt(str(available or 'none'))}{said}"
            )

    def _labelled(self, name: str, label: str) -> int:
        """The version that a label stands for; of TF Serving's answers, metadata names it."""
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name, request.model_spec.version_label = name, label
        try:
            return self._at_start(self._metadata, request).model_spec.version.value
        except grpc.RpcError as error:
            raise ContractBroken(
                f"model {name!r} at {self.connection.address} has no version labelled {label!r}: {_said(error)}"
            ) from error

    def _statuses(self, request: GetModelStatusRequest) -> tuple[Sequence[ModelVersionStatus], str]:
        """Where the versions of a model stand; none, and what the server said, where it does not know the model."""
        try:
            return self._at_start(self._status, request).model_version_status, ""
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise ContractBroken(f"the server at {self.connection.address} answers {_said(error)}") from error
            return (), f"; it answers {_said(error)}"

    def classify(self, model: ServedModel, images: np.ndarray) -> Answer:
        """Sends uint8 [N, H, W, 3] and waits for the answer, by the rules of `status_rules`.

        Raises:
            TypeError: if the pictures are of another type.
            ValueError: if they are of another size than the model's.
        """
        return self.send(model, encode_request(model, images))

    def send(self, model: ServedModel, request: EncodedRequest) -> Answer:
        """Sends an encoded request and waits for the answer, by the rules of `status_rules`.

        Where the server's memory, or an answer that can be received, holds fewer rows, they are sent in parts.
        """
        rows, done = request.shape[0], 0
        parts = [] if rows else [_not_scored(model, 0)]
        while done < rows:
            size = self._fit.take(min(rows - done, model.rows_at_once))
            if answer := self._ask(model, encode_part(model, request, done, done + size)):
                parts.append(answer)
                done += size
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _ask(self, model: ServedModel, request: EncodedRequest) -> Answer | None:
        """Asks until there is an answer or no use in asking; None where the server's memory holds fewer pictures."""
        rows, again, faults = request.shape[0], False, 0
        missing_since: float | None = None
        while not self._ended():
            try:
                return self._ask_once(model, request, again)
            except grpc.RpcError as error:
                failure, again = error, True
            if self._ended():  # closing a channel cancels what is in flight: no fault of the server
                break
            if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                self._flow.refused()
            said = _said(failure)
            match action_for(failure.code(), failure.details() or ""):
                case Action.HALVE if rows > 1:
                    self._fit.refused(rows)
                    return None
                case Action.WAIT | Action.HALVE as action:
                    self._flow.refused()
                    self._wait_out(model, said if action is Action.WAIT else f"no memory for even one picture: {said}")
                case Action.POLL:
                    missing_since = missing_since or time.monotonic()
                    wanted = f"version {model.version} of model {model.name!r}"
                    self._waits.begin(self, Wait(wanted, missing_since, missing_since + _VERSION_WAIT_S))
                    if time.monotonic() - missing_since > _VERSION_WAIT_S:
                        self.trouble = ContractBroken(f"model {model.name!r} version {model.version} is gone: {said}")
                    self._pause(1.0)
                case Action.PROBE if rows > 1 or request.images.any():  # else this is the plain picture itself
                    return self._probe_with_plain_picture(model, rows, said)
                case Action.GIVE_UP:
                    self.trouble = ContractBroken(f"the server at {self.connection.address} refuses: {said}")
                case _:
                    faults += 1
                    if faults > _TRIES_AFTER_FAULT:
                        return _not_scored(model, rows, said)
                    self._pause(0.1 * 2**faults)
        return self._left_unscored(model, rows)

    def _ask_once(self, model: ServedModel, request: EncodedRequest, again: bool) -> Answer:
        """Waits for a place among the requests in flight and for what the server says.

        Raises:
            grpc.RpcError: if that is a fault.
        """
        rows = request.shape[0]
        message = self._exchange(request.message, rows, again)
        if message is None:
            return self._left_unscored(model, rows)
        self._fit.answered(rows)
        try:  # outside of the slot: another request is on its way while this answer is read
            response = read_answer(message, model, rows)
            return Answer(read_probabilities(response, model, rows), read_novelty(response, model, rows))
        except BadAnswer as error:
            self.trouble = ContractBroken(f"model {model.name!r} version {model.version}: {error}")
            return self._left_unscored(model, rows)

    def ask(self, model: ServedModel, request: bytes) -> bytes:
        """Asks a pinned version for something that the work can do without, while classifying goes on.

        Waits where the server is busy or away, as `send` does; whatever else it answers costs no more than this.

        Args:
            model: of the request.
            request: a serialized PredictRequest.

        Raises:
            Unanswered: if it does not answer, or the work ends.
        """
        faults, again, said = 0, False, "stopped"
        while not self._ended():
            try:
                message = self._exchange(request, 0, again)
                if message is None:
                    break
                return message
            except grpc.RpcError as error:
                failure, again = error, True
            said = _said(failure)
            match action_for(failure.code(), failure.details() or ""):
                case Action.WAIT if not self._ended():
                    self._flow.refused()
                    self._wait_out(model, said)
                case Action.AGAIN if faults < _TRIES_AFTER_FAULT:
                    faults += 1
                    self._pause(0.1 * 2**faults)
                case _:
                    break
        raise Unanswered(said)

    def _exchange(self, request: bytes, rows: int, again: bool) -> bytes | None:
        """Waits for a place among the requests in flight and for what the server says; None where the work has ended.

        Raises:
            grpc.RpcError: if it says that something is wrong.
        """
        with self._flow.slot() as mine:
            if not (mine and self._goes_on()):
                return None
            self._flow.sent(len(request), again)
            started = time.monotonic()
            try:
                message = self._predict(request, timeout=self.connection.deadline_s)
            except ValueError:  # gRPC's way of saying that the channel was closed under us
                return None
            self._flow.answered(rows, time.monotonic() - started)  # before it is read: that time is ours
            self._waits.end(self)
            return message

    def _left_unscored(self, model: ServedModel, rows: int) -> Answer:
        self._waits.end(self)
        return _not_scored(model, rows, str(self.trouble or "stopped"))

    def _probe_with_plain_picture(self, model: ServedModel, rows: int, said: str) -> Answer:
        """These pictures were refused: a known-good one tells whether they or the contract are at fault."""
        known_good = np.zeros((1, model.card.height, model.card.width, 3), np.uint8)
        if self.classify(model, known_good).fault and not self.trouble:
            self.trouble = ContractBroken(f"model {model.name!r} refuses even a plain picture: {said}")
        return _not_scored(model, rows, said)

    def _wait_out(self, model: ServedModel, said: str) -> None:
        """Waits once; where the server has been away for long, until it says that it is back."""
        self._wait_once(said)
        if self._flow.circuit_open:
            with self._probing:  # one asks, for all
                while self._flow.circuit_open and not self._ended():
                    if self._is_back(model):
                        self._flow.close_circuit()
                    else:
                        self._wait_once(said)

    def _wait_once(self, said: str) -> None:
        wait_s = self._flow.next_wait_s()
        if wait_s is not None:
            since = self._flow.away_since
            if since is not None:  # else it has just answered another thread
                until = since + self.connection.outage_budget_s
                self._waits.begin(self, Wait("the model server", since, until, said.partition(":")[0]))
            self._flow.waited(self._pause(wait_s))
        elif not self.trouble:  # the first thread that gives up says why
            self.trouble = ServerUnreachable(
                f"the model server at {self.connection.address} stayed away for more than "
                f"{self.connection.outage_budget_s:g} s: {said}"
            )

    def _is_back(self, model: ServedModel) -> bool:
        if not self._goes_on():
            return False
        request = GetModelStatusRequest()
        request.model_spec.name, request.model_spec.version.value = model.name, model.version
        try:
            (status,) = self._status(request, timeout=_PROBE_DEADLINE_S).model_version_status
        except (grpc.RpcError, ValueError):  # ValueError: not exactly one version, or a channel closed under us
            return False
        return status.state == ModelVersionStatus.AVAILABLE

    def _at_start(
        self,
        call: Callable[..., Any],
        request: bytes | GetModelStatusRequest | GetModelMetadataRequest,
        seen: bool = False,
    ) -> Any:
        """Calls while nothing has been started yet: waits for a server that is coming up, raises everything else.

        A version that was `seen` a moment ago and is not found now may be on its way back.
        """
        try:
            return self._called_until_it_answers(call, request, seen)
        finally:
            self._waits.end(self)

    def _called_until_it_answers(self, call: Callable[..., Any], request: Any, seen: bool) -> Any:
        flow = Flow(1, self.connection.connect_budget_s, self._ended)  # the start has a patience of its own
        started = time.monotonic()
        passing_until = started + _SURELY_WRONG_AFTER_S
        while True:
            try:
                return call(request, timeout=self.connection.deadline_s)
            except grpc.RpcError as error:
                details, tls = error.details() or "", self.connection.tls
                action = action_for(error.code(), details)
                coming_back = seen and action is Action.POLL and time.monotonic() < passing_until
                if action not in (Action.WAIT, Action.AGAIN, Action.HALVE) and not coming_back:
                    raise
                if self._stop.is_set():
                    raise Interrupted("interrupted while waiting for the model server") from error
                wrong = handshake_trouble(details, tls)
                if not wrong and time.monotonic() > passing_until:  # a server that is just going closes connections too
                    wrong = closed_trouble(details, tls)
                if wrong:
                    raise ContractBroken(
                        f"the server at {self.connection.address} cannot be talked to: {wrong}"
                    ) from error
                wait_s = flow.next_wait_s()
                if wait_s is None:
                    raise ServerUnreachable(
                        f"no model server answers at {self.connection.address}: {_said(error)}"
                    ) from error
                until = started + self.connection.connect_budget_s
                self._waits.begin(self, Wait("the model server", started, until, error.code().name))
                self._pause(wait_s)

    def _pause(self, longest_s: float) -> float:
        seconds = longest_s * random.uniform(0.5, 1.0)  # or all workers of a night would come back at once
        self._stop.wait(seconds)
        return seconds


def _the_same(described: dict[str, ServedModel]) -> ServedModel:
    """What all servers say of a version; requests go round them, and a night would be judged by several models."""
    (first, model), *others = described.items()
    for address, other in others:
        if model != other:
            raise ContractBroken(
                f"{first} and {address} serve different {_difference(model, other)} "
                f"as version {model.version} of model {model.name!r}"
            )
    return model


def _difference(one: ServedModel, other: ServedModel) -> str:
    if one.card.weights_digest != other.card.weights_digest:
        return "weights"
    return "classes" if one.table != other.table else "cards"


def _not_scored(model: ServedModel, rows: int, fault: str | None = None) -> Answer:
    return Answer(np.full((rows, len(model.table)), np.nan, np.float32), np.full(rows, np.nan, np.float32), fault)


def _joined(parts: Sequence[Answer]) -> Answer:
    probabilities = np.concatenate([part.probabilities for part in parts])
    novelty = np.concatenate([part.novelty for part in parts])
    return Answer(probabilities, novelty, next((part.fault for part in parts if part.fault), None))


def _said(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {excerpt(error.details() or '')}"
