"""Servers that lie or are broken: what they say is checked against what was asked before it costs memory or a night."""

import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.errors import ContractBroken, ServerUnreachable
from serving.client.client import Client
from serving.client.connection import Connection
from serving.contract import ServedModel, Signature
from serving.fake import FakeServer, Spoil, plain_model
from serving.messages import (
    DT_FLOAT,
    DT_INT32,
    DT_STRING,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    TensorProto,
)
from serving.tensors import from_tensor, to_tensor

MODEL = plain_model("870829", "392690", height=4, width=5)
NOVEL = replace(MODEL, card=replace(MODEL.card, thresholds=Thresholds(0.05, 0.5, 1.0, novel_above=0.3)))
IMAGES = np.full((8, 4, 5, 3), 200, np.uint8)
MEGABYTE = 1 << 20


def claiming(dtype: int, shape: tuple[int, ...], **values: Any) -> TensorProto:
    tensor = TensorProto(dtype=dtype, **values)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def answers(**outputs: TensorProto) -> Spoil:
    """A server's answers to pictures have these outputs instead of its own."""

    def spoil(request: Any, response: Any) -> None:
        if isinstance(request, PredictRequest) and "images" in request.inputs:
            for name, tensor in outputs.items():
                response.outputs[name].CopyFrom(tensor)

    return spoil


def describes(**outputs: TensorProto) -> Spoil:
    """A server's answers to the ping have these outputs instead of its own."""

    def spoil(request: Any, response: Any) -> None:
        if isinstance(request, PredictRequest) and "ping" in request.inputs:
            for name, tensor in outputs.items():
                response.outputs[name].CopyFrom(tensor)

    return spoil


def nothing(request: Any, response: Any) -> None:
    """An honest server."""


@contextmanager
def client_of(spoil: Spoil = nothing, model: ServedModel = MODEL, **connection: Any) -> Iterator[Client]:
    with (
        FakeServer(model, spoil=spoil).listening() as address,
        closing(Client(Connection(address, **connection))) as client,
    ):
        yield client


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """What Python and NumPy allocate meanwhile."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < megabytes * MEGABYTE


@pytest.mark.parametrize(
    "shape", [(50_000_000, 2), (8, 20_000_000), (-8, -2), (8, -2), (), (8,), (8, 2, 1), (2**62, 2**62)]
)
def test_a_claimed_shape_is_compared_before_anything_is_filled(shape):
    with client_of(answers(probabilities=claiming(DT_FLOAT, shape, float_val=[0.5]))) as client, at_most(8):
        answer = client.classify(MODEL, IMAGES)

    assert np.isnan(answer.probabilities).all()
    assert f"expected probabilities float32 [8, 2], got float32 {list(shape)}" in str(client.trouble)


def test_one_value_may_still_stand_for_all_of_the_shape_that_was_asked():
    with client_of(answers(probabilities=claiming(DT_FLOAT, (8, 2), float_val=[0.5]))) as client:
        answer = client.classify(MODEL, IMAGES)

    assert answer.probabilities.tolist() == [[0.5, 0.5]] * 8


def test_novelty_that_claims_other_rows_is_refused_before_it_is_filled():
    novelty = claiming(DT_FLOAT, (50_000_000,), float_val=[0.5])
    with client_of(answers(novelty=novelty), NOVEL) as client, at_most(8):
        client.classify(NOVEL, IMAGES)

    assert "expected novelty float32 [8], got float32 [50000000]" in str(client.trouble)


@pytest.mark.parametrize(
    ("output", "tensor", "sentence"),
    [
        ("hs_codes", claiming(DT_STRING, (1, 20_000_000), string_val=[b"87"]), "at most 100000 classes"),
        ("hs_codes", claiming(DT_STRING, (1, 100_001), string_val=[b"87"]), "at most 100000 classes"),
        ("hs_codes", claiming(DT_STRING, (-1, -1), string_val=[b"87"]), r"got string \[-1, -1\]"),
        ("hs_codes", claiming(DT_STRING, (1, 1), string_val=[b"8" * 5_000_000]), "at most 11 characters"),
        ("hs_codes", claiming(DT_FLOAT, (1, 2), float_val=[87]), r"got float32 \[1, 2\]"),
        ("card", claiming(DT_STRING, (20_000_000,), string_val=[b"{}"]), r"got string \[20000000\]"),
        ("card", claiming(DT_INT32, (1,), int_val=[1]), r"got int32 \[1\]"),
    ],
)
def test_a_class_table_or_card_that_cannot_be_one_is_refused_before_it_is_filled(output, tensor, sentence):
    with (
        client_of(describes(**{output: tensor})) as client,
        at_most(32),
        pytest.raises(ContractBroken, match=sentence),
    ):
        client.resolve("hs")


class _Raw(grpc.GenericRpcHandler):
    """Answers each method with bytes that need not be a message."""

    def __init__(self, answer: Callable[[str], bytes], compression: grpc.Compression) -> None:
        self._answer, self._compression = answer, compression

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            context.set_compression(self._compression)
            return self._answer(handler_call_details.method.rpartition("/")[2])

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def raw_client(
    answer: Callable[[str], bytes], compression: grpc.Compression = grpc.Compression.NoCompression
) -> Iterator[Client]:
    with ThreadPoolExecutor(4) as threads:
        options = [("grpc.max_send_message_length", -1)]
        server = grpc.server(threads, handlers=[_Raw(answer, compression)], options=options)
        port = server.add_insecure_port("localhost:0")
        server.start()
        with closing(Client(Connection(f"localhost:{port}", connect_budget_s=0.3))) as client:
            yield client
        server.stop(None).wait()


COMPRESSIONS = [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_answer_far_larger_than_any_is_not_received_and_asked_for_once(compression):
    asked = []
    with raw_client(lambda method: asked.append(method) or bytes(80 * MEGABYTE), compression) as client:
        client.classify(MODEL, IMAGES)

    assert isinstance(client.trouble, ContractBroken)
    assert "larger than max" in str(client.trouble)
    assert len(asked) == 1


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_answer_larger_than_that_of_its_pictures_is_not_even_parsed(compression):
    with raw_client(lambda method: bytes(20 * MEGABYTE), compression) as client:
        client.classify(MODEL, IMAGES)

    assert "an answer of at most" in str(client.trouble)
    assert "got 20971520 bytes" in str(client.trouble)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_status_of_megabytes_is_not_received(compression):
    with (
        raw_client(lambda method: bytes(5 * MEGABYTE), compression) as client,
        pytest.raises(ContractBroken, match="larger than max"),
    ):
        client.resolve("hs")


def test_a_class_table_of_megabytes_is_not_parsed():
    status = GetModelStatusResponse()
    status.model_version_status.add(version=1, state=30)
    answer = {"GetModelStatus": status.SerializeToString(), "Predict": bytes(20 * MEGABYTE)}
    with raw_client(answer.__getitem__) as client, pytest.raises(ContractBroken, match="got 20971520 bytes"):
        client.resolve("hs")


def test_bytes_that_are_no_message_are_said_to_be_none():
    with raw_client(lambda method: b"\xff" * 100) as client:
        client.classify(MODEL, IMAGES)

    assert "the answer is no PredictResponse" in str(client.trouble)


def test_so_many_pictures_are_sent_at_once_as_have_answers_that_can_be_received(monkeypatch):
    monkeypatch.setattr("serving.contract.MOST_ANSWER_BYTES", 65536 + 3 * 8 * 3)
    sizes = []

    def spoil(request: Any, response: Any) -> None:
        sizes.append(request.inputs["images"].tensor_shape.dim[0].size)

    with client_of(spoil) as client:
        answer = client.classify(MODEL, IMAGES)

    assert sizes == [3, 3, 2]
    assert answer.probabilities.shape == (8, 2)
    assert answer.fault is None


def test_the_largest_class_table_answers_the_usual_batch_at_once():
    labels = tuple(f"{number:06}" for number in range(100_000))
    model = replace(MODEL, table=ClassTable(labels))
    with client_of(model=model) as client:
        resolved = client.resolve("hs")
        answer = client.classify(resolved, np.zeros((64, 4, 5, 3), np.uint8))

    assert answer.fault is None
    assert client.counters.requests == 1


def test_outputs_that_nobody_asked_for_are_an_error():
    with client_of(answers(novelty=to_tensor(np.zeros(8, np.float32)))) as client:
        client.classify(MODEL, IMAGES)

    assert "the answer has outputs that were not asked for: ['novelty']" in str(client.trouble)


def sentence_of(client: Client) -> str:
    """What ends the work of a client that resolves a model and sends pictures."""
    try:
        client.classify(client.resolve("hs"), IMAGES)
    except ContractBroken as error:
        return str(error)
    return str(client.trouble)


@pytest.mark.parametrize(("name", "version"), [("hs", 2), ("cars", 1), ("hs", None), ("", 1), ("", None)])
@pytest.mark.parametrize("to", ["images", "ping"])
def test_an_answer_that_names_another_model_than_was_asked_is_refused(name, version, to):
    def spoil(request: Any, response: Any) -> None:
        if isinstance(response, PredictResponse) and to in request.inputs:
            response.model_spec.Clear()
            response.model_spec.name = name
            if version is not None:
                response.model_spec.version.value = version

    with client_of(spoil) as client:
        said = sentence_of(client)

    assert f"asked version 1 of 'hs', answered by version {version or 0} of {name!r}" in said


@contextmanager
def several_clients(*models: ServedModel) -> Iterator[tuple[Client, list[str]]]:
    """One client of several servers, and their addresses."""
    with ExitStack() as servers:
        addresses = [servers.enter_context(FakeServer(model).listening()) for model in models]
        with closing(Client(Connection(",".join(addresses), connect_budget_s=0.3))) as client:
            yield client, addresses


def with_card(**changes: Any) -> ServedModel:
    return replace(MODEL, card=replace(MODEL.card, **changes))


@pytest.mark.parametrize(
    ("second", "differ"),
    [
        (with_card(weights_digest="sha256:01"), "weights"),
        (replace(MODEL, table=ClassTable(("392690", "870829"))), "classes"),
        (with_card(thresholds=Thresholds(0.1, 0.5, 1.0)), "cards"),
    ],
)
def test_servers_that_serve_different_models_as_one_version_are_named(second, differ):
    with several_clients(MODEL, second) as (client, (one, two)), pytest.raises(ContractBroken) as said:
        client.resolve("hs")

    assert str(said.value) == f"{one} and {two} serve different {differ} as version 1 of model 'hs'"


def test_a_server_without_the_version_of_the_others_is_named(monkeypatch):
    monkeypatch.setattr("serving.client.client._SURELY_WRONG_AFTER_S", 0.1)
    second = replace(MODEL, version=2)
    with several_clients(MODEL, second) as (client, (one, two)), pytest.raises(ContractBroken) as said:
        client.resolve("hs")

    assert "NOT_FOUND" in str(said.value)
    missing = (f"version 1 has no class table at {two}", f"version 2 has no class table at {one}")
    assert any(
        sentence in str(said.value) for sentence in missing
    )  # which is asked for versions first is gRPC's choice


def test_servers_that_agree_are_one_model_and_one_that_is_away_is_not_waited_for_long():
    with several_clients(MODEL, MODEL) as (client, (one, two)):
        client.connection = replace(client.connection, address=f"{one},localhost:1,{two}")

        assert client.resolve("hs") == MODEL


def test_a_name_with_several_addresses_is_several_servers(monkeypatch):
    found = [(2, 1, 6, "", ("10.0.0.1", 8500)), (2, 1, 6, "", ("10.0.0.2", 8500))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: found)

    servers = [server.address for server in Connection("dns:///tf-serving:8500").servers()]

    assert servers == ["ipv4:10.0.0.1:8500", "ipv4:10.0.0.2:8500"]


@pytest.mark.parametrize(
    "address", ["localhost:8500", "unix:/run/model.sock", "no-such-host.invalid:8500", "ipv6:[::1]:8"]
)
def test_a_name_with_one_address_is_one_server(address):
    connection = Connection(address)

    assert connection.servers() == (connection,)


def test_a_server_that_has_no_memory_for_even_one_picture_is_given_up():
    sizes = []

    def spoil(request: Any, response: Any) -> tuple[StatusCode, str]:
        sizes.append(request.inputs["images"].tensor_shape.dim[0].size)
        return StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating tensor"

    with client_of(spoil, outage_budget_s=0.5) as client:
        spoiled = [client.classify(MODEL, IMAGES) for _ in range(3)]

    assert all(np.isnan(answer.probabilities).all() for answer in spoiled)
    assert isinstance(client.trouble, ServerUnreachable)
    assert "no memory for even one picture" in str(client.trouble)
    assert "OOM when allocating tensor" in str(client.trouble)
    assert sizes[:4] == [8, 4, 2, 1]
    assert len(sizes) < 30


def test_memory_that_comes_back_within_the_outage_budget_costs_no_picture():
    faults = [(StatusCode.RESOURCE_EXHAUSTED, "OOM when allocating tensor")] * 10

    with client_of(lambda request, response: faults.pop() if faults else None, outage_budget_s=60) as client:
        answer = client.classify(MODEL, IMAGES)

    assert answer.fault is None
    assert np.isfinite(answer.probabilities).all()


@pytest.mark.parametrize(
    ("pictures", "error", "sentence"),
    [
        (IMAGES.astype(np.float32) / 255, TypeError, r"uint8 \[N, 4, 5, 3\], got float32 \[8, 4, 5, 3\]"),
        (IMAGES.astype(np.int64), TypeError, "got int64"),
        (IMAGES.tolist(), TypeError, "got list"),
        (np.zeros((8, 9, 5, 3), np.uint8), ValueError, r"got uint8 \[8, 9, 5, 3\]"),
        (np.zeros((8, 5, 4, 3), np.uint8), ValueError, r"got uint8 \[8, 5, 4, 3\]"),
        (np.zeros((8, 4, 5), np.uint8), ValueError, r"got uint8 \[8, 4, 5\]"),
        (np.zeros((8, 4, 5, 4), np.uint8), ValueError, r"got uint8 \[8, 4, 5, 4\]"),
        (np.zeros((4, 5, 3), np.uint8), ValueError, r"got uint8 \[4, 5, 3\]"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_what_is_no_picture_of_the_models_size_is_an_error_of_the_caller(pictures, error, sentence, dtype):
    model = replace(MODEL, signature=Signature(dtype=dtype))
    with client_of() as client, pytest.raises(error, match=sentence):
        client.classify(model, pictures)

    assert client.counters.requests == 0


def test_pictures_for_a_model_of_float32_are_converted_also_where_they_are_sent_in_parts():
    model = replace(MODEL, signature=Signature(dtype="float32"))
    sent = []

    def spoil(request: Any, response: Any) -> tuple[StatusCode, str] | None:
        images = from_tensor(request.inputs["images"])
        sent.append((len(images), images.dtype, images.max()))
        return (StatusCode.RESOURCE_EXHAUSTED, "OOM") if len(images) > 4 else None

    with client_of(spoil) as client:
        answer = client.classify(model, IMAGES)

    assert answer.fault is None
    assert sent == [(8, np.float32, 200), (4, np.float32, 200), (4, np.float32, 200)]


def test_no_pictures_are_an_empty_answer_without_a_request():
    with client_of() as client:
        answer = client.classify(MODEL, IMAGES[:0])

    assert (answer.probabilities.shape, answer.novelty.shape, answer.fault) == ((0, 2), (0,), None)
    assert client.counters.requests == 0


HOSTILE = "\x1b[31mboom\u202e" + "x" * 5000


def test_what_a_server_says_of_its_fault_is_escaped_and_cut():
    with client_of(lambda request, response: (StatusCode.INTERNAL, HOSTILE)) as client:
        answer = client.classify(MODEL, IMAGES)

    assert answer.fault.startswith(r"INTERNAL: \x1b[31mboom\u202exxx")
    assert answer.fault.isprintable()
    assert len(answer.fault) < 350


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request, response: (StatusCode.PERMISSION_DENIED, HOSTILE),
        answers(**{HOSTILE: to_tensor(np.zeros(1, np.float32))}),
        answers(probabilities=claiming(DT_FLOAT, (1,) * 10_000, float_val=[1])),
        lambda request, response: setattr(response.model_spec, "name", HOSTILE),
    ],
)
def test_the_sentence_that_ends_the_work_is_printable_and_short(spoil):
    with client_of(spoil) as client:
        client.classify(MODEL, IMAGES)

    assert str(client.trouble).isprintable()
    assert len(str(client.trouble)) < 450


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request, response: (StatusCode.PERMISSION_DENIED, HOSTILE),
        describes(card=to_tensor(np.array([b'{"thresholds_for": {"' + b"x" * 90_000 + b'": {}}}'], object))),
        describes(
            card=to_tensor(
                np.array(
                    [
                        MODEL.card.to_json()
                        .replace('"thresholds_for": {}', f'"thresholds_for": {{"{"x" * 90_000}": {{}}}}')
                        .encode()
                    ],
                    object,
                )
            )
        ),
    ],
)
def test_the_sentence_of_a_model_that_cannot_be_resolved_is_printable_and_short(spoil):
    with client_of(spoil) as client, pytest.raises(ContractBroken) as said:
        client.resolve("hs")

    assert str(said.value).isprintable()
    assert len(str(said.value)) < 450
