"""`hs-audit check archive`: what is wrong with the files of a night, in sections."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from operator import itemgetter
from pathlib import Path

import pyarrow as pa

from hs.declared_codes import DIGITS_LOST, TRAILING_ZERO_LOST
from hs.edition_tables import Tables
from hs.editions import Edition
from hs.nomenclature import HS_EDITION
from hs.pictures.columns import is_list, layout_of
from hs.storage.stores import Stores
from hs.text import counted
from hs_audit.terminal import PIPE_WIDTH, Section, console_for, cut, of_bytes, patience, print_section
from pipeline.archive.columns import REQUIRED
from pipeline.archive.compact import PageHeaderError
from pipeline.archive.footers import ArchiveFile
from pipeline.archive.inputs import Inputs, find_inputs
from pipeline.archive.page_sizes import PageSize, largest_data_page
from pipeline.archive.ranges import most_workers
from pipeline.archive.row_groups import LARGE_PAGE_BYTES, reads_in_pieces
from pipeline.archive.survey import (
    NO_ID,
    PICTURES,
    REPEATED,
    SAMPLED_ROWS,
    CodeKind,
    CodeOutcome,
    Dated,
    Rows,
    Tally,
    survey_rows,
)
from pipeline.config import Config, Limits, load_config
from pipeline.findings.schema import FIELD_NAMES

_IN_PIECES = (
    "pages over 32 MB in {}: a worker unpacks one at a time to TMPDIR and reads the pictures from there "
    "(write_batch_size=16 makes small ones)"
)

_MANY = 0.05  # of the rows: more than what people mistype, so a column or an export is to blame
_LOST = {TRAILING_ZERO_LOST, DIGITS_LOST}
_ABSENT = "absent"
_NOT_JUDGED = (CodeOutcome.MALFORMED, CodeOutcome.UNKNOWN, CodeOutcome.MISSING)

EPILOG = """\
Reads the footers, the page headers, ids and codes of all rows, and as few pictures as it can.

exit codes are those that a run would have:
  0  the archive can be read; what is wrong with parts of it is marked with !
  2  a required column is missing or of a wrong type in every file, or the configuration is wrong
  3  more rows cannot be read than limits.warn_unscored_share, or a file does not say how many it has
  4  nothing would be published: fewer rows than limits.min_rows, or more unread than limits.max_unscored_share
  7  no file matches, or none can be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("glob", metavar="GLOB", help="Parquet files, in quotes; {run_date} stands for yesterday")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; names the columns (default: ours)")


def run(args: argparse.Namespace) -> int:
    """Tells what is wrong with the files of a night.

    Raises:
        NothingToRead: if nothing matched or no file is readable.
        UsageError: if a required column is missing or of a wrong type in every file, or the configuration is wrong.
    """
    config = load_config(args.config) if args.config else Config()
    console = console_for(PIPE_WIDTH)
    tables = config.tables()
    inputs = find_inputs(args.glob, config.yesterday(), config.columns, config.keep, FIELD_NAMES, config.stores())
    to_mend, sections = [], args.answer.setdefault("sections", [])

    def show(section: Section) -> None:
        print_section(section, console)
        sections.append(section)
        to_mend.extend([section.title] if section.warnings else [])

    unread = _show_sections(inputs, config, tables, show)
    verdict = f"see the lines marked with ! under {', '.join(to_mend)}" if to_mend else "nothing to mend"
    console.print(verdict, style="yellow" if to_mend else "green")
    exit_code, why = _of_a_run(inputs, unread, config.limits)
    args.answer |= {"files": len(inputs.files), "unreadable_files": len(inputs.dead_letters), "rows": inputs.rows}
    args.answer |= {"unread_rows": unread, "to_mend": to_mend} | ({"error": why} if exit_code else {})
    if exit_code:
        console.print(f"a run would end with {exit_code}: {why}", style="yellow")
    return exit_code


def _show_sections(inputs: Inputs, config: Config, tables: Tables, show: Callable[[Section], None]) -> int:
    """Shows each section as soon as it is known; returns how many rows of readable files cannot be read."""
    show(_files(inputs))
    show(_columns(inputs, config))
    with patience("reading page headers"):
        pages = _pages(inputs.files, config.columns.images, config.stores())
    show(pages)
    with patience("reading ids and codes"):
        dated = Dated(tables.nomenclature, config.yesterday())
        rows = survey_rows(inputs.files, config.columns, config.stores(), dated)
    if tables.files:
        show(_editions(rows, tables))
    for section in (_codes(rows, config.columns.declared_hs_code, tables), _ids(rows), _pictures(rows)):
        show(section)
    if rows.damaged:
        show(Section("rows", warnings=cut(rows.damaged, "more row groups")))
    return rows.unread


def _of_a_run(inputs: Inputs, unread: int, limits: Limits) -> tuple[int, str]:
    """The exit code that a run would have, as far as the archive decides, and why."""
    dead, readable = _dead_rows(inputs), sum(file.rows for file in inputs.files)
    share = (dead + unread) / max(dead + readable, 1)
    if inputs.rows < limits.min_rows:
        return 4, f"{counted(inputs.rows, 'row')}, fewer than limits.min_rows ({limits.min_rows})"
    if share > limits.max_unscored_share:
        return 4, f"{share:.1%} of the rows cannot be read, more than limits.max_unscored_share"
    if share > limits.warn_unscored_share or any(letter.rows is None for letter in inputs.dead_letters):
        return 3, f"{share:.1%} of the rows cannot be read"
    return 0, ""


def _dead_rows(inputs: Inputs) -> float:
    """Of files that cannot be read; one that does not say how many it has counts as an average one."""
    average = sum(file.rows for file in inputs.files) / max(len(inputs.files), 1)
    return sum(average if letter.rows is None else letter.rows for letter in inputs.dead_letters)


def _files(inputs: Inputs) -> Section:
    files, letters = inputs.files, inputs.dead_letters
    groups, size = sum(len(file.row_groups) for file in files), sum(file.size_bytes for file in files)
    rows = sum(file.rows for file in files)
    line = f"{counted(len(files), 'file')}, {counted(rows, 'row')}, {counted(groups, 'row group')}, {of_bytes(size)}"
    busy = most_workers(inputs.pointers())
    notes = [f"at most {counted(busy, 'worker')} can be busy with it at once, however many there are"] if rows else []
    warnings = cut([f"{letter.file}: {letter.reason}: {letter.detail}" for letter in letters], "more unreadable files")
    if letters:
        about = "about " if any(letter.rows is None for letter in letters) else ""
        dead = _dead_rows(inputs)
        warnings.append(f"{about}{dead / max(dead + rows, 1):.1%} of the rows will be dead letters")
    elif not rows:
        warnings.append("there is no row to audit")
    return Section("files", [(line,)], warnings, notes)


def _columns(inputs: Inputs, config: Config) -> Section:
    names, kept = config.columns, dict(inputs.layout.kept)
    # Reversed, so that of files that differ the first one's type stands.
    types = {name: type_ for file in reversed(inputs.files) for name, type_ in file.types.items()}
    wanted = {ours: theirs for ours, theirs in asdict(names).items() if theirs}
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


def _type(type_: pa.DataType, ours: str) -> str:
    if ours != "images":
        return str(type_)
    several = "any number of pictures" if is_list(type_) else "at most one picture"
    return f"{layout_of(type_)}: {several} a declaration"


def _differences(files: Sequence[ArchiveFile], names: Sequence[str]) -> list[str]:
    """A sentence for each column that is not of the same type in all files."""
    sentences = []
    for name in names:
        by_type: dict[str, list[str]] = {}
        for file in files:
            by_type.setdefault(str(file.types.get(name, _ABSENT)), []).append(Path(file.path).name)
        if len(by_type) > 1:
            kinds = [f"{kind} in {_files_such_as(paths)}" for kind, paths in by_type.items()]
            sentences.append(f"{name} differs between files: {', '.join(kinds)}")
    return sentences


def _files_such_as(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} files such as {names[0]}"


def _pages(files: Sequence[ArchiveFile], images: str, stores: Stores) -> Section:
    largest: dict[str, PageSize] = {}
    warnings = []
    for file in files:
        try:
            page = largest_data_page(file.path, images, stores)
        except PageHeaderError as error:
            warnings.append(f"{file.path}: the pages of {images} are damaged: {error}")
        else:
            largest |= {file.path: page} if page else {}
    large = {path: page for path, page in largest.items() if page.uncompressed_bytes > LARGE_PAGE_BYTES}
    whole = {path: page for path, page in large.items() if not reads_in_pieces(path, images, page.row_group, stores)}
    warnings = cut(warnings, "more files with damaged pages") + _large_pages(whole)
    unsummed = [path for path, page in largest.items() if not page.has_checksum]
    note = (
        f"no page checksums in {len(unsummed)} of {counted(len(largest), 'file')}: overwritten bytes in a page pass in "
        "silence unless the writer stored checksums (write_page_checksum=True)"
    )
    notes = [_IN_PIECES.format(counted(len(large) - len(whole), "file"))] if len(large) > len(whole) else []
    return Section("pages", _largest_page(largest, whole), warnings, [*notes, *([note] if unsummed else [])])


def _largest_page(largest: dict[str, PageSize], whole: dict[str, PageSize]) -> list[tuple[str, ...]]:
    if not largest:
        return []
    path, page = max(largest.items(), key=lambda item: item[1].uncompressed_bytes)
    sizes = f"{of_bytes(page.uncompressed_bytes)} ({of_bytes(page.compressed_bytes)} compressed) in {Path(path).name}"
    costly = max((page.uncompressed_bytes for page in whole.values()), default=0)
    held = max(costly, min(page.uncompressed_bytes, LARGE_PAGE_BYTES))
    return [(f"the largest has {sizes}; a worker needs about {_memory(held)} to read them",)]


def _large_pages(large: dict[str, PageSize]) -> list[str]:
    if not large:
        return []
    by_size = sorted(large.items(), key=lambda item: -item[1].uncompressed_bytes)
    lines = [
        f"{path}: a page of {of_bytes(page.uncompressed_bytes)} needs {_memory(page.uncompressed_bytes)}"
        for path, page in by_size
    ]
    advice = (
        f"memory follows the pages; keep them under {of_bytes(LARGE_PAGE_BYTES)} with "
        "pyarrow.parquet.write_table(..., write_batch_size=16), since by default pyarrow writes 1,024 rows before it "
        "looks at the size of the page (for memory the size of the row groups does not matter)"
    )
    return [*cut(lines, "more files with large pages"), advice]


def _memory(page_bytes: int) -> str:
    """What reading costs, as measured: 100 MB and 3.5 times the largest page that is held."""
    return of_bytes(round(100_000_000 + 3.5 * page_bytes, -6))


def _editions(rows: Rows, tables: Tables) -> Section:
    """Codes by the edition that has them, and what is to be said of its tables."""
    lines = []
    for edition in tables.nomenclature.editions:
        for in_force, words in ((True, "in force on the date of the declaration"), (False, "not in force then")):
            if count := rows.editions[edition.name, in_force]:
                lines.append((edition.name, *_count_and_share(count, rows.codes.counts.total()), words))
    notes = [f"{edition.name}: {_period(edition)}" for edition in tables.nomenclature.editions]
    if rows.undated:
        notes.append(f"{counted(rows.undated, 'declaration')} without a date: that of the run counts")
    return Section("editions", lines, tables.repairs(), notes)


def _period(edition: Edition) -> str:
    begins = f"from {edition.begins} " if edition.begins > date.min else ""
    return f"{begins}to {edition.ends}" if edition.ends < date.max else begins.strip() or "at all times"


def _codes(rows: Rows, column: str, tables: Tables) -> Section:
    codes, total = rows.codes, rows.codes.counts.total()
    lines = []
    for outcome in CodeOutcome:
        kinds = [(count, kind) for kind, count in codes.counts.items() if kind[0] is outcome]
        lines += [_code_line(codes, kind, tables) for _, kind in sorted(kinds, reverse=True, key=itemgetter(0))]
    warnings = []
    lost = sum(count for (_, repair), count in codes.counts.items() if _LOST & set((repair or "").split(",")))
    if lost:
        warnings.append(f"{counted(lost, 'code')} lost digits, as in a spreadsheet: export the codes as text")
    unjudged = sum(count for (outcome, _), count in codes.counts.items() if outcome in _NOT_JUDGED)
    if unjudged > _MANY * total:
        share = f"{unjudged / total:.1%} of the declarations"
        warnings.append(f"{share} have no code that {_known_to(tables)} knows: is {column} the right column?")
    return Section("declared codes", lines, warnings)


def _known_to(tables: Tables) -> str:
    return "any edition" if tables.files else HS_EDITION


def _code_line(codes: Tally[CodeKind], kind: CodeKind, tables: Tables) -> tuple[str, ...]:
    outcome, repair = kind
    examples = "" if outcome in (CodeOutcome.GOOD, CodeOutcome.MISSING) else codes.such_as(kind)
    said = f"not in {_known_to(tables)}" if outcome is CodeOutcome.UNKNOWN else outcome.value
    what = f"{said}: {repair}" if repair else said
    return (what, *_count_and_share(codes.counts[kind], codes.counts.total()), examples)


def _count_and_share(count: int, total: int) -> tuple[str, str]:
    return f"{count:>7,}", f"{count / total:>6.1%}"


def _ids(rows: Rows) -> Section:
    ids, warnings = rows.ids, []
    if missing := ids.counts[NO_ID]:
        warnings.append(f"{counted(missing, 'row')} without an id, the first in {ids.examples[NO_ID][0]}")
    if repeated := ids.counts[REPEATED]:
        warnings.append(f"{counted(repeated, 'row')} with the id and item of an earlier row: {ids.such_as(REPEATED)}")
    if rows.nulled_items:
        warnings.append(f"{counted(rows.nulled_items, 'item number')} are too large for int64 and become null")
    return Section("ids", [] if warnings else [("all there, none repeated",)], warnings)


def _pictures(rows: Rows) -> Section:
    counts, total = rows.pictures, rows.pictures.total()
    lines = [(kind, *_count_and_share(counts[kind], total)) for kind in PICTURES if counts[kind]]
    note, warnings = "counted, not read: whether they decode shows in the findings", []
    if rows.sampled_files:
        where = f"the first {SAMPLED_ROWS} rows of {counted(rows.sampled_files, 'file')}"
        note = f"a sample, {where}: this layout cannot be counted without reading the pictures"
    if counts[PICTURES[0]] > _MANY * total:
        warnings.append(f"{counts[PICTURES[0]] / total:.1%} of the declarations have no picture to be judged by")
    return Section("pictures", lines, warnings, [note] if total else [])
