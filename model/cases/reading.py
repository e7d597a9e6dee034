"""Cases, the rulings that the classifier learns from, wherever they lie.

rulings.parquet                      hs_code, images, as in an archive; optional: case_id, source_case, generated
folder of such files                 in the order of their names
folder with one folder per HS code   the layout of Keras
folder of HSCODE_anything.jpg        the paper's naming
metadata.csv, .jsonl, .parquet       file_name and hs_code, optional: case_id; or the folder that holds it

Any of these may lie on object storage, reached as the environment says; nothing is copied to this machine.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import compress
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs.declared_codes import parse_declared_code
from hs.errors import UsageError
from hs.pictures.columns import EXPECTED, holds_pictures, named_pictures
from hs.pictures.decoding import PictureLimits, PictureSize, decode
from hs.pictures.formats import SUFFIXES
from hs.storage.location import Location
from hs.storage.pieces import PiecewiseFile
from hs.storage.stores import ANYWHERE, Stores
from hs.text import did_you_mean

_ROWS = 32
_COLUMNS = ("case_id", "hs_code", "source_case", "generated", "images")
_LIMITS = PictureLimits()
_MANIFESTS = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SHAPES = "a Parquet file of cases, a manifest with file_name and hs_code, or a folder of either or of pictures"


@dataclass(frozen=True)
class Case:
    """A ruling.

    Attributes:
        case_id: as written, or the position of the case.
        hs_code: what customs decided: digits, or a prefix with `*` for the rest of it.
        pictures: (name to show, function that reads the bytes) of each.
        source_case: the case that generated pictures were made from; the case itself otherwise.
        generated: whether its pictures were generated.
    """

    case_id: str
    hs_code: str
    pictures: tuple[tuple[str, Callable[[], bytes]], ...]
    source_case: str
    generated: bool = False


@dataclass(frozen=True)
class CasePicture:
    """One readable picture of a case.

    Attributes:
        case: position of the case.
        source_case: id of the case it was made from; pictures of one stay on one side of a split.
        hs_code: the case's.
        pixels: uint8 [H, W, 3].
        generated: whether it was generated.
        name: to show.
        encoded: the bytes that it was decoded from.
    """

    case: int
    source_case: str
    hs_code: str
    pixels: np.ndarray
    generated: bool
    name: str
    encoded: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.encoded).hexdigest()


@dataclass(frozen=True)
class Unreadable:
    """A picture that is left out, and why."""

    case_id: str
    picture: str
    reason: str


def _no_columns(name: str) -> list[str | None]:
    raise UsageError(f"a folder of pictures has no column {name!r}; a manifest or Parquet file of cases may have it")


@dataclass(frozen=True)
class Cases:
    """Cases that can be read again and again, one at a time.

    Attributes:
        path: where they lie.
        count: how many there are.
        all_pictures: whether every picture of a case counts, or the first readable one alone.
        rows: reads them, with their pictures or without.
        files: what they lie in, for the digest.
        stores: how these are reached.
        column: name → what stands there for each case; raises UsageError where there is no such column.
        without_codes: what was left out of them.
        without_ids: ids of cases that were left out.
    """

    path: Location
    count: int
    all_pictures: bool
    rows: Callable[[bool], Iterator[Case]] = field(repr=False)
    files: tuple[Location, ...] = field(repr=False)
    stores: Stores = ANYWHERE
    column: Callable[[str], list[str | None]] = field(repr=False, default=_no_columns)
    without_codes: tuple[str, ...] = ()
    without_ids: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Case]:
        """Reads the cases in a fixed order."""
        return self.rows(True)

    def codes(self) -> Iterator[str]:
        """The HS code of each case; no picture is read."""
        return (case.hs_code for case in self.rows(False))

    def codes_beyond(self, known: Collection[str]) -> dict[str, int]:
        """HS code that is none of these → how many cases have it, sorted; no picture is read."""
        return dict(sorted(Counter(code for code in self.codes() if code not in known).items()))

    def without(self, codes: Collection[str]) -> "Cases":
        """These cases but for those of some HS codes."""
        if not codes:
            return self
        left_out = tuple(sorted({*self.without_codes, *codes}))
        return replace(self._only(lambda case: case.hs_code not in codes), without_codes=left_out)

    def without_cases(self, ids: Collection[str]) -> "Cases":
        """These cases but for those with some ids."""
        if not ids:
            return self
        left_out = tuple(sorted({*self.without_ids, *ids}))
        return replace(self._only(lambda case: case.case_id not in ids), without_ids=left_out)

    def _only(self, wanted: Callable[[Case], bool]) -> "Cases":
        kept = [wanted(case) for case in self.rows(False)]

        def rows(with_pictures: bool) -> Iterator[Case]:
            return compress(self.rows(with_pictures), kept)

        def column(name: str) -> list[str | None]:
            return list(compress(self.column(name), kept))

        return replace(self, count=sum(kept), rows=rows, column=column)

    def digest(self) -> str:
        """SHA-256 over the files' names and bytes, and what was left out: `sha256:` and 64 hex digits."""
        return self._digest

    @cached_property
    def _digest(self) -> str:  # read once: an archive may be gigabytes on a storage elsewhere
        total = hashlib.sha256("".join(f"{code}\n" for code in self.without_codes).encode())
        total.update("".join(f"{name}\0" for name in self.without_ids).encode(errors="surrogatepass"))
        for file in self.files:
            total.update(f"{file.name}\0{self.stores.sha256(file)}\n".encode())
        return f"sha256:{total.hexdigest()}"

    def pictures(self, size: PictureSize, unreadable: list[Unreadable] | None = None) -> Iterator[CasePicture]:
        """Reads and decodes one picture after the other.

        Args:
            size: of the pixels.
            unreadable: gets the pictures that are left out.
        """
        for number, case in enumerate(self):
            readable, left_out = decode_case(case, number, size, self.all_pictures)
            if unreadable is not None:
                unreadable += left_out
            yield from readable


def decode_case(
    case: Case, number: int, size: PictureSize, all_pictures: bool
) -> tuple[list[CasePicture], list[Unreadable]]:
    """The readable pictures of a case, or the first of them alone, and those that were left out on the way."""
    readable: list[CasePicture] = []
    unreadable: list[Unreadable] = []
    for name, read in case.pictures:
        encoded = read()
        picture = decode(encoded, size, _LIMITS)
        if picture.pixels is None:
            unreadable.append(Unreadable(case.case_id, name, picture.status.value))
            continue
        facts = (number, case.source_case, case.hs_code, picture.pixels, case.generated)
        readable.append(CasePicture(*facts, name, encoded))
        if not all_pictures:
            break
    return readable, unreadable


def refuse_others(measured_on: Cases, learned_from: Cases) -> None:
    """Says before any picture is decoded that a classifier will not know the codes of what is to measure it.

    Raises:
        UsageError: if there are such codes.
    """
    if unknown := measured_on.codes_beyond(set(learned_from.codes())):
        raise UsageError(f"{measured_on.path} has codes that training has not: {', '.join(unknown)}")


def open_cases(where: str | Path | Location, all_pictures: bool = True, stores: Stores = ANYWHERE) -> Cases:
    """Finds out how cases are kept, and checks that they can be read.

    Args:
        where: a file or a folder, see the module.
        all_pictures: whether every picture of a case counts, or the first readable one alone.
        stores: how it is reached.

    Raises:
        UsageError: if nothing is there, the layout is none of ours, or a column is missing. A code that is no HS code
            is named as the case is read.
        StorageLost: if the storage is away.
    """
    path = Location.parse(where)
    kind = _Kind(all_pictures, stores)
    try:
        if stores.exists(path):
            return _from_file(path, kind)
        found = [facts.location for facts in stores.files(path)]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or ' '.join(str(error).split())}") from error
    if not found and not (path.is_local and path.path.is_dir()):
        raise UsageError(f"{path} does not exist")
    for name in _MANIFESTS:
        if path / name in found:
            return _from_manifest(path / name, kind)
    if tables := tuple(file for file in found if file.suffix == ".parquet" and file.parent == path):
        return _from_tables(path, tables, kind)
    # Sorted, as file systems list in any order.
    pictures = [file for file in found if file.suffix.lower() in SUFFIXES]
    files = sorted(pictures, key=lambda file: file.relative_to(path).split("/"))
    if not files:
        raise UsageError(f"{path} holds no cases: give {_SHAPES}")
    entries = [(file.relative_to(path), _code_in_name(file, path), file) for file in files]
    return _from_entries(path, entries, kind, tuple(files))


@dataclass(frozen=True)
class _Kind:
    """How cases are read, whatever they lie in: whether every picture of a case counts, and how files are reached."""

    all_pictures: bool
    stores: Stores


def _from_file(path: Location, kind: _Kind) -> Cases:
    if path.suffix in (".csv", ".jsonl"):
        return _from_manifest(path, kind)
    if "file_name" in _schema_of(path, kind.stores).names:
        return _from_manifest(path, kind)
    return _from_tables(path, (path,), kind)


@contextmanager
def _table(path: Location, stores: Stores) -> Iterator[pq.ParquetFile]:
    """Buffered, and read in small batches: memory follows the pages, not the row groups, which may be gigabytes."""
    with stores.open_input(path) as stream:
        if isinstance(stream, PiecewiseFile):
            stream.pieces.plan([(0, stream.pieces.size)])
        with pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False) as file:
            yield file


def _schema_of(path: Location, stores: Stores) -> pa.Schema:
    """The columns of a Parquet file, of which those that we read stand there once."""
    try:
        with stores.open_input(path) as stream:
            schema = pq.read_schema(stream)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path} is not a readable Parquet file: {error}") from error
    for name in (*_COLUMNS, "file_name"):
        if schema.names.count(name) > 1:
            raise UsageError(f"{path}: column {name!r} stands more than once")
    return schema


def _check_columns(table: Location, stores: Stores) -> None:
    schema = _schema_of(table, stores)
    if missing := {"hs_code", "images"} - set(schema.names):
        raise UsageError(f"{table} has no column {', '.join(sorted(missing))}; cases need hs_code and images")
    codes, images = schema.field("hs_code").type, schema.field("images").type
    if pa.types.is_float32(codes) or pa.types.is_float16(codes):
        raise UsageError(f"{table}: column 'hs_code' is {codes}, which cannot hold ten digits (8708290000: 8708289536)")
    if not holds_pictures(images):
        raise UsageError(f"{table}: column 'images' is {images}, expected {EXPECTED}")


def _from_tables(path: Location, tables: tuple[Location, ...], kind: _Kind) -> Cases:
    count = 0
    for table in tables:
        _check_columns(table, kind.stores)
        with kind.stores.open_input(table) as stream:
            count += pq.read_metadata(stream).num_rows

    def rows(with_pictures: bool) -> Iterator[Case]:
        for table in tables:
            # Rows of several files have the same numbers: what has no id is told apart by its file, too.
            begins = f"{table.name}:" if len(tables) > 1 else ""
            yield from _table_rows(table, with_pictures, kind.stores, begins)

    def column(name: str) -> list[str | None]:
        return [value for table in tables for value in _table_column(table, name, kind.stores)]

    return Cases(path, count, kind.all_pictures, rows, tables, kind.stores, column)


def _table_column(path: Location, name: str, stores: Stores) -> list[str | None]:
    with _table(path, stores) as file:
        schema = file.schema_arrow
        _check_named(path, name, [other for other in schema.names if other != "images"])
        if pa.types.is_nested(schema.field(name).type):
            raise UsageError(f"{path}: column {name!r} is {schema.field(name).type}; text or a number is needed")
        try:
            return [_as_written(value) for value in file.read(columns=[name]).column(0).to_pylist()]
        except (OSError, pa.ArrowException, OverflowError) as error:
            raise UsageError(f"{path} cannot be read to its end: {_first_line(error)}") from error


def _check_named(path: Location, name: str, known: list[str]) -> None:
    if name not in known:
        raise UsageError(f"{path} has no column {name!r}{did_you_mean(name, known)}")


def _as_written(value: object) -> str | None:
    """What stands in a column; nothing, spaces and not-a-number say nothing."""
    written = "" if value is None else str(value).strip()
    return None if written in ("", "nan") else written


def _table_rows(path: Location, with_pictures: bool, stores: Stores, begins: str) -> Iterator[Case]:
    try:
        yield from _rows_of_a_good_table(path, with_pictures, stores, begins)
    except (OSError, pa.ArrowException, OverflowError) as error:
        raise UsageError(f"{path} cannot be read to its end: {_first_line(error)}") from error


def _rows_of_a_good_table(path: Location, with_pictures: bool, stores: Stores, begins: str) -> Iterator[Case]:
    with _table(path, stores) as file:
        columns = [name for name in _COLUMNS if name in file.schema_arrow.names and (with_pictures or name != "images")]
        number = 0
        for batch in file.iter_batches(_ROWS, columns=columns, use_threads=False):
            images = named_pictures(batch.column("images")) if with_pictures else [[]] * len(batch)
            about = batch.select([name for name in columns if name != "images"]).to_pylist()
            for row, pictures in zip(about, images, strict=True):
                code = _checked_code(row["hs_code"], f"{path}, row {number}")
                case_id = str(f"{begins}{number}" if row.get("case_id") is None else row["case_id"])  # 0 is an id, too
                source = row.get("source_case") or case_id
                readers = tuple((name, _already_read(encoded)) for name, encoded in pictures)
                yield Case(case_id, code, readers, str(source), bool(row.get("generated")))
                number += 1


def _already_read(encoded: bytes) -> Callable[[], bytes]:
    return lambda: encoded


def _from_manifest(path: Location, kind: _Kind) -> Cases:
    entries = []
    lines = list(_manifest_lines(path, kind.stores))
    for number, line in enumerate(lines):
        if not isinstance(line, dict) or not line.get("file_name") or line.get("hs_code") is None:
            raise UsageError(f"{path}, line {number + 1}: file_name and hs_code are needed in each line")
        name = str(line["file_name"])
        code = _checked_code(line["hs_code"], f"{path}, line {number + 1}")
        entries.append((str(line.get("case_id") or name), code, _beside(path, name)))
    if not entries:
        raise UsageError(f"{path} names no picture")
    if absent := [file for _, _, file in entries if not kind.stores.exists(file)]:
        raise UsageError(f"{path} names {len(absent)} files that do not exist, the first of them {absent[0]}")

    def column(name: str) -> list[str | None]:
        known = list(dict.fromkeys(str(key) for line in lines for key in line if key not in (None, "file_name")))
        _check_named(path, name, known)
        of_case: dict[str, str | None] = {}
        for (case_id, _, _), line in zip(entries, lines, strict=True):
            of_case[case_id] = of_case.get(case_id) or _as_written(line.get(name))
        return list(of_case.values())

    cases = _from_entries(path, entries, kind, (path, *(file for _, _, file in entries)))
    return replace(cases, column=column)


def _beside(manifest: Location, name: str) -> Location:
    """A picture that a manifest names: beside it, or where the name itself says."""
    if manifest.is_local and "://" not in name:
        return Location.parse(manifest.parent.path / name)
    return Location.parse(name if "://" in name else str(manifest.parent / name))


def _manifest_lines(path: Location, stores: Stores) -> Iterable[Any]:
    try:
        if path.suffix == ".csv":
            # Excel begins its UTF-8 with a byte order mark.
            text = stores.read_bytes(path).decode("utf-8-sig")
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if path.suffix == ".jsonl":
            lines = stores.read_bytes(path).decode().splitlines()
            return [json.loads(line) for line in lines if line.strip()]
        with _table(path, stores) as file:
            return file.read().to_pylist()
    except (ValueError, RecursionError, OSError, csv.Error) as error:  # broken JSON and Parquet, no UTF-8, long fields
        raise UsageError(f"{path} is not a readable manifest: {_first_line(error)}") from error


def _from_entries(
    path: Location, entries: list[tuple[str, str, Location]], kind: _Kind, files: tuple[Location, ...]
) -> Cases:
    """Cases from (case_id, hs_code, file), those with one case_id together."""
    together: dict[str, tuple[str, list[Location]]] = {}
    for case_id, code, file in entries:
        first_code, its_files = together.setdefault(case_id, (code, []))
        if first_code != code:
            raise UsageError(f"{path}: case {case_id} stands under {first_code} and under {code}")
        its_files.append(file)

    def rows(with_pictures: bool) -> Iterator[Case]:
        for case_id, (code, its_files) in together.items():
            pictures = tuple((file.name, partial(_read, file, kind.stores)) for file in its_files)
            yield Case(case_id, code, pictures, case_id)

    return Cases(path, len(together), kind.all_pictures, rows, files, kind.stores)


def _read(file: Location, stores: Stores) -> bytes:
    try:
        return stores.read_bytes(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or _first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _code_in_name(file: Location, folder: Location) -> str:
    """The code in a picture's folder, else before the underscore of its name."""
    parts = file.relative_to(folder).split("/")
    written = parts[0] if len(parts) > 1 else PurePosixPath(file.name).stem.split("_")[0]
    return _checked_code(written, str(file))


def _checked_code(written: object, where: str) -> str:
    if isinstance(written, str) and written.endswith("*"):
        return _checked_code(written[:-1], where) + "*"
    parsed = parse_declared_code(written if isinstance(written, str | int | float) else None)
    if parsed.code is None:
        raise UsageError(f"{where}: hs_code {written!r} is not an HS code")
    return parsed.code.digits
