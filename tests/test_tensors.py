import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from serving.messages import DT_FLOAT, DT_STRING, DT_UINT8, TensorProto
from serving.tensors import from_tensor, shape_of, to_tensor

shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8])
@given(shape=shapes)
def test_arrays_survive_their_journey(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)

    back = from_tensor(TensorProto.FromString(to_tensor(array).SerializeToString()))

    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_strings_survive_their_journey():
    strings = np.array([[b"870829", b""], [b"87*", "한국".encode()]], dtype=object)

    back = from_tensor(TensorProto.FromString(to_tensor(strings).SerializeToString()))

    assert back.tolist() == strings.tolist()


def message(dtype, shape, **values):
    tensor = TensorProto(dtype=dtype, **values)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (message(DT_FLOAT, (3,), float_val=[1, 2, 3]), [1, 2, 3]),
        (message(DT_FLOAT, (2, 2), float_val=[1, 7]), [[1, 7], [7, 7]]),
        (message(DT_UINT8, (2,), int_val=[5]), [5, 5]),
        (message(DT_STRING, (2, 1), string_val=[b"a", b"b"]), [[b"a"], [b"b"]]),
        (message(DT_STRING, (2,), string_val=[b"a"]), [b"a", b"a"]),
    ],
)
def test_values_may_stand_in_typed_fields_with_the_last_one_filling_up(tensor, expected):
    assert from_tensor(tensor, np.shape(expected)).tolist() == expected


@pytest.mark.parametrize(
    "tensor",
    [
        message(DT_FLOAT, (3,)),
        message(DT_FLOAT, (1,), float_val=[1, 2]),
        message(DT_FLOAT, (2,), tensor_content=b"\0\0\0\0"),
        message(9, (1,), int64_val=[1]),
    ],
)
def test_values_that_do_not_fill_the_shape_are_refused(tensor):
    with pytest.raises(ValueError, match=r"values|not read"):
        from_tensor(tensor, shape_of(tensor))


@pytest.mark.parametrize("shape", [(), (2,), (4,), (3, 1), (-3,), (10**9,)])
def test_a_shape_that_is_not_the_expected_one_is_refused(shape):
    with pytest.raises(ValueError, match="expected the shape"):
        from_tensor(message(DT_FLOAT, shape, float_val=[1]), (3,))


def test_the_last_value_fills_nothing_where_no_shape_is_expected():
    with pytest.raises(ValueError, match=r"a tensor of shape \[1000000000\] has 1 values"):
        from_tensor(message(DT_FLOAT, (10**9,), float_val=[1]))
