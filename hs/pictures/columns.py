"""Columns of pictures in Arrow, in every layout that archives and cases come in.

binary, large_binary, binary_view or dictionary<binary>; struct<bytes, path>, as Hugging Face writes; a list of either
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EXPECTED = "binary, struct<bytes, path>, or a list of either"


def holds_pictures(type_: pa.DataType) -> bool:
    """Tells whether a column of this type is one of the layouts.

    >>> holds_pictures(pa.list_(pa.struct([("bytes", pa.binary())]))), holds_pictures(pa.string())
    (True, False)
    """
    element = _element(type_)
    if pa.types.is_struct(element):
        position = element.get_field_index("bytes")
        return position >= 0 and _is_bytes(element.field(position).type)
    return _is_bytes(element)


def is_list(type_: pa.DataType) -> bool:
    """Tells whether a column of this type holds any number of pictures a row."""
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def has_more_than_bytes(type_: pa.DataType) -> bool:
    """Tells whether pictures can be counted by another leaf, such as `path`, without reading them."""
    element = _element(type_)
    return pa.types.is_struct(element) and any(
        part.name != "bytes" and not pa.types.is_nested(part.type) for part in element
    )


def layout_of(type_: pa.DataType) -> str:
    """A layout as the documentation writes it: `list<struct<bytes, path>>`."""
    if is_list(type_):
        return f"list<{layout_of(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"struct<{', '.join(part.name for part in type_)}>"
    if pa.types.is_dictionary(type_):
        return f"dictionary<{type_.value_type}>"
    return str(type_)


def pictures_per_row(column: pa.Array) -> np.ndarray:
    """How many pictures each row has, int64 [rows]; the bytes may be missing. A null is none."""
    counts = pc.fill_null(pc.list_value_length(column), 0) if is_list(column.type) else column.is_valid()
    return counts.to_numpy(zero_copy_only=False).astype(np.int64)


def flat_pictures(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """A column of any layout → pictures per row, int64 [rows], and all pictures' bytes, binary.

    A null in a list, or a struct without bytes, is a picture without bytes; a null cell is no picture.
    """
    counts, elements = _flat(column)
    return counts, _bytes_of(elements)


def named_pictures(column: pa.Array) -> list[list[tuple[str, bytes]]]:
    """(name to show, bytes) of each picture of each row; the name is empty where the layout has none."""
    counts, elements = _flat(column)
    encoded = [data or b"" for data in _bytes_of(elements).to_pylist()]
    has_names = pa.types.is_struct(elements.type) and elements.type.get_field_index("path") >= 0
    names = pc.struct_field(elements, "path").to_pylist() if has_names else [None] * len(encoded)
    pictures = [(name or "", data) for name, data in zip(names, encoded, strict=True)]
    ends = np.cumsum(counts)
    return [pictures[end - count : end] for end, count in zip(ends.tolist(), counts.tolist(), strict=True)]


def _flat(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    counts = pictures_per_row(column)
    if is_list(column.type):
        return counts, column.flatten()
    if pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())  # Arrow cannot filter views
    return counts, column.filter(column.is_valid())


def _bytes_of(elements: pa.Array) -> pa.Array:
    if pa.types.is_struct(elements.type):
        elements = pc.struct_field(elements, "bytes")
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    return elements


def _element(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if is_list(type_) else type_


def _is_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    return pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_)
