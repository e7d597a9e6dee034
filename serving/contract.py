"""What the audit and a served model agree on: names, shapes and types of what goes over the wire.

`serving_default`: `images` uint8 [N, H, W, 3] RGB → `probabilities` float32 [N, C], rows sum to 1.
`classes`: `ping` int32 [N] → `hs_codes` string [N, C] and `card` string [N], the model's card as JSON.

A model from elsewhere has no `classes`; the configuration names its signature, its classes and its card instead.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.pictures import PictureSize
from pipeline.rules.card import Card
from pipeline.rules.class_table import ClassTable
from pipeline.rules.errors import ContractBroken
from serving.messages import ModelSpec, PredictRequest, PredictResponse
from serving.tensors import from_tensor, to_tensor

CLASSES_SIGNATURE = "classes"


@dataclass(frozen=True)
class Signature:
    """How a classifier's pictures and probabilities are called.

    Attributes:
        name: of the signature.
        input: of the pictures.
        output: of the probabilities.
        dtype: of the pictures, `uint8` or `float32`, 0 to 255 either way.
    """

    name: str = "serving_default"
    input: str = "images"
    output: str = "probabilities"
    dtype: str = "uint8"


@dataclass(frozen=True)
class ServedModel:
    """A model version as the audit uses it, resolved once and pinned for the run."""

    name: str
    version: int
    table: ClassTable
    card: Card
    signature: Signature = Signature()

    @property
    def picture_size(self) -> PictureSize:
        """The pixels that the model wants."""
        return PictureSize(self.card.height, self.card.width, self.card.resize_filter, self.card.draft_multiple)


class BadAnswer(Exception):
    """An answer that cannot be what it should be: a wrong shape or type, a NaN, rows that do not sum to 1."""


def predict_request(model: ServedModel, images: np.ndarray) -> PredictRequest:
    """The request for the probabilities of uint8 [N, H, W, 3]."""
    request = _request(model.name, model.version, model.signature.name)
    request.inputs[model.signature.input].CopyFrom(to_tensor(images.astype(model.signature.dtype, copy=False)))
    request.output_filter.append(model.signature.output)
    return request


def read_probabilities(response: PredictResponse, model: ServedModel, rows: int) -> np.ndarray:
    """The answer to `predict_request`, float32 [rows, C].

    Raises:
        BadAnswer: if what came back cannot be the probabilities of these pictures.
    """
    probabilities = _output(response, model.signature.output)
    if probabilities.shape != (rows, len(model.table)):
        raise BadAnswer(f"expected probabilities [{rows}, {len(model.table)}], got {list(probabilities.shape)}")
    if probabilities.dtype != np.float32:
        raise BadAnswer(f"expected float32 probabilities, got {probabilities.dtype}")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise BadAnswer("the probabilities hold a NaN, an infinity or a negative number")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise BadAnswer("the probabilities of a picture do not sum to 1")
    return probabilities


def classes_request(name: str, version: int) -> PredictRequest:
    """The request for the class table and the card of a model version."""
    request = _request(name, version, CLASSES_SIGNATURE)
    request.inputs["ping"].CopyFrom(to_tensor(np.zeros(1, np.int32)))
    return request


def read_classes(response: PredictResponse, name: str, version: int) -> ServedModel:
    """The answer to `classes_request`.

    Raises:
        ContractBroken: if the class table or the card is not what the contract says.
    """
    try:
        labels = _output(response, "hs_codes")
        card = _output(response, "card")
        if labels.ndim != 2 or labels.shape[0] != 1 or card.shape != (1,):
            raise BadAnswer(f"expected hs_codes [1, C] and card [1], got {list(labels.shape)} and {list(card.shape)}")
        table = ClassTable(tuple(label.decode() for label in labels[0]))
        return ServedModel(name, version, table, Card.from_json(card[0].decode()))
    except (BadAnswer, ValueError, AttributeError) as error:
        raise ContractBroken(f"model {name!r} version {version} breaks the contract: {error}") from error


def _request(name: str, version: int, signature: str) -> PredictRequest:
    spec = ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    return PredictRequest(model_spec=spec)


def _output(response: PredictResponse, name: str) -> np.ndarray:
    if name not in response.outputs:
        raise BadAnswer(f"the answer has no output {name!r}, but {sorted(response.outputs)}")
    try:
        return from_tensor(response.outputs[name])
    except ValueError as error:
        raise BadAnswer(f"output {name!r}: {error}") from error
