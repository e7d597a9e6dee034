"""A glob → the files of a night, which of them cannot be read, and the columns that all of them share."""

from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date

import pyarrow as pa

from hs.errors import NothingToRead, UsageError
from hs.storage.facts import BucketMissing
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE, Stores
from hs.text import excerpt, in_a_line
from pipeline.archive.columns import REQUIRED
from pipeline.archive.footers import ArchiveFile, inspect
from pipeline.values import ColumnNames, DeadLetter, Layout, RowGroup

_READ_ELSEWHERE = frozenset({*REQUIRED, "item_no"})
_SCHEMA_REASONS = frozenset({"column_missing", "column_type", "duplicate_column"})


@dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
        files: readable ones, by path.
        dead_letters: those that are not.
        layout: columns to read.
    """

    files: tuple[ArchiveFile, ...]
    dead_letters: tuple[DeadLetter, ...]
    layout: Layout

    @property
    def rows(self) -> int:
        """Rows in the footers of all files, unreadable ones included as far as they say."""
        return sum(file.rows for file in self.files) + sum(letter.rows or 0 for letter in self.dead_letters)

    def pointers(self) -> list[RowGroup]:
        """One pointer per row group."""
        return [pointer for file in self.files for pointer in file.pointers()]


def find_inputs(
    pattern: str,
    run_date: date,
    names: ColumnNames,
    keep: Sequence[str] = (),
    taken: Set[str] = frozenset(),
    stores: Stores = ANYWHERE,
) -> Inputs:
    """Matches the input glob and inspects every file.

    Args:
        pattern: a glob; `{run_date}` in it stands for the date.
        run_date: the night.
        names: of the columns.
        keep: further columns to pass through.
        taken: names that a column which is passed through must not have.
        stores: how the files are reached.

    Raises:
        NothingToRead: if nothing matched or no file is readable.
        UsageError: if a column is missing or of a wrong type in every file, a column that is passed through has a name
            of ours or holds bytes, or the storage is none of ours or refuses.
        StorageLost: if the storage is away.
    """
    paths = matching_files(pattern.replace("{run_date}", run_date.isoformat()), stores)
    with ThreadPoolExecutor(8) as threads:
        inspected = list(threads.map(lambda path: inspect(path, names, keep, stores), paths))
    files = tuple(file for file in inspected if isinstance(file, ArchiveFile))
    letters = tuple(letter for letter in inspected if isinstance(letter, DeadLetter))
    if not files:
        _refuse(letters)
    return Inputs(files, letters, _layout(names, keep, taken, files))


def matching_files(pattern: str, stores: Stores = ANYWHERE) -> list[Location]:
    """The files that a glob matches, by path; `**` crosses folders.

    Raises:
        NothingToRead: if there is none.
        UsageError: if there is no such storage, or it refuses.
        StorageLost: if it is away.
    """
    try:
        found = stores.glob(pattern)
    except BucketMissing as error:
        raise NothingToRead(f"no file matches the input {pattern}: there is no such bucket") from error
    except OSError as error:
        why = excerpt(in_a_line(error))
        raise UsageError(
            f"the input {pattern} cannot be listed; credentials come from the environment: {why}"
        ) from error
    if not found:
        raise NothingToRead(f"no file matches the input {pattern}")
    return found


def _refuse(letters: Sequence[DeadLetter]) -> None:
    first = letters[0]
    others = f" (and {len(letters) - 1} more files)" if len(letters) > 1 else ""
    if all(letter.reason in _SCHEMA_REASONS for letter in letters):
        raise UsageError(f"{first.file}: {first.detail}{others}; name the columns under `columns` in the configuration")
    raise NothingToRead(f"none of the {len(letters)} input files can be read; {first.file}: {first.detail}{others}")


def _layout(names: ColumnNames, keep: Sequence[str], taken: Set[str], files: Sequence[ArchiveFile]) -> Layout:
    kept = _kept_columns(names, keep, taken)
    types: dict[str, pa.DataType] = {}
    for file in files:
        for ours, theirs in kept.items():
            if ours not in types and theirs in file.schema.names:
                types[ours] = _plain_type(file.schema.field(theirs).type)
                if _holds_bytes(types[ours]):
                    _refuse_bytes(file, theirs, types[ours], "keep" if ours in keep else f"columns.{ours}")
    present = {ours: theirs for ours, theirs in kept.items() if ours in types}
    for name in keep:
        if name not in present:
            raise UsageError(f"keep: no input file has a column {name!r}; {files[0].path} has {_names(files[0])}")
    return Layout(names, tuple(present.items()), tuple((ours, types[ours]) for ours in present))


def _kept_columns(names: ColumnNames, keep: Sequence[str], taken: Set[str]) -> dict[str, str]:
    """Our name → the archive's name, for every column that is passed through."""
    mapped = {
        ours: theirs for ours, theirs in asdict(names).items() if theirs is not None and ours not in _READ_ELSEWHERE
    }
    for name in keep:
        if name in taken or name in mapped:
            raise UsageError(
                f"keep: {name!r} is already a column of the findings or the worklist; rename it in the archive"
            )
    return mapped | {name: name for name in keep}


def _refuse_bytes(file: ArchiveFile, column: str, type_: pa.DataType, key: str) -> None:
    """Findings hold no pictures, and nobody can tell pictures from other bytes."""
    mend = "take it out of `keep`" if key == "keep" else f"set {key} to null"
    raise UsageError(
        f"{key}: column {column!r} of {file.path} is {type_}; bytes, as of pictures, are not passed through: {mend}"
    )


def _holds_bytes(type_: pa.DataType) -> bool:
    """Whether there are bytes anywhere in a type; those of a fixed size are keys, such as UUIDs, and do not count."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return True
    return any(_holds_bytes(type_.field(part).type) for part in range(type_.num_fields))


def _plain_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    type_ = _without_views(type_)
    if pa.types.is_large_string(type_) or pa.types.is_null(type_):
        return pa.string()
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        return pa.timestamp("us", type_.tz)  # Python has no nanoseconds, and people do not need them
    return type_


def _without_views(type_: pa.DataType) -> pa.DataType:
    """The same for values side by side: Arrow can neither filter nor take views."""
    if pa.types.is_string_view(type_):
        return pa.string()
    if pa.types.is_binary_view(type_):
        return pa.binary()
    if pa.types.is_list(type_):
        return pa.list_(type_.value_field.with_type(_without_views(type_.value_type)))
    if pa.types.is_struct(type_):
        return pa.struct([part.with_type(_without_views(part.type)) for part in type_])
    return type_


def _names(file: ArchiveFile) -> str:
    return ", ".join(file.schema.names)
