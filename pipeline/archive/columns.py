"""The columns of an archive: whether they are those that the audit reads, and what it makes of them."""

from collections import Counter
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from hs.pictures.columns import EXPECTED, holds_pictures
from pipeline.values import ColumnNames, Layout

REQUIRED = ("declaration_id", "declared_hs_code", "images")


def problem_of_columns(schema: pa.Schema, names: ColumnNames, keep: Iterable[str] = ()) -> tuple[str, str] | None:
    """The first thing that is wrong with a file's columns, as reason and detail; None where all is well.

    Args:
        schema: of the file.
        names: of the columns that are read or passed through.
        keep: of further ones that are passed through.
    """
    read = {*vars(names).values(), *keep}
    repeated = [name for name, count in Counter(schema.names).items() if count > 1 and name in read]
    if repeated:  # first of all: Arrow finds no column by a name that stands twice
        return "duplicate_column", f"column {repeated[0]!r} stands more than once"
    wanted = {ours: getattr(names, ours) for ours in (*REQUIRED, "item_no")}
    for ours in REQUIRED:
        if wanted[ours] not in schema.names:
            return "column_missing", f"no column {wanted[ours]!r} for {ours}; the file has {', '.join(schema.names)}"
    for ours, theirs in wanted.items():
        if theirs in schema.names and (expected := _wrong_type(ours, schema.field(theirs).type)):
            return "column_type", f"column {theirs!r} is {schema.field(theirs).type}, expected {expected}"
    return None


def columns_to_read(layout: Layout, present: set[str]) -> list[str]:
    """The names of the columns to read, of those that a file has."""
    names = layout.names
    wanted = [names.declaration_id, names.item_no, names.declared_hs_code, names.images]
    return [name for name in (*wanted, *(theirs for _, theirs in layout.kept)) if name in present]


def plain(values: pa.Array) -> pa.Array:
    """Dictionaries resolved, all kinds of text as one, invalid UTF-8 replaced."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not _is_text(values.type):
        return values
    if values.type != pa.string():
        values = values.cast(pa.string())
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raw = values.cast(pa.binary()).to_pylist()
        return pa.array([value if value is None else value.decode(errors="replace") for value in raw], pa.string())
    return values


def text(values: pa.Array) -> pa.Array:
    """Any column as text."""
    values = plain(values)
    return values if values.type == pa.string() else values.cast(pa.string())


def cast(values: pa.Array, type_: pa.DataType) -> tuple[pa.Array, int]:
    """Values as another type, and how many of them do not fit it: those are null."""
    values = plain(values)
    if values.type == type_:
        return values, 0
    fitting = _fitting(values, pc.CastOptions(type_, allow_time_truncate=pa.types.is_timestamp(type_)), type_)
    return fitting, fitting.null_count - values.null_count


def _fitting(values: pa.Array, options: pc.CastOptions, type_: pa.DataType) -> pa.Array:
    """Casts values; where Arrow refuses all of them for the sake of some, each half by itself."""
    if pa.types.is_nested(values.type):
        values = pa.concat_arrays([values])  # of a slice of lists, Arrow casts also what lies outside
    try:
        return values.cast(options=options)
    except pa.ArrowInvalid:
        if len(values) > 1:
            half = len(values) // 2
            return pa.concat_arrays([_fitting(part, options, type_) for part in (values[:half], values[half:])])
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
        pass  # no value of the one type is one of the other
    return pa.nulls(len(values), type_)


def _wrong_type(ours: str, type_: pa.DataType) -> str | None:
    """What the type of a column should be, where it is something else."""
    types = pa.types
    if ours == "item_no":
        return None if types.is_integer(type_) or types.is_null(type_) else "an integer"
    if ours == "images":
        return None if holds_pictures(type_) else EXPECTED
    if types.is_dictionary(type_):
        type_ = type_.value_type
    if _is_text(type_) or types.is_integer(type_) or types.is_null(type_):
        return None
    if ours == "declaration_id":
        return "text"
    if types.is_float32(type_) or types.is_float16(type_):
        return "text: it cannot hold the ten digits of an HS code (8708290000 reads 8708289536)"
    return None if types.is_float64(type_) else "text"


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)
