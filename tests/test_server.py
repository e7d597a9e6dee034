"""The bundled server, in its own process, asked with the official messages."""

import grpc
import numpy as np
import pytest

from pipeline.rules.errors import ContractBroken
from serving.client import Client, Connection
from serving.contract import encode_request, read_probabilities
from serving.launch import bundled_server
from serving.messages import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServiceStub,
    ModelVersionStatus,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
)
from serving.tensors import from_tensor, to_tensor
from tests.archives import COLOURS

RED_GREEN = np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in list(COLOURS.values())[:2]])


@pytest.fixture
def channel(colour_server):
    with grpc.insecure_channel(colour_server) as channel:
        yield channel


def request(**spec):
    message = PredictRequest()
    message.model_spec.name = spec.pop("name", "hs")
    if "version" in spec:
        message.model_spec.version.value = spec.pop("version")
    message.model_spec.signature_name = spec.pop("signature", "")
    for name, array in spec.items():
        message.inputs[name].CopyFrom(to_tensor(array))
    return message


def test_the_contract_travels_over_the_wire(colour_server):
    client = Client(Connection(colour_server))

    model = client.resolve("hs")

    assert (model.name, model.version, model.table.labels) == ("hs", 1, tuple(COLOURS))
    assert (model.card.height, model.card.width) == (32, 32)
    client.close()


def test_pictures_become_probabilities(colour_server, channel):
    client = Client(Connection(colour_server))
    model = client.resolve("hs")

    message = PredictRequest.FromString(encode_request(model, RED_GREEN).message)
    response = PredictionServiceStub(channel).Predict(message)

    probabilities = read_probabilities(response, model, rows=2)
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    client.close()


def test_the_version_and_the_signature_may_be_left_out(channel):
    response = PredictionServiceStub(channel).Predict(request(images=RED_GREEN))

    assert from_tensor(response.outputs["probabilities"]).shape == (2, 3)


@pytest.mark.parametrize(
    ("message", "code", "details"),
    [
        (request(name="cars", images=RED_GREEN), "NOT_FOUND", "Servable not found for request: Latest(cars)"),
        (request(version=7, images=RED_GREEN), "NOT_FOUND", "Servable not found for request: Specific(hs, 7)"),
        (request(signature="x", images=RED_GREEN), "FAILED_PRECONDITION", 'Serving signature key "x" not found.'),
        (request(), "INVALID_ARGUMENT", "input size does not match signature"),
        (request(images=RED_GREEN, more=RED_GREEN), "INVALID_ARGUMENT", "Sent extra: {more}"),
        (request(images=RED_GREEN.astype(np.float32)), "INVALID_ARGUMENT", ""),
    ],
)
def test_a_wrong_request_gets_the_status_that_tf_serving_gives(channel, message, code, details):
    with pytest.raises(grpc.RpcError) as refused:
        PredictionServiceStub(channel).Predict(message)

    assert refused.value.code().name == code
    assert details in refused.value.details()


def test_metadata_names_the_signatures(channel):
    message = GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "hs"

    response = PredictionServiceStub(channel).GetModelMetadata(message)

    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "classes"} <= set(signatures.signature_def)


def test_the_status_of_a_loaded_model_is_available(channel):
    message = GetModelStatusRequest()
    message.model_spec.name = "hs"

    (status,) = ModelServiceStub(channel).GetModelStatus(message).model_version_status

    assert (status.version, status.state) == (1, ModelVersionStatus.AVAILABLE)


def test_a_folder_without_a_model_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(ContractBroken, match="holds no model"), bundled_server(tmp_path):
        pass


def test_a_model_that_cannot_be_loaded_ends_in_a_sentence(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"nonsense")

    with pytest.raises(ContractBroken, match="cannot serve"), bundled_server(tmp_path):
        pass
