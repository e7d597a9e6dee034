import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from hs.card import Card, Thresholds
from hs.class_table import ClassTable
from hs.errors import ContractBroken
from serving.contract import (
    BadAnswer,
    ServedModel,
    Signature,
    classes_request,
    encode_request,
    read_classes,
    read_novelty,
)
from serving.messages import PredictRequest, PredictResponse
from serving.tensors import from_tensor, to_tensor

CARD = Card(4, 5, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.4, 0.9), "sha256:00")
MODEL = ServedModel("hs", 12, ClassTable(("870829", "392690")), CARD)


def official(model: ServedModel, images: np.ndarray) -> PredictRequest:
    request = PredictRequest()
    request.model_spec.name = model.name
    request.model_spec.version.value = model.version
    request.model_spec.signature_name = model.signature.name
    request.output_filter.append(model.signature.output)
    request.inputs[model.signature.input].CopyFrom(to_tensor(images))
    return request


@pytest.mark.parametrize("rows", [1, 2, 64, 700])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_an_encoded_request_reads_as_the_official_message(rows, dtype):
    model = ServedModel("hs", 12, MODEL.table, CARD, Signature("predict", "pixels", "scores", dtype))
    images = np.random.default_rng(rows).integers(0, 256, (rows, 4, 5, 3), np.uint8)

    encoded = encode_request(model, images)

    assert PredictRequest.FromString(encoded.message) == official(model, images.astype(dtype))
    np.testing.assert_array_equal(encoded.images, images)


def test_requests_in_one_room_take_no_memory_beside_it_and_leave_one_that_is_still_held_as_it_was():
    model, images = ServedModel("hs", 12, MODEL.table, CARD), np.zeros((3, 4, 5, 3), np.uint8)
    room = BytesIO()

    held = encode_request(model, images, room).message
    others = [images[:2] + 1, images + 2, np.concatenate([images, images]) + 3]
    encoded = [encode_request(model, each, room) for each in others]

    assert encoded[-1].message is room.getvalue()
    assert held == encode_request(model, images).message
    assert [each.message for each in encoded] == [encode_request(model, each).message for each in others]


def answered() -> PredictResponse:
    """An answer of version 12, without outputs yet."""
    response = PredictResponse()
    response.model_spec.name, response.model_spec.version.value = "hs", 12
    return response


def described(hs_codes: list[list[bytes]], card: list[bytes]) -> PredictResponse:
    response = answered()
    for name, values in (("hs_codes", hs_codes), ("card", card)):
        response.outputs[name].CopyFrom(to_tensor(np.array(values, dtype=object)))
    return response


def test_the_class_table_and_the_card_are_read_from_the_answer():
    response = described([[b"870829", b"392690"]], [CARD.to_json().encode()])

    assert read_classes(response.SerializeToString(), "hs", 12) == MODEL


def test_the_class_table_is_asked_for_with_one_ping():
    request = classes_request("hs", 12)

    assert request.model_spec.signature_name == "classes"
    assert from_tensor(request.inputs["ping"]).shape == (1,)


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        (answered(), "has no output 'hs_codes'"),
        (described([[b"cat"]], [CARD.to_json().encode()]), "got 'cat'"),
        (described([[b"870829"]], [b"{}"]), "the model card has no 'thresholds'"),
        (described([[b"870829"], [b"870829"]], [b"{}"] * 2), r"expected hs_codes \[1, C\] .*, got string \[2, 1\]"),
    ],
)
def test_an_answer_that_breaks_the_contract_is_named(response, sentence):
    with pytest.raises(ContractBroken, match=sentence):
        read_classes(response.SerializeToString(), "hs", 12)


def with_novelty(model: ServedModel) -> ServedModel:
    return replace(model, card=replace(CARD, thresholds=replace(CARD.thresholds, novel_above=0.3)))


def test_novelty_is_asked_for_only_where_the_card_has_a_threshold_for_it():
    images = np.zeros((1, 4, 5, 3), np.uint8)

    wanted = [
        list(PredictRequest.FromString(encode_request(model, images).message).output_filter)
        for model in (MODEL, with_novelty(MODEL))
    ]

    assert wanted == [["probabilities"], ["probabilities", "novelty"]]


def test_a_model_without_novelty_still_works():
    assert np.isnan(read_novelty(PredictResponse(), MODEL, 2)).all()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "the answer has no output 'novelty'"),
        (np.zeros((2, 1), np.float32), "expected novelty float32 [2], got float32 [2, 1]"),
        (np.zeros(2, np.int32), "expected novelty float32 [2], got int32 [2]"),
        (np.array([0.5, 1.5], np.float32), "not between 0 and 1"),
        (np.array([0.5, np.nan], np.float32), "not between 0 and 1"),
    ],
)
def test_novelty_that_breaks_the_contract_is_named(answer, sentence):
    response = PredictResponse()
    if answer is not None:
        response.outputs["novelty"].CopyFrom(to_tensor(answer))

    with pytest.raises(BadAnswer, match=re.escape(sentence)):
        read_novelty(response, with_novelty(MODEL), 2)
