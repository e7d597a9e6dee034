"""Findings: one for each declaration that could be read, in one explicit Arrow schema."""

from collections.abc import Iterable

import pyarrow as pa

from hs.codes import LEVELS

SCHEMA_VERSION = 1

_RECOMMENDATION = pa.struct(
    [
        pa.field("hs_code", pa.string(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("description", pa.string()),
    ]
)
_PICTURE = pa.struct(
    [
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("weight", pa.float64()),  # share of what the pictures say together; null for one that did not count
        pa.field("hash", pa.string()),  # 16 hex digits, see `hs.pictures.looks`; null where none was, or could be, made
    ]
)
_PARTNER = pa.struct(
    [
        pa.field("run_date", pa.date32(), nullable=False),
        pa.field("declaration_id", pa.string()),
        pa.field("item_no", pa.int64()),
        pa.field("importer", pa.string()),
        pa.field("declared_hs_code", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("distance", pa.int8(), nullable=False),  # of 64 bits of the hashes, that differ
    ]
)
_PRECEDENT = pa.struct(
    [
        pa.field("case_id", pa.string(), nullable=False),
        pa.field("hs_code", pa.string(), nullable=False),  # a class of the model: a code, or the rest of a prefix
        pa.field("similarity", pa.float64(), nullable=False),
    ]
)
SOURCE_FIELDS = (  # the key of a finding, and of what is made of it
    pa.field("source_file", pa.string(), nullable=False),
    pa.field("source_row_group", pa.int32(), nullable=False),
    pa.field("source_row", pa.int64(), nullable=False),  # counted from the start of the row group
)
FIELDS = (
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("run_date", pa.date32(), nullable=False),
    pa.field("declaration_id", pa.string()),
    pa.field("item_no", pa.int64()),
    *SOURCE_FIELDS,
    pa.field("declared_hs_code", pa.string()),
    pa.field("declared_hs_code_normalized", pa.string()),
    pa.field("code_repair", pa.string()),
    pa.field("verdict", pa.string(), nullable=False),
    pa.field("reason", pa.string(), nullable=False),
    pa.field("mismatch", pa.bool_(), nullable=False),
    pa.field("differs_at", pa.int8()),
    pa.field("hs_edition", pa.string()),  # in force on the declaration's date; null where no tables are configured
    pa.field("declared_edition", pa.string()),  # that the declared code is read in
    pa.field("successors", pa.list_(pa.string())),  # what it stands for in the edition in force, where not itself
    pa.field("recommendations", pa.list_(_RECOMMENDATION), nullable=False),
    *(pa.field(f"declared_probability_{level}", pa.float64()) for level in LEVELS),
    pa.field("risk", pa.float64()),
    pa.field("images_total", pa.int32(), nullable=False),
    pa.field("images_used", pa.int32(), nullable=False),
    pa.field("disagreement", pa.float64()),
    pa.field("novelty", pa.float64()),
    pa.field("pictures", pa.list_(_PICTURE), nullable=False),
    pa.field("precedents", pa.list_(_PRECEDENT)),
    pa.field("partners", pa.list_(_PARTNER)),  # other declarations with the same picture; null where there are none
    pa.field("stock_pictures", pa.list_(pa.string())),  # SHA-256 of those that too many use to tell anything; or null
    pa.field("model_name", pa.string(), nullable=False),
    pa.field("model_version", pa.int64(), nullable=False),
)
FIELD_NAMES = frozenset(field.name for field in FIELDS)
DEAD_LETTERS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row_group", pa.int32()),
        pa.field("first_row", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


def findings_schema(kept: Iterable[tuple[str, pa.DataType]] = ()) -> pa.Schema:
    """The findings' schema: our fields, then the columns that are passed through (name, type)."""
    passed_through = [pa.field(name, type_) for name, type_ in kept]
    return pa.schema([*FIELDS, *passed_through], metadata={"schema_version": str(SCHEMA_VERSION)})
