"""Decisions files → decisions, every line checked: a file may be anything, so sizes, types and lengths are bounded.

JSON: {"format": "hs-audit decisions", "version": 1, "run_id", "attempt_id", "run_date", "model": {"name", "version"},
       "officer", "exported_at", "decisions": [{"source_file", "source_row_group", "source_row", "declaration_id",
       "item_no", "decision", "correct_code", "note", "decided_at",
       "shown": {"declared_hs6", "verdict", "reason", "recommended": [{"hs_code", "probability"}]}}]}
CSV:  run_id, attempt_id, run_date, officer, source_file, source_row_group, source_row, declaration_id, item_no,
      decision, correct_code, note, decided_at; an apostrophe before what would be a formula
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hs.codes import HSCode
from hs.editions import Nomenclature
from hs.errors import UsageError
from hs.spreadsheets import neutralised
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import counted, did_you_mean, excerpt
from pipeline.feedback.decision import Decision, Ruling, Shown
from pipeline.findings.finding import SourceRow
from pipeline.runs.published import Run
from pipeline.runs.tables import tables_of

FORMAT, VERSION = "hs-audit decisions", 1
COLUMNS = (
    "run_id", "attempt_id", "run_date", "officer", "source_file", "source_row_group", "source_row", "declaration_id",
    "item_no", "decision", "correct_code", "note", "decided_at",
)  # fmt: skip
_MOST_BYTES = 64_000_000
_MOST_DECISIONS = 100_000
_MOST_RECOMMENDED = 100
_MOST_CHARACTERS = {"note": 10_000, "officer": 1_000, "declaration_id": 1_000_000, "source_file": 10_000}
_MOST_OF_OTHERS = 100
_MOST_NUMBER = 2**63 - 1
_CLOCKS_DIFFER_BY = timedelta(days=1)


@dataclass(frozen=True)
class Read:
    """What stands in a decisions file.

    Attributes:
        decisions: the lines that are as they should be.
        wrong: a sentence for each other.
    """

    decisions: list[Decision] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class _Wrong(ValueError):
    """A sentence without its place."""


def read_decisions(written: str, run: Run, stores: Stores) -> Read:
    """Reads a decisions file on the findings of a run.

    Args:
        written: its path, or where it lies on a storage.
        run: the run.
        stores: how it is reached.

    Raises:
        UsageError: if it cannot be read, is no decisions file, or is of another run.
    """
    content = _content(Location.parse(written), stores)
    try:
        if content.lstrip()[:1] in ("{", "["):
            lines = _json_lines(content, written, run)
        else:
            lines = _csv_lines(content, written)
        return _checked(lines, run, tables_of(run).nomenclature)
    except _Wrong as error:
        raise UsageError(f"{written}: {error}") from error


def _content(file: Location, stores: Stores) -> str:
    try:
        size = stores.info(file).stamp.size_bytes
        if size > _MOST_BYTES:
            raise UsageError(f"{file} has {size:,} bytes, more than the {_MOST_BYTES:,} of a decisions file")
        return stores.read_bytes(file).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text") from error


@dataclass(frozen=True)
class _Line:
    """A decision as written: its place, its values by name, and those of the whole file."""

    place: str
    values: Mapping[str, Any]
    officer: Any
    attempt_id: Any
    run_id: Any
    from_a_sheet: bool


def _json_lines(content: str, name: str, run: Run) -> Iterator[_Line]:
    try:
        written = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise _Wrong("is no decisions file: it is nested too deeply") from error
    except _Wrong:
        raise
    except ValueError as error:
        raise _Wrong(f"is not JSON: {excerpt(str(error), 100)}") from error
    if not isinstance(written, dict) or written.get("format") != FORMAT:
        raise _Wrong(f"is no decisions file: its format must be {FORMAT!r}")
    if type(written.get("version")) is not int or written["version"] != VERSION:
        raise _Wrong(f"is of version {_shown(written.get('version'))}; this hs-audit reads version {VERSION}")
    decisions = written.get("decisions")
    if not isinstance(decisions, list):
        raise _Wrong("has no list of decisions")
    model = written.get("model")
    served = {name: run.manifest["model"][name] for name in ("name", "version")}
    if written.get("run_id") == run.manifest["run_id"] and model != served:
        raise _Wrong(f"was decided on findings of model {_shown(model)}, and those of {run.name} are of {served}")
    file_values = written.get("officer"), written.get("attempt_id"), written.get("run_id")
    for number, values in enumerate(decisions):
        place = f"{name}, decision {number}"
        yield _Line(place, values if isinstance(values, dict) else {}, *file_values, False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Wrong(f"has the name {_shown(twice)} twice in one object")
    return found


def _no_number(written: str) -> float:
    raise _Wrong(f"has {written}, which is no number of JSON")


def _csv_lines(content: str, name: str) -> Iterator[_Line]:
    reader = csv.DictReader(io.StringIO(content, newline=""))
    try:
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise _Wrong(
                f"is no decisions file: it is no JSON object, and as CSV it has no column {', '.join(missing)}"
            )
        for line in reader:
            values: dict[str, Any] = {
                column: _as_it_was(cell) for column in COLUMNS if (cell := line[column]) is not None
            }
            for column in ("declaration_id", "item_no", "correct_code"):
                values[column] = values.get(column) or None
            for column in ("source_row_group", "source_row", "item_no"):
                with suppress(TypeError, ValueError):  # what is no number is told with its line
                    values[column] = int(values.get(column))  # type: ignore[arg-type]
            place = f"{name}, line {reader.line_num}"
            yield _Line(place, values, values.get("officer"), values.get("attempt_id"), values.get("run_id"), True)
    except csv.Error as error:
        raise _Wrong(f"is not CSV: {error}") from error


def _as_it_was(cell: str) -> str:
    """A cell without the apostrophe that kept it from being a formula."""
    return cell[1:] if cell.startswith("'") and neutralised(cell[1:]) == cell else cell


def _checked(lines: Iterator[_Line], run: Run, nomenclature: Nomenclature) -> Read:
    read, place_of = Read(), dict[SourceRow, str]()
    for line in lines:
        if len(read.decisions) + len(read.wrong) >= _MOST_DECISIONS:
            raise _Wrong(f"has more than {_MOST_DECISIONS:,} decisions")
        try:
            decision = _decision(line, run, nomenclature)
            if decision.source in place_of:
                raise _Wrong(f"is on the same finding as {place_of[decision.source].rpartition(', ')[2]}")
        except _Wrong as error:
            read.wrong.append(f"{line.place}: {error}")
        else:
            place_of[decision.source] = line.place
            read.decisions.append(decision)
    return read


def _decision(line: _Line, run: Run, nomenclature: Nomenclature) -> Decision:
    written = line.values
    if not written:
        raise _Wrong("is no object of names and values")
    if line.run_id != run.manifest["run_id"]:
        raise _Wrong(
            f"is of run {_shown(line.run_id)}, and {run.name} is {run.manifest['run_id']}; give the run whose page it "
            "was, or decide on the page of this one"
        )
    ruling = _choice(written, "decision", tuple(Ruling))
    source = SourceRow(
        _text(written, "source_file"), _whole(written, "source_row_group"), _whole(written, "source_row")
    )
    declaration = written.get("declaration_id")
    item = written.get("item_no")
    return Decision(
        line.place,
        source,
        None if declaration is None else _text(written, "declaration_id"),
        None if item is None else _whole(written, "item_no", least=-_MOST_NUMBER),
        Ruling(ruling),
        _correct_code(written, ruling, nomenclature),
        _text(written, "note", may_be_empty=True),
        _moment(written, "decided_at"),
        _text({"officer": line.officer}, "officer", may_be_empty=True),
        _text({"attempt_id": line.attempt_id}, "attempt_id"),
        None if line.from_a_sheet else _what_was_shown(written.get("shown")),
        line.from_a_sheet,
    )


def _correct_code(written: Mapping[str, Any], ruling: str, nomenclature: Nomenclature) -> HSCode | None:
    code = written.get("correct_code")
    if code is None:
        return None
    if ruling != Ruling.WRONG:
        raise _Wrong(f"has a correct_code, which only a declared code that is wrong can have, and is {ruling!r}")
    if not isinstance(code, str) or len(code) != 6 or not (code.isascii() and code.isdecimal()):
        raise _Wrong(f"correct_code must be six digits or nothing, got {_shown(code)}")
    if not nomenclature.has(code):
        raise _Wrong(f"correct_code {code} is not in the nomenclature")
    return HSCode(code)


def _what_was_shown(written: Any) -> Shown | None:
    if written is None:
        return None
    if not isinstance(written, dict):
        raise _Wrong(f"shown must be an object, got {_shown(written)}")
    recommended = written.get("recommended")
    if not isinstance(recommended, list) or len(recommended) > _MOST_RECOMMENDED:
        raise _Wrong(f"shown.recommended must be a list of at most {_MOST_RECOMMENDED}, got {_shown(recommended)}")
    if written.get("declared_hs6") is not None:
        _text(written, "declared_hs6")
    return Shown(_text(written, "verdict"), _text(written, "reason"), tuple(map(_recommended, recommended)))


def _recommended(written: Any) -> str:
    probability = written.get("probability") if isinstance(written, dict) else None
    if not isinstance(probability, int | float) or not 0 <= probability <= 1.000001:  # rounding leads beyond
        raise _Wrong(f"shown.recommended must have codes, each with its probability, got {_shown(written)}")
    return _text(written, "hs_code")


def _choice(written: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = written.get(name)
    if not isinstance(value, str) or value not in known:
        hint = (
            did_you_mean(value[:_MOST_OF_OTHERS], known)
            if isinstance(value, str)
            else f"; known are {', '.join(known)}"
        )
        raise _Wrong(f"there is no {name} {_shown(value)}{hint}")
    return value


def _text(written: Mapping[str, Any], name: str, may_be_empty: bool = False) -> str:
    value, most = written.get(name), _MOST_CHARACTERS.get(name, _MOST_OF_OTHERS)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise _Wrong(f"{name} must be a text, got {_shown(value)}")
    if len(value) > most:
        raise _Wrong(f"{name} has {len(value):,} characters, more than {most:,}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _Wrong(f"{name} has half of a character (a lone surrogate)") from error
    return value


def _whole(written: Mapping[str, Any], name: str, least: int = 0) -> int:
    value = written.get(name)
    if type(value) is not int or not least <= value <= _MOST_NUMBER:  # True is an int, too
        raise _Wrong(f"{name} must be a whole number, got {_shown(value)}")
    return value


def _moment(written: Mapping[str, Any], name: str) -> datetime:
    value = _text(written, name)
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC) if _has_zone(value) else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise _Wrong(f"{name} must be a time with its zone such as 2026-11-22T09:30:00+09:00, got {_shown(value)}")
    if moment > datetime.now(UTC) + _CLOCKS_DIFFER_BY:
        raise _Wrong(f"{name} is in the future: {value}")
    return moment


def _has_zone(written: str) -> bool:
    return datetime.fromisoformat(written).tzinfo is not None


def _shown(value: object) -> str:
    """A stranger's value in a sentence."""
    return excerpt(repr(value) if not isinstance(value, (dict, list)) else f"{counted(len(value), 'value')}", 60)
