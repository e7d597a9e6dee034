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
    held = _bytes_type(type_)
    if pa.types.is_dictionary(held):
        held = held.value_type
    return pa.types.is_binary(held) or pa.types.is_large_binary(held) or pa.types.is_binary_view(held)


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
    counts = column.value_lengths() if is_list(column.type) else column.is_valid()
    if counts.null_count:  # Arrow's functions cost more than all the rest here, so only where there is a null
        counts = pc.fill_null(counts, 0)
    return counts.to_numpy(zero_copy_only=False).astype(np.int64)


def bytes_per_row(column: pa.Array) -> np.ndarray:
    """How many bytes the pictures of each row have, int64 [rows]; dictionaries are not resolved for that."""
    if not is_list(column.type):
        return _sizes(column)
    counts, up_to = pictures_per_row(column), np.concatenate([[0], np.cumsum(_sizes(column.flatten()))])
    ends = np.cumsum(counts)
    return up_to[ends] - up_to[ends - counts]


def decoded_bytes(column: pa.Array) -> int:
    """How many bytes a column takes once its dictionary is resolved; names and offsets count, too."""
    if pa.types.is_dictionary(_bytes_type(column.type)):
        return int(bytes_per_row(column).sum())
    return column.nbytes  # twenty times faster


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


def _undressed(elements: pa.Array) -> pa.Array:
    """Pictures without the structs around them."""
    if not pa.types.is_struct(elements.type):
        return elements
    return pc.struct_field(elements, "bytes") if elements.null_count else elements.field("bytes")


def _sizes(elements: pa.Array) -> np.ndarray:
    """How many bytes each picture has, int64 [pictures]."""
    elements = _undressed(elements)
    if pa.types.is_dictionary(elements.type):
        sizes = _sizes(elements.dictionary)
        return pc.fill_null(pa.array(sizes).take(elements.indices), 0).to_numpy(zero_copy_only=False)
    if pa.types.is_binary_view(elements.type):
        elements = elements.cast(pa.binary())  # Arrow knows no length of views
    sizes = pc.binary_length(elements)
    return pc.fill_null(sizes, 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _bytes_of(elements: pa.Array) -> pa.Array:
    elements = _undressed(elements)
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    return elements


def _element(type_: pa.DataType) -> pa.DataType:
    return type_.value_type if is_list(type_) else type_


def _bytes_type(type_: pa.DataType) -> pa.DataType:
    """The type of a picture's bytes; of a struct without any, its own."""
    element = _element(type_)
    position = element.get_field_index("bytes") if pa.types.is_struct(element) else -1
    return element.field(position).type if position >= 0 else element
