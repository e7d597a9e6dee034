"""Arrow's values as Python's; text stands for what Arrow holds and Python cannot."""

from typing import Any

import pyarrow as pa

# What `as_py` raises for years before 1 and after 9999, long durations, zones that nobody knows, broken text, and more.
_NOT_IN_PYTHON = (OverflowError, ValueError, KeyError, OSError, pa.ArrowException)


def values_of(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The values of a column, as `to_pylist` gives them; text for those that Python cannot hold.

    >>> values_of(pa.array([0, 3_000_000], pa.int32()).cast(pa.date32()))
    [datetime.date(1970, 1, 1), '10183-09-21']
    """
    try:
        return column.to_pylist()
    except _NOT_IN_PYTHON:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except _NOT_IN_PYTHON:
        return _text(scalar)


def _text(scalar: pa.Scalar) -> str:
    try:
        return scalar.cast(pa.string()).as_py()
    except _NOT_IN_PYTHON:  # an unknown zone; lists and the like
        return _printed(scalar)


def _printed(scalar: pa.Scalar) -> str:
    """As Arrow prints an array of one."""
    printed = " ".join(pa.array([scalar], scalar.type).to_string(skip_new_lines=True).split())
    return printed[1:-1] if printed.startswith("[") else printed
