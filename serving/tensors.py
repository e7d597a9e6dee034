"""NumPy arrays ↔ TensorProto, without TensorFlow, for the types that the contract uses."""

import math

import numpy as np

from serving.messages import DT_FLOAT, DT_INT32, DT_STRING, DT_UINT8, TensorProto

_NUMPY_OF: dict[int, np.dtype] = {
    DT_FLOAT: np.dtype(np.float32),
    DT_INT32: np.dtype(np.int32),
    DT_UINT8: np.dtype(np.uint8),
}
_PROTO_OF = {dtype: proto for proto, dtype in _NUMPY_OF.items()}
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


def from_tensor(tensor: TensorProto) -> np.ndarray:
    """A message → its array: float32, int32, uint8, or objects of bytes for strings.

    Values may stand in `tensor_content` or in the typed field, where the last one fills the rest, as TensorFlow writes.

    Raises:
        ValueError: if the type is another one, or the values do not fill the shape.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    count = math.prod(shape)
    if tensor.dtype == DT_STRING:
        # Not as NumPy's own bytes: they lose zeros at the end.
        return _filled(np.array(list(tensor.string_val), dtype=object), count).reshape(shape)
    if tensor.dtype not in _NUMPY_OF:
        raise ValueError(f"tensors of type {tensor.dtype} are not read here")
    dtype = _NUMPY_OF[tensor.dtype]
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, dtype)  # no copy, so not to be written to
    else:
        values = _filled(np.array(getattr(tensor, _TYPED_FIELD[tensor.dtype]), dtype), count)
    if len(values) != count:
        raise ValueError(f"a tensor of shape {shape} has {len(values)} values")
    return values.reshape(shape)


def _filled(values: np.ndarray, count: int) -> np.ndarray:
    if not 0 < len(values) < count:  # none at all fill nothing: the caller refuses them
        return values
    return np.concatenate([values, np.repeat(values[-1:], count - len(values))])
