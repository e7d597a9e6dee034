"""The dates of declarations, as archives have them."""

import re
from datetime import date, datetime

import pyarrow as pa

_ISO = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:[T ].*)?")
_NOT_IN_PYTHON = (OverflowError, ValueError, KeyError, OSError, pa.ArrowException)  # years after 9999, unknown zones


def days_in(column: pa.Array) -> list[date | None]:
    """The day of each value; None where there is none, or it cannot be read."""
    if pa.types.is_timestamp(column.type):  # Python has no nanoseconds
        column = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    try:
        return [day_of(written) for written in column.to_pylist()]
    except _NOT_IN_PYTHON:
        return [_day_of_scalar(scalar) for scalar in column]


def day_of(written: object) -> date | None:
    """A date as an archive has it: a date, a time, or text that begins with one; None for anything else.

    >>> day_of("2021-12-31T08:00"), day_of("20211231"), day_of("31.12.2021")
    (datetime.date(2021, 12, 31), datetime.date(2021, 12, 31), None)
    """
    if isinstance(written, datetime):
        return written.date()
    if isinstance(written, date):
        return written
    match = _ISO.fullmatch(str(written).strip()) if isinstance(written, str | int) else None
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:  # the 31st of February
        return None


def _day_of_scalar(scalar: pa.Scalar) -> date | None:
    try:
        return day_of(scalar.as_py())
    except _NOT_IN_PYTHON:
        return None
