"""The optional part of the contract: which pictures of cases others are most like, and whose those are.

`nearest`: `images` uint8 [N, H, W, 3] → `index` int32 [N, k] and `similarity` float32 [N, k], the most alike first.
`nearest_of`: `images` and `hs_code` string [N], a class each → the same among the cases of that class; -1 and 0 where
there are fewer.
`precedents`: `index` int32 [N] → `case_id` string [N] and `hs_code` string [N].

A model has all three, and a card that says how many pictures there are, or none. What a server says is held against
the card and the class table, and its text is cut short and made printable.
"""

from collections.abc import Sequence

import numpy as np

from hs.precedents import Precedent, shown_id
from serving.contract import BadAnswer, ServedModel, output_of, parsed, request_for
from serving.tensors import shape_of, to_tensor

MOST_NEAREST = 100
_MOST_TEXT_BYTES = 4096  # of an id on the wire; a longer one is refused before it is parsed
_BYTES_BESIDE = 64 * 2**10
_BYTES_A_NEIGHBOUR = 32


def nearest_of_request(model: ServedModel, images: np.ndarray, hs_codes: Sequence[str]) -> bytes:
    """The request for the cases of classes that uint8 [N, H, W, 3] are most like, one class for each."""
    request = request_for(model.name, model.version, "nearest_of")
    request.inputs["images"].CopyFrom(to_tensor(np.ascontiguousarray(images)))
    request.inputs["hs_code"].CopyFrom(to_tensor(np.array([code.encode() for code in hs_codes], object)))
    return request.SerializeToString()


def read_nearest(message: bytes, model: ServedModel, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The answer to `nearest_of_request`: int32 [rows, k], -1 for none, and float32 [rows, k].

    Raises:
        BadAnswer: if it cannot be that.
    """
    most_bytes = rows * MOST_NEAREST * _BYTES_A_NEIGHBOUR + _BYTES_BESIDE
    response = parsed(message, most_bytes, model.name, model.version, ("index", "similarity"))
    shape = shape_of(response.outputs["index"]) if "index" in response.outputs else ()
    if len(shape) != 2 or shape[0] != rows or not 0 <= shape[1] <= MOST_NEAREST:
        raise BadAnswer(f"expected index [{rows}, k] of at most {MOST_NEAREST} cases, got {list(shape)}")
    index = output_of(response, "index", "int32", *shape)
    similarity = output_of(response, "similarity", "float32", *shape)
    if ((index < -1) | (index >= model.card.precedents)).any():
        raise BadAnswer(f"a nearest case is none of the {model.card.precedents} that the card counts")
    if not (np.abs(similarity) <= 1.001).all():  # so written, a NaN fails too
        raise BadAnswer("the similarity to a case is not between -1 and 1")
    return index, similarity.clip(-1, 1)


def precedents_request(model: ServedModel, index: np.ndarray) -> bytes:
    """The request for whose pictures these are, int32 [N]."""
    request = request_for(model.name, model.version, "precedents")
    request.inputs["index"].CopyFrom(to_tensor(index.astype(np.int32)))
    return request.SerializeToString()


def read_precedents(message: bytes, model: ServedModel, rows: int) -> list[tuple[str, str]]:
    """The answer to `precedents_request`: id and class of each case, the id printable and not long.

    Raises:
        BadAnswer: if it cannot be that.
    """
    most_bytes = rows * _MOST_TEXT_BYTES + _BYTES_BESIDE
    response = parsed(message, most_bytes, model.name, model.version, ("case_id", "hs_code"))
    ids, codes = (output_of(response, name, "string", rows).tolist() for name in ("case_id", "hs_code"))
    known = {label.encode(): label for label in model.table.labels}
    if any(code not in known for code in codes):
        raise BadAnswer("the code of a precedent is no class of the model")
    named = (shown_id(case_id.decode(errors="replace")) for case_id in ids)
    return [(name, known[code]) for name, code in zip(named, codes, strict=True)]


def nearest_cases(
    index: np.ndarray, similarity: np.ndarray, whose: dict[int, tuple[str, str]]
) -> list[tuple[Precedent, ...]]:
    """The precedents of each picture, of int32 [N, k] and float32 [N, k], given whose pictures they are."""
    return [
        tuple(Precedent(*whose[place], float(like)) for place, like in zip(of_one, likes, strict=True) if place >= 0)
        for of_one, likes in zip(index.tolist(), similarity.tolist(), strict=True)
    ]
