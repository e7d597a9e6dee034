"""NumPy arrays ↔ TensorProto, without TensorFlow, for the types that the contract uses."""

import math
from collections.abc import Sequence

import numpy as np

from serving.messages import DT_FLOAT, DT_INT32, DT_STRING, DT_UINT8, TensorProto

_NUMPY_OF: dict[int, np.dtype] = {
    DT_FLOAT: np.dtype(np.float32),
    DT_INT32: np.dtype(np.int32),
    DT_UINT8: np.dtype(np.uint8),
}
_PROTO_OF = {dtype: proto for proto, dtype in _NUMPY_OF.items()}
_NAME_OF = {DT_STRING: "string"} | {proto: dtype.name for proto, dtype in _NUMPY_OF.items()}
# Small integers have no field of their own in TensorProto: they travel as int32.
_TYPED_FIELD = {DT_FLOAT: "float_val", DT_INT32: "int_val", DT_UINT8: "int_val"}


def to_tensor(array: np.ndarray) -> TensorProto:
    """A float32, int32 or uint8 array of any shape → its message, the values as one block; bytes → strings."""
    if array.dtype == object:
        tensor = TensorProto(dtype=DT_STRING, string_val=array.ravel().tolist())
    else:
        tensor = TensorProto(dtype=_PROTO_OF[array.dtype], tensor_content=array.tobytes())
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def shape_of(tensor: TensorProto) -> tuple[int, ...]:
    """The shape that a message claims, whatever values it holds; sizes may be negative or absurd."""
    return tuple(dim.size for dim in tensor.tensor_shape.dim)


def describe(tensor: TensorProto) -> str:
    """Type and shape that a message claims.

    >>> describe(to_tensor(np.zeros((2, 3), np.float32)))
    'float32 [2, 3]'
    """
    return f"{_NAME_OF.get(tensor.dtype, f'type {tensor.dtype}')} {list(shape_of(tensor))}"


def from_tensor(tensor: TensorProto, shape: Sequence[int] | None = None) -> np.ndarray:
    """A message → its array: float32, int32, uint8, or objects of bytes for strings.

    Values stand in `tensor_content` or in the typed field. There the last one may stand for the rest, as TensorFlow
    writes, but only where the shape is expected: to claim one costs its writer nothing, to fill it costs us memory.

    Args:
        tensor: the message.
        shape: what its shape has to be; None takes any that its values fill by themselves.

    Raises:
        ValueError: if the type or the shape is another one, or the values do not fill the shape.
    """
    claimed = shape_of(tensor)
    if shape is not None and claimed != tuple(shape):
        raise ValueError(f"expected the shape {list(shape)}, got {list(claimed)}")
    values = _values(tensor)
    count = math.prod(claimed)
    if shape is not None and 0 < len(values) < count and not tensor.tensor_content:
        values = np.concatenate([values, np.repeat(values[-1:], count - len(values))])
    if len(values) != count:
        raise ValueError(f"a tensor of shape {list(claimed)} has {len(values)} values")
    return values.reshape(claimed)


def _values(tensor: TensorProto) -> np.ndarray:
    if tensor.dtype == DT_STRING:
        return np.array(list(tensor.string_val), dtype=object)  # not as NumPy's own bytes: they lose zeros at the end
    if tensor.dtype not in _NUMPY_OF:
        raise ValueError(f"tensors of type {tensor.dtype} are not read here")
    dtype = _NUMPY_OF[tensor.dtype]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype)  # no copy, so not to be written to
    return np.array(getattr(tensor, _TYPED_FIELD[tensor.dtype]), dtype)
