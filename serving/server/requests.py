"""A Predict request held against its signature, before TensorFlow or NumPy sees a tensor of it.

TensorFlow takes much on trust: a kernel that meets another rank than its own may end the process, and a tensor of one
value may claim any shape, which that value then fills.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from serving.messages import PredictRequest, SignatureDef, TensorProto
from serving.server.refusal import invalid

_MOST_DIMENSIONS = 32  # no kernel takes more than nine
_ALWAYS_ALLOWED_BYTES = 64 * 2**20
_TIMES_THE_MESSAGE = 4

_STRING = 7
# Of DataType: its name, and the bytes of an element (of text: beside its characters). Others hold no numbers or text.
_TYPES = {
    1: ("float32", 4), 2: ("float64", 8), 3: ("int32", 4), 4: ("uint8", 1), 5: ("int16", 2), 6: ("int8", 1),
    _STRING: ("string", 24), 8: ("complex64", 8), 9: ("int64", 8), 10: ("bool", 1), 14: ("bfloat16", 2),
    17: ("uint16", 2), 18: ("complex128", 16), 19: ("float16", 2), 22: ("uint32", 4), 23: ("uint64", 8),
}  # fmt: skip


def check_inputs(signature: SignatureDef, request: PredictRequest) -> None:
    """Refuses tensors that are not those of the signature.

    Raises:
        Refusal: INVALID_ARGUMENT; in TF Serving's words where it has some.
    """
    expected, sent = signature.inputs, request.inputs
    if len(sent) != len(expected):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({braced(sent)}) != "
            f"len({braced(expected)}). Sent extra: {braced(set(sent) - set(expected))}. "
            f"Missing but required: {braced(set(expected) - set(sent))}."
        )
    claimed_bytes = 0
    for place, (name, tensor) in enumerate(sorted(sent.items())):  # a map has no order: arg[0] is the same each time
        if name not in expected:
            raise invalid(
                f"input tensor alias not found in signature: {name}. "
                f"Inputs expected to be in the set {braced(expected)}."
            )
        if tensor.dtype != expected[name].dtype or tensor.dtype not in _TYPES:
            needed, given = (_type_name(dtype) for dtype in (expected[name].dtype, tensor.dtype))
            raise invalid(f"Expects arg[{place}] to be {needed} but {given} is provided")
        content_bytes = len(tensor.tensor_content)  # once: each look at it is a copy
        for problem in _shape_problems(tensor, content_bytes, expected[name]):
            raise invalid(f"tensor parsing error: {name}: {problem}")
        claimed_bytes += 0 if content_bytes else _expanded_bytes(tensor)
    # Measuring a message takes a copy of it, too: only where it matters.
    if claimed_bytes > _ALWAYS_ALLOWED_BYTES and claimed_bytes > _TIMES_THE_MESSAGE * request.ByteSize():
        raise invalid(
            f"the shapes claim {claimed_bytes:,} bytes, more than {_TIMES_THE_MESSAGE} times the "
            f"{request.ByteSize():,} of the request"
        )


def lone_row_as_batch(signature: SignatureDef, request: PredictRequest) -> None:
    """Gives a tensor that lacks nothing but the batch dimension one of size 1.

    TF Serving feeds such a tensor to a graph of TensorFlow 1 as it is, whatever its signature says.
    """
    for name, tensor in request.inputs.items():
        if name not in signature.inputs:  # to ask a map for it would add it
            continue
        needed, dims = _sizes(signature.inputs[name].tensor_shape), tensor.tensor_shape.dim
        if needed[:1] == [-1] and len(dims) == len(needed) - 1 > 0:
            dims.insert(0, type(dims[0])(size=1))


def braced(names: Iterable[str]) -> str:
    """As TF Serving writes a set of names.

    >>> braced(["y", "x"])
    '{x,y}'
    """
    return "{" + ",".join(sorted(names)) + "}"


def _type_name(dtype: int) -> str:
    return _TYPES[dtype][0] if dtype in _TYPES else f"type {dtype}"


def _shape_problems(tensor: TensorProto, content_bytes: int, needed: Any) -> Iterator[str]:
    sizes, wanted = _sizes(tensor.tensor_shape), _sizes(needed.tensor_shape)
    any_shape = needed.tensor_shape.unknown_rank or not needed.HasField("tensor_shape")
    if tensor.tensor_shape.unknown_rank or len(sizes) > _MOST_DIMENSIONS:
        yield f"it has no shape, or more than {_MOST_DIMENSIONS} dimensions"
    elif min(sizes, default=0) < 0:
        yield f"shape {sizes} has a negative size"
    elif not any_shape and not (
        len(sizes) == len(wanted) and all(want in (-1, size) for size, want in zip(sizes, wanted, strict=True))
    ):
        yield f"its shape is {sizes}, the signature needs {wanted}"
    elif content_bytes and content_bytes != math.prod(sizes) * _TYPES[tensor.dtype][1]:
        yield f"{content_bytes:,} bytes do not fill shape {sizes}"


def _sizes(shape: Any) -> list[int]:
    return [dim.size for dim in shape.dim]


def _expanded_bytes(tensor: TensorProto) -> int:
    """What a tensor takes once its last value stands for all that are missing; a size of 0 hides none of the others."""
    elements, width = math.prod(size or 1 for size in _sizes(tensor.tensor_shape)), _TYPES[tensor.dtype][1]
    if tensor.dtype != _STRING or not tensor.string_val:
        return elements * width
    repeated = max(elements - len(tensor.string_val), 0) * len(tensor.string_val[-1])
    return elements * width + sum(map(len, tensor.string_val)) + repeated
