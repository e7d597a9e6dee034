"""`hs-audit check`: tells what is wrong before a night is lost."""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from operator import itemgetter
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pipeline.archive import REQUIRED, ArchiveFile, DeadLetter, RowGroup, open_parquet, read_pictures
from pipeline.config import ColumnNames, Config, load_config
from pipeline.inputs import Inputs, find_inputs
from pipeline.pages import PageHeaderError, PageSize, largest_data_page
from pipeline.rules.declared_codes import DIGITS_LOST, TRAILING_ZERO_LOST, parse_declared_code
from pipeline.rules.nomenclature import HS_EDITION, exists
from pipeline.terminal import printable

LARGE_PAGE_BYTES = 32_000_000

_EXAMPLES = 3
_MANY = 0.05  # of the rows: more than what people mistype, so a column or an export is to blame
_NAMED = 10
_SHOWN = 40
_LOST = {TRAILING_ZERO_LOST, DIGITS_LOST}
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_BATCH_ROWS = 4096
_SAMPLED_ROWS, _SAMPLED_FILES = 64, 16
_PIPE_WIDTH = 10_000  # in a file or a pipe, a sentence is a line

_ABSENT = "absent"
_NO_ID = "no id"
_REPEATED = "repeated"
_PICTURES = ("no picture", "one picture", "several pictures")

_ARCHIVE_EPILOG = """\
Reads the footers, the page headers, ids and codes of all rows, and as few pictures as it can.

exit codes:
  0  the archive can be read; what is wrong with parts of it is marked with !
  2  a required column is missing or of a wrong type in every file, or the configuration is wrong
  7  no file matches, or none can be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what can be checked, and the flags of each."""
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    for name, subject in SUBJECTS.items():
        subject.add_arguments(
            subjects.add_parser(
                name,
                help=subject.help,
                description=f"Checks {subject.help}.",
                epilog=subject.epilog,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )


def run(args: argparse.Namespace) -> int:
    """Checks one subject; returns the exit code."""
    return SUBJECTS[args.subject].run(args)


@dataclass(frozen=True)
class Subject:
    """Something that can be checked, and how."""

    help: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Section:
    """A paragraph of the output.

    Attributes:
        title: of one or two words.
        lines: cells, below each other.
        warnings: what costs findings, memory or the night.
        notes: what is good to know.
    """

    title: str
    lines: Sequence[tuple[str, ...]] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


class Outcome(Enum):
    """What the audit will make of a declared code, in words; from good to bad."""

    GOOD = "as they should be"
    REPAIRED = "repaired"
    MALFORMED = "malformed"
    UNKNOWN = f"not in {HS_EDITION}"
    MISSING = "no code"


Kind = TypeVar("Kind", bound=Hashable)
CodeKind = tuple[Outcome, str | None]  # and the repair, or what was found lost

_NOT_JUDGED = (Outcome.MALFORMED, Outcome.UNKNOWN, Outcome.MISSING)


@dataclass
class Tally(Generic[Kind]):
    """How often each kind of thing occurs, and up to three examples that differ."""

    counts: Counter[Kind] = field(default_factory=Counter)
    examples: defaultdict[Kind, list[object]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: Kind, example: object) -> None:
        """Counts one."""
        self.counts[kind] += 1
        examples = self.examples[kind]
        if len(examples) < _EXAMPLES and example not in examples:
            examples.append(example)

    def such_as(self, kind: Kind) -> str:
        """The examples, for people."""
        return ", ".join(_quoted(example) for example in self.examples[kind])


@dataclass
class Rows:
    """What the rows of an archive hold.

    Attributes:
        codes: declared codes by outcome and repair.
        ids: those that are missing or repeated.
        pictures: how many declarations have none, one, several; of `sampled_files` only the first rows are in it.
        damaged: rows that cannot be read, a sentence each.
        seen: hashes of id and item, about 100 bytes a row.
    """

    codes: Tally[CodeKind] = field(default_factory=Tally)
    ids: Tally[str] = field(default_factory=Tally)
    pictures: Counter[str] = field(default_factory=Counter)
    sampled_files: int = 0
    damaged: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


def _archive_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("glob", metavar="GLOB", help="Parquet files, in quotes; {run_date} stands for yesterday")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; names the columns (default: ours)")


def check_archive(args: argparse.Namespace) -> int:
    """Tells what is wrong with the files of a night.

    Raises:
        NothingToRead: if nothing matched or no file is readable.
        UsageError: if a required column is missing or of a wrong type in every file, or the configuration is wrong.
    """
    config = load_config(args.config) if args.config else Config()
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    inputs = find_inputs(config.model_copy(update={"input": args.glob}), config.yesterday())
    to_mend = []
    for section in _sections(inputs, config):
        _print(section, console)
        to_mend += [section.title] if section.warnings else []
    verdict = f"see the lines marked with ! under {', '.join(to_mend)}" if to_mend else "nothing to mend"
    console.print(verdict, style="yellow" if to_mend else "green")
    return 0


def _sections(inputs: Inputs, config: Config) -> Iterator[Section]:
    yield _files(inputs, config.limits.max_unscored_share)
    yield _columns(inputs, config)
    with _patience("reading page headers"):
        pages = _pages(inputs.files, config.columns.images)
    yield pages
    with _patience("reading ids and codes"):
        rows = survey_rows(inputs.files, config.columns)
    yield from (_codes(rows, config.columns.declared_hs_code), _ids(rows), _pictures(rows))
    if rows.damaged:
        yield Section("rows", warnings=_cut(rows.damaged, "more row groups"))


def _files(inputs: Inputs, max_unscored_share: float) -> Section:
    files, letters = inputs.files, inputs.dead_letters
    groups, size = sum(len(file.row_groups) for file in files), sum(file.size_bytes for file in files)
    rows = sum(file.rows for file in files)
    line = f"{_many(len(files), 'file')}, {_many(rows, 'row')}, {_many(groups, 'row group')}, {_bytes(size)}"
    warnings = _cut([f"{letter.file}: {letter.reason}: {letter.detail}" for letter in letters], "more unreadable files")
    if letters:
        warnings.append(_what_is_lost(letters, rows, rows / len(files), max_unscored_share))
    elif not rows:
        warnings.append("there is no row to audit")
    return Section("files", [(line,)], warnings)


def _what_is_lost(letters: Sequence[DeadLetter], rows: int, rows_per_file: float, max_share: float) -> str:
    lost = sum(rows_per_file if letter.rows is None else letter.rows for letter in letters)
    about = "about " if any(letter.rows is None for letter in letters) else ""
    share = lost / max(lost + rows, 1)
    sentence = f"{about}{share:.1%} of the rows will be dead letters"
    if share > max_share:
        return f"{sentence}, more than limits.max_unscored_share ({max_share:.0%}): nothing would be published"
    return sentence


def _columns(inputs: Inputs, config: Config) -> Section:
    names, kept = config.columns, dict(inputs.layout.kept)
    types = {name: type_ for file in reversed(inputs.files) for name, type_ in _types(file).items()}
    wanted = {ours: theirs for ours, theirs in names.model_dump().items() if theirs}
    mapped = {ours: theirs for ours, theirs in wanted.items() if theirs in types} | kept
    absent = [
        f"{theirs} ({ours})" if theirs != ours else ours for ours, theirs in wanted.items() if theirs not in types
    ]
    unread = [f"{name} ({type_})" for name, type_ in types.items() if name not in mapped.values()]
    notes = [f"not in the archive, so null in the findings: {', '.join(absent)}"] if absent else []
    if unread:
        notes.append(f"not read; name under `keep` what the findings should pass on: {', '.join(unread)}")
    notes += _differences(inputs.files, [wanted[ours] for ours in (*REQUIRED, "item_no") if ours in wanted])
    unlike = _differences(inputs.files, list(kept.values()))
    warnings = [f"{sentence}; absent and unfitting values become null" for sentence in unlike]
    lines = [("read as", "column", "type")]
    lines += [(ours, theirs, _type(types[theirs], ours)) for ours, theirs in mapped.items()]
    return Section("columns", lines, warnings, notes)


def _types(file: ArchiveFile) -> dict[str, pa.DataType]:
    return {column.name: column.type for column in file.schema}


def _type(type_: pa.DataType, ours: str) -> str:
    if ours != "images":
        return str(type_)
    several = "any number of pictures" if _is_list(type_) else "at most one picture"
    return f"{_layout(type_)}: {several} a declaration"


def _layout(type_: pa.DataType) -> str:
    """An image layout as the documentation writes it: `list<struct<bytes, path>>`."""
    if _is_list(type_):
        return f"list<{_layout(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"struct<{', '.join(part.name for part in type_)}>"
    if pa.types.is_dictionary(type_):
        return f"dictionary<{type_.value_type}>"
    return str(type_)


def _differences(files: Sequence[ArchiveFile], names: Sequence[str]) -> list[str]:
    """A sentence for each column that is not of the same type in all files."""
    sentences = []
    for name in names:
        by_type: dict[str, list[str]] = {}
        for file in files:
            by_type.setdefault(str(_types(file).get(name, _ABSENT)), []).append(Path(file.path).name)
        if len(by_type) > 1:
            kinds = [f"{kind} in {_files_such_as(paths)}" for kind, paths in by_type.items()]
            sentences.append(f"{name} differs between files: {', '.join(kinds)}")
    return sentences


def _files_such_as(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} files such as {names[0]}"


def _pages(files: Sequence[ArchiveFile], images: str) -> Section:
    largest: dict[str, PageSize] = {}
    warnings = []
    for file in files:
        try:
            page = largest_data_page(file.path, images)
        except PageHeaderError as error:
            warnings.append(f"{file.path}: the pages of {images} are damaged: {error}")
        else:
            largest |= {file.path: page} if page else {}
    warnings = _cut(warnings, "more files with damaged pages") + _large_pages(largest)
    unsummed = [path for path, page in largest.items() if not page.has_checksum]
    note = (
        f"no page checksums in {len(unsummed)} of {_many(len(largest), 'file')}: overwritten bytes in a page pass in "
        "silence unless the writer stored checksums (write_page_checksum=True)"
    )
    return Section("pages", _largest_page(largest), warnings, [note] if unsummed else [])


def _largest_page(largest: dict[str, PageSize]) -> list[tuple[str, ...]]:
    if not largest:
        return []
    path, page = max(largest.items(), key=lambda item: item[1].uncompressed_bytes)
    sizes = f"{_bytes(page.uncompressed_bytes)} ({_bytes(page.compressed_bytes)} compressed) in {Path(path).name}"
    return [(f"the largest has {sizes}; a worker needs about {_memory(page)} to read it",)]


def _large_pages(largest: dict[str, PageSize]) -> list[str]:
    large = {path: page for path, page in largest.items() if page.uncompressed_bytes > LARGE_PAGE_BYTES}
    if not large:
        return []
    by_size = sorted(large.items(), key=lambda item: -item[1].uncompressed_bytes)
    lines = [f"{path}: a page of {_bytes(page.uncompressed_bytes)} needs {_memory(page)}" for path, page in by_size]
    advice = (
        f"memory follows the pages; keep them under {_bytes(LARGE_PAGE_BYTES)} with "
        "pyarrow.parquet.write_table(..., write_batch_size=16), since by default pyarrow writes 1,024 rows before it "
        "looks at the size of the page (the size of the row groups does not matter)"
    )
    return [*_cut(lines, "more files with large pages"), advice]


def _memory(page: PageSize) -> str:
    """What reading costs, as measured: 100 MB and 3.5 times the largest page."""
    return _bytes(round(100_000_000 + 3.5 * page.uncompressed_bytes, -6))


def survey_rows(files: Iterable[ArchiveFile], names: ColumnNames) -> Rows:
    """Reads ids and codes of all rows and counts their pictures; what cannot be read is noted, never raised."""
    rows = Rows()
    for file in files:
        for pointer in file.pointers():
            _survey_row_group(pointer, names, rows)
        if file.rows and not _has_more_than_bytes(_types(file)[names.images]) and rows.sampled_files < _SAMPLED_FILES:
            _sample_pictures(file.pointers()[0], names.images, rows)
    return rows


def _survey_row_group(pointer: RowGroup, names: ColumnNames, rows: Rows) -> None:
    first_row = 0
    try:
        for batch in _read(pointer, names):
            _survey_batch(batch, f"{Path(pointer.file).name}, row group {pointer.index}", names, rows)
            first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        rows.damaged.append(_damage(pointer, f"from row {first_row}", error))
    else:
        if first_row != pointer.rows:
            rows.damaged.append(_damage(pointer, f"{first_row} of {pointer.rows} rows", "it ends too early"))


def _read(pointer: RowGroup, names: ColumnNames) -> Iterator[pa.RecordBatch]:
    """Ids, items and codes; and a leaf of the pictures that is not their bytes, where there is one."""
    with open_parquet(pointer.file) as file:
        present = file.schema_arrow
        columns: list[str | None] = [names.declaration_id, names.declared_hs_code]
        if names.item_no in present.names:
            columns.append(names.item_no)
        if _has_more_than_bytes(present.field(names.images).type):
            columns.append(_leaf_beside_bytes(file.metadata.schema, names.images))
        yield from file.iter_batches(_BATCH_ROWS, row_groups=[pointer.index], columns=columns, use_threads=False)


def _leaf_beside_bytes(schema: pq.ParquetSchema, images: str) -> str:
    leaves = (schema.column(index).path for index in range(len(schema)))
    return next(leaf for leaf in leaves if leaf.startswith(f"{images}.") and not leaf.endswith(".bytes"))


def _survey_batch(batch: pa.RecordBatch, place: str, names: ColumnNames, rows: Rows) -> None:
    for written in _values(batch.column(names.declared_hs_code)):
        rows.codes.add(outcome_of_code(written), written)
    ids = _values(batch.column(names.declaration_id))
    items = batch.column(names.item_no).to_pylist() if names.item_no in batch.schema.names else [None] * len(ids)
    for declaration_id, item in zip(ids, items, strict=True):
        _survey_id(declaration_id, item, place, rows)
    if names.images in batch.schema.names:
        _count_pictures(_list_lengths(batch.column(names.images)), rows)


def outcome_of_code(written: str | int | float | None) -> CodeKind:
    """What the audit will make of a declared code, and what is repaired or lost.

    >>> outcome_of_code(808100000), outcome_of_code("999999")
    ((<Outcome.REPAIRED: 'repaired'>, 'leading_zero'), (<Outcome.UNKNOWN: 'not in HS 2022'>, None))
    """
    if written is None or not str(written).strip():
        return Outcome.MISSING, None
    parsed = parse_declared_code(written)
    if parsed.code is None:
        return Outcome.MALFORMED, parsed.repair
    if not exists(parsed.code):
        return Outcome.UNKNOWN, parsed.repair
    return (Outcome.REPAIRED if parsed.repair else Outcome.GOOD), parsed.repair


def _survey_id(declaration_id: object, item: int | None, place: str, rows: Rows) -> None:
    if declaration_id is None:
        rows.ids.add(_NO_ID, place)
    elif (key := hash((str(declaration_id), item))) in rows.seen:
        rows.ids.add(_REPEATED, declaration_id if item is None else f"{declaration_id}#{item}")
    else:
        rows.seen.add(key)


def _sample_pictures(pointer: RowGroup, images: str, rows: Rows) -> None:
    sample = set(range(min(pointer.rows, _SAMPLED_ROWS)))
    try:
        lengths = [len(pictures) for _, pictures in read_pictures(pointer, sample, images)]
    except (pa.ArrowException, OSError) as error:
        rows.damaged.append(_damage(pointer, f"its first {len(sample)} rows", error))
    else:
        rows.sampled_files += 1
        _count_pictures(np.array(lengths), rows)


def _count_pictures(lengths: np.ndarray, rows: Rows) -> None:
    counts = np.bincount(np.minimum(lengths, 2), minlength=3)
    rows.pictures.update(dict(zip(_PICTURES, counts.tolist(), strict=True)))


def _list_lengths(column: pa.Array) -> np.ndarray:
    """Pictures per row of a column that has lost its bytes, int [rows]; a null is none."""
    lengths = pc.fill_null(pc.list_value_length(column), 0) if _is_list(column.type) else column.is_valid()
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64)


def _values(column: pa.Array) -> list:
    """The values of a column as Python has them, invalid UTF-8 replaced."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_primitive(column.type) or pa.types.is_null(column.type):
        return column.to_pylist()
    raw = column.cast(pa.string()).cast(pa.binary()).to_pylist()
    return [value if value is None else value.decode(errors="replace") for value in raw]


def _is_list(type_: pa.DataType) -> bool:
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def _has_more_than_bytes(type_: pa.DataType) -> bool:
    """Whether an image column can be counted by another leaf, such as `path`, without reading the pictures."""
    element = type_.value_type if _is_list(type_) else type_
    return pa.types.is_struct(element) and element.num_fields > 1


def _damage(pointer: RowGroup, where: str, error: object) -> str:
    return f"{pointer.file}, row group {pointer.index}, {where}: {' '.join(str(error).split())}"


def _codes(rows: Rows, column: str) -> Section:
    codes, total = rows.codes, rows.codes.counts.total()
    lines = []
    for outcome in Outcome:
        kinds = [(count, kind) for kind, count in codes.counts.items() if kind[0] is outcome]
        lines += [_code_line(codes, kind) for _, kind in sorted(kinds, reverse=True, key=itemgetter(0))]
    warnings = []
    lost = sum(count for (_, repair), count in codes.counts.items() if _LOST & set((repair or "").split(",")))
    if lost:
        warnings.append(f"{_many(lost, 'code')} lost digits, as in a spreadsheet: export the codes as text")
    unjudged = sum(count for (outcome, _), count in codes.counts.items() if outcome in _NOT_JUDGED)
    if unjudged > _MANY * total:
        share = f"{unjudged / total:.1%} of the declarations"
        warnings.append(f"{share} have no code that {HS_EDITION} knows: is {column} the right column?")
    return Section("declared codes", lines, warnings)


def _code_line(codes: Tally[CodeKind], kind: CodeKind) -> tuple[str, ...]:
    outcome, repair = kind
    examples = "" if outcome in (Outcome.GOOD, Outcome.MISSING) else codes.such_as(kind)
    what = f"{outcome.value}: {repair}" if repair else outcome.value
    return (what, *_count_and_share(codes.counts[kind], codes.counts.total()), examples)


def _count_and_share(count: int, total: int) -> tuple[str, str]:
    return f"{count:>7,}", f"{count / total:>6.1%}"


def _ids(rows: Rows) -> Section:
    ids, warnings = rows.ids, []
    if missing := ids.counts[_NO_ID]:
        warnings.append(f"{_many(missing, 'row')} without an id, the first in {ids.examples[_NO_ID][0]}")
    if repeated := ids.counts[_REPEATED]:
        warnings.append(f"{_many(repeated, 'row')} with the id and item of an earlier row: {ids.such_as(_REPEATED)}")
    return Section("ids", [] if warnings else [("all there, none repeated",)], warnings)


def _pictures(rows: Rows) -> Section:
    counts, total = rows.pictures, rows.pictures.total()
    lines = [(kind, *_count_and_share(counts[kind], total)) for kind in _PICTURES if counts[kind]]
    note, warnings = "counted, not read: whether they decode shows in the findings", []
    if rows.sampled_files:
        where = f"the first {_SAMPLED_ROWS} rows of {_many(rows.sampled_files, 'file')}"
        note = f"a sample, {where}: this layout cannot be counted without reading the pictures"
    if counts[_PICTURES[0]] > _MANY * total:
        warnings.append(f"{counts[_PICTURES[0]] / total:.1%} of the declarations have no picture to be judged by")
    return Section("pictures", lines, warnings, [note] if total else [])


def _cut(sentences: Sequence[str], more: str) -> list[str]:
    rest = len(sentences) - _NAMED
    return [*sentences[:_NAMED], *([f"and {rest:,} {more}"] if rest > 0 else [])]


def _many(count: int, thing: str) -> str:
    """A number and what is counted.

    >>> _many(1, "row"), _many(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _bytes(count: float) -> str:
    """A size in decimal units.

    >>> _bytes(1_500), _bytes(32_000_000), _bytes(7_900_000_000)
    ('1.5 kB', '32 MB', '7.9 GB')
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), (1, "B"))
    return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"


def _quoted(value: object) -> str:
    """A value from the archive for people: cut, and without anything a terminal would obey."""
    text = repr(value[:_SHOWN] if isinstance(value, str) else value)
    return text if not isinstance(value, str) or len(value) <= _SHOWN else f"{text}…"


def _patience(what: str) -> AbstractContextManager:
    """A moving line on a terminal, nothing elsewhere."""
    return Console(stderr=True).status(what)


def _print(section: Section, console: Console) -> None:
    console.print(section.title, style="bold")
    if section.lines:
        console.print(_grid(*((" ", *line) for line in section.lines)))
    for sentence in section.warnings:
        console.print(_grid(("!", sentence)), style="yellow")
    for sentence in section.notes:
        console.print(_grid((" ", sentence)))
    console.print()


def _grid(*lines: tuple[str, ...]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for line in lines:
        grid.add_row(*map(printable, line))
    return grid


SUBJECTS = {
    "archive": Subject("the Parquet files of a night", _ARCHIVE_EPILOG, _archive_arguments, check_archive),
}
