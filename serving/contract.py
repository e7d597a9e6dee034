"""What the audit and a served model agree on: names, shapes and types of what goes over the wire.

`serving_default`: `images` uint8 [N, H, W, 3] RGB → `probabilities` float32 [N, C], rows sum to 1; and, where the
card has a threshold for it, `novelty` float32 [N], 0 to 1, how unlike a picture is to all that the model learned from.
`classes`: `ping` int32 [N] → `hs_codes` string [N, C] and `card` string [N], the model's card as JSON.
Where the card counts precedents, `nearest`, `nearest_of` and `precedents`: see `serving.precedents`.

A model from elsewhere has no `classes`; the configuration names its signature, its classes and its card instead.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from google.protobuf.message import DecodeError

from hs.card import Card
from hs.class_table import ClassTable
from hs.errors import ContractBroken
from hs.pictures.decoding import PictureSize
from hs.text import excerpt
from serving.messages import ModelSpec, PredictRequest, PredictResponse, TensorProto
from serving.tensors import describe, from_tensor, shape_of, to_tensor

CLASSES_SIGNATURE = "classes"
NOVELTY = "novelty"
CLASSES_OUTPUTS = ("hs_codes", "card")

MOST_CLASSES = 100_000
MOST_ANSWER_BYTES = 64 * 2**20  # 64 pictures of as many classes as there can be take 49 MiB by the rule below
_MOST_CLASSES_BYTES = 8 * 2**20  # as many classes and a card of a million characters take 5 MiB
_LABEL_CHARACTERS = 11
_BYTES_A_VALUE = 8  # float32 takes four packed or raw and five unpacked; the rest is room
_BYTES_BESIDE = 64 * 2**10  # names and shapes


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
    def outputs(self) -> tuple[str, ...]:
        """The outputs that it is asked for."""
        # To ask for one that a model has not is INVALID_ARGUMENT: its card says whether it has novelty.
        return (self.signature.output, NOVELTY) if self.has_novelty else (self.signature.output,)

    @property
    def rows_at_once(self) -> int:
        """How many pictures have an answer that can be received."""
        return max(1, (MOST_ANSWER_BYTES - _BYTES_BESIDE) // self._bytes_a_row)

    def answer_bytes(self, rows: int) -> int:
        """How large the answer for so many pictures can be."""
        return rows * self._bytes_a_row + _BYTES_BESIDE

    @property
    def _bytes_a_row(self) -> int:
        return _BYTES_A_VALUE * (len(self.table) + 1)

    @property
    def picture_size(self) -> PictureSize:
        """The pixels that the model wants."""
        return PictureSize(self.card.height, self.card.width, self.card.resize_filter, self.card.draft_multiple)

    @property
    def has_precedents(self) -> bool:
        """Whether it says which rulings a picture is most like (`serving.precedents`)."""
        return self.card.precedents > 0

    @property
    def has_novelty(self) -> bool:
        """Whether it says how unlike a picture is to what it learned from."""
        return self.card.thresholds.novel_above is not None


class BadAnswer(Exception):
    """An answer that cannot be what it should be: a wrong shape or type, a NaN, rows that do not sum to 1."""

    def __init__(self, sentence: str) -> None:
        super().__init__(excerpt(sentence))  # names and shapes in it are the server's


@dataclass(frozen=True)
class EncodedRequest:
    """A PredictRequest for pictures as it goes over the wire, the pixels last.

    Attributes:
        message: the serialized PredictRequest.
        shape: of the pictures, [N, H, W, 3].
        dtype: of the pictures.
    """

    message: bytes
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def images(self) -> np.ndarray:
        """The pictures again, without a copy."""
        count = math.prod(self.shape)
        offset = len(self.message) - count * self.dtype.itemsize
        return np.frombuffer(self.message, self.dtype, count, offset).reshape(self.shape)


def encode_request(model: ServedModel, images: np.ndarray, room: BytesIO | None = None) -> EncodedRequest:
    """The request for the probabilities of uint8 [N, H, W, 3], serialized with a single copy of the pixels.

    For a model that takes float32 they are converted.

    Args:
        model: to ask.
        images: the pictures.
        room: of an earlier request; its memory is used again, unless somebody still holds that one's message.

    Raises:
        TypeError: if the pictures are of another type: pixels from 0 to 1 would be answered, wrongly.
        ValueError: if they are of another size than the model's.
    """
    _check_pictures(images, model.card)
    return _encoded(model, images, room)


def encode_part(model: ServedModel, request: EncodedRequest, start: int, stop: int) -> EncodedRequest:
    """The request for some of the pictures of another, from `start` on and before `stop`."""
    return request if stop - start == request.shape[0] else _encoded(model, request.images[start:stop])


def _check_pictures(images: np.ndarray, card: Card) -> None:
    expected = f"pictures must be uint8 [N, {card.height}, {card.width}, 3]"
    if not isinstance(images, np.ndarray):
        raise TypeError(f"{expected}, got {type(images).__name__}")
    if images.dtype != np.uint8:
        raise TypeError(f"{expected}, got {images.dtype} {list(images.shape)}")
    if images.ndim != 4 or images.shape[1:] != (card.height, card.width, 3):
        raise ValueError(f"{expected}, got {images.dtype} {list(images.shape)}")


def _encoded(model: ServedModel, images: np.ndarray, room: BytesIO | None = None) -> EncodedRequest:
    """The request, joined from its parts.

    A protobuf message of them would hold one copy, its serialization another, for as long as the request is in flight.
    The bytes are those of the official messages: a length-delimited field may stand last, its content after its length.
    """
    pixels = np.ascontiguousarray(images, model.signature.dtype)  # part of a batch is in one block: uint8 is not copied
    request = request_for(model.name, model.version, model.signature.name)
    request.output_filter.extend(model.outputs)
    tensor = to_tensor(pixels[:0])  # type and shape alone: the pixels are joined to them at the end
    tensor.tensor_shape.dim[0].size = len(pixels)
    head = tensor.SerializeToString() + _field(TensorProto, "tensor_content", pixels.nbytes)
    entry = _map_entry(model.signature.input.encode(), head, pixels.nbytes)
    prefix = request.SerializeToString() + _field(PredictRequest, "inputs", len(entry) + pixels.nbytes) + entry
    room = room or BytesIO()
    room.seek(0)
    room.writelines((prefix, pixels.data))
    room.truncate()
    return EncodedRequest(room.getvalue(), pixels.shape, pixels.dtype)  # no copy, as its size is that of the room


def read_answer(message: bytes, model: ServedModel, rows: int) -> PredictResponse:
    """The answer to `encode_request`, as far as its size, its model and the names of its outputs can be believed.

    Raises:
        BadAnswer: if it is too large for these pictures, or another model's, or has outputs that nobody asked for.
    """
    return parsed(message, model.answer_bytes(rows), model.name, model.version, model.outputs)


def read_probabilities(response: PredictResponse, model: ServedModel, rows: int) -> np.ndarray:
    """The probabilities in the answer to `encode_request`, float32 [rows, C].

    Raises:
        BadAnswer: if what came back cannot be the probabilities of these pictures.
    """
    probabilities = output_of(response, model.signature.output, "float32", rows, len(model.table))
    # Before the sum: of a NaN it would say that it is not 1.
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise BadAnswer("the probabilities hold a NaN, an infinity or a negative number")
    if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):  # far above rounding, far below a missing softmax
        raise BadAnswer("the probabilities of a picture do not sum to 1")
    return probabilities


def read_novelty(response: PredictResponse, model: ServedModel, rows: int) -> np.ndarray:
    """How unlike each picture is to what the model learned from, float32 [rows]; NaN where the model does not say.

    Raises:
        BadAnswer: if what came back cannot be the novelty of these pictures.
    """
    if not model.has_novelty:
        return np.full(rows, np.nan, np.float32)
    novelty = output_of(response, NOVELTY, "float32", rows)
    if not ((novelty >= 0) & (novelty <= 1)).all():  # so written, a NaN fails too
        raise BadAnswer("the novelty of a picture is not between 0 and 1")
    return novelty


def classes_request(name: str, version: int) -> PredictRequest:
    """The request for the class table and the card of a model version."""
    request = request_for(name, version, CLASSES_SIGNATURE)
    request.output_filter.extend(CLASSES_OUTPUTS)
    # A signature needs an input, and one with rows, as servers merge requests along them.
    request.inputs["ping"].CopyFrom(to_tensor(np.zeros(1, np.int32)))
    return request


def read_classes(message: bytes, name: str, version: int) -> ServedModel:
    """The answer to `classes_request`.

    Raises:
        ContractBroken: if the class table or the card is not what the contract says.
    """
    try:
        response = parsed(message, _MOST_CLASSES_BYTES, name, version, CLASSES_OUTPUTS)
        table = ClassTable(_labels(response))
        (card,) = output_of(response, "card", "string", 1)
        return ServedModel(name, version, table, Card.from_json(card.decode()))
    except (BadAnswer, ValueError) as error:
        raise ContractBroken(f"model {name!r} version {version} breaks the contract: {excerpt(str(error))}") from error


def _labels(response: PredictResponse) -> tuple[str, ...]:
    hs_codes = _tensor(response, "hs_codes")
    shape = shape_of(hs_codes)
    if len(shape) != 2 or shape[0] != 1 or not 0 <= shape[1] <= MOST_CLASSES:
        raise BadAnswer(f"expected hs_codes [1, C] of at most {MOST_CLASSES} classes, got {describe(hs_codes)}")
    labels = output_of(response, "hs_codes", "string", *shape)[0]
    if (longest := max(map(len, labels), default=0)) > _LABEL_CHARACTERS:
        raise BadAnswer(f"a class has at most {_LABEL_CHARACTERS} characters, got one of {longest}")
    return tuple(label.decode() for label in labels)


def _map_entry(key: bytes, value_head: bytes, value_tail_bytes: int) -> bytes:
    """A map entry up to where the tail of its value begins: key is field 1, value field 2, by the protobuf encoding."""
    value_bytes = len(value_head) + value_tail_bytes
    return b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(value_bytes) + value_head


def _field(message: type, name: str, content_bytes: int) -> bytes:
    """Tag and length of a length-delimited field."""
    number = message.DESCRIPTOR.fields_by_name[name].number  # type: ignore[attr-defined]
    return _varint(number << 3 | 2) + _varint(content_bytes)


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def request_for(name: str, version: int, signature: str) -> PredictRequest:
    """A request of a signature of a pinned version, its inputs to be added."""
    spec = ModelSpec(name=name, signature_name=signature)
    spec.version.value = version  # in every request: the newest may be another one in the middle of a run
    return PredictRequest(model_spec=spec)


def parsed(message: bytes, most_bytes: int, name: str, version: int, outputs: Collection[str]) -> PredictResponse:
    """An answer, as far as its size, its model and the names of its outputs can be believed; raises BadAnswer."""
    # Before it is parsed: millions of empty dimensions took thirty times their bytes then.
    if len(message) > most_bytes:
        raise BadAnswer(f"expected an answer of at most {most_bytes} bytes, got {len(message)} bytes")
    try:
        response = PredictResponse.FromString(message)
    except DecodeError as error:
        raise BadAnswer(f"the answer is no PredictResponse: {error}") from error
    spec = response.model_spec  # TensorFlow Serving fills it in every answer
    if (spec.name, spec.version.value) != (name, version):
        raise BadAnswer(
            f"asked version {version} of {name!r}, answered by version {spec.version.value} of {spec.name!r}"
        )
    if others := sorted(set(response.outputs) - set(outputs)):
        raise BadAnswer(f"the answer has outputs that were not asked for: {others}")
    return response


def _tensor(response: PredictResponse, name: str) -> TensorProto:
    if name not in response.outputs:
        raise BadAnswer(f"the answer has no output {name!r}, but {sorted(response.outputs)}")
    return response.outputs[name]


def output_of(response: PredictResponse, name: str, dtype: str, *shape: int) -> np.ndarray:
    """An output of this type and shape; raises BadAnswer where it is another."""
    tensor = _tensor(response, name)
    expected = f"{dtype} {list(shape)}"
    if describe(tensor) != expected:  # before an array is made of what it claims
        raise BadAnswer(f"expected {name} {expected}, got {describe(tensor)}")
    try:
        return from_tensor(tensor, shape)
    except ValueError as error:
        raise BadAnswer(f"output {name!r}: {error}") from error
