"""Editions and correlations as people write them, in CSV; what is wrong is said with its line.

hs_code,description,valid_from,valid_to                       a file for each edition
code_from,edition_from,code_to,edition_to,relationship        any number of files
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from hs.correlations import Correlations, Link
from hs.declared_codes import LEADING_ZERO, parse_declared_code
from hs.editions import BUILT_IN, BUILT_IN_FROM, SUBHEADING, Edition, Entry, Nomenclature
from hs.errors import UsageError
from hs.nomenclature import HS_EDITION, edition_name
from hs.tables import read_lines
from hs.text import counted, excerpt

_ENTRIES = ("hs_code", "description", "valid_from", "valid_to")
_LINKS = ("code_from", "edition_from", "code_to", "edition_to", "relationship")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ONE = re.compile(r"[1n]\s*(?::|-|to)\s*[1n]", re.IGNORECASE)


@dataclass(frozen=True)
class Repaired:
    """Codes of a table that were stored as numbers, without their leading zero.

    Attributes:
        count: how many.
        first: where the first of them stands, and what was made of it.
    """

    count: int
    first: str


@dataclass(frozen=True)
class TableFile:
    """A table as it was read: what the manifest says of it.

    Attributes:
        path: of the file.
        sha256: of its bytes, hex.
        lines: how many it has, the header not counted.
        repaired: codes that had lost their leading zero; None for none.
    """

    path: Path
    sha256: str
    lines: int
    repaired: Repaired | None


@dataclass(frozen=True)
class _Line:
    """A line of an edition, and where it stands."""

    place: str
    description: str
    valid_from: date | None
    valid_to: date | None


@dataclass(frozen=True)
class Tables:
    """A nomenclature, and what it was read from.

    Attributes:
        nomenclature: the editions with their links; only what is built in where there are no files.
        files: the tables, by what they are of: `HS 2017`, or `correlations 1`.
        max_successors: how many a code may have for its links to count.
    """

    nomenclature: Nomenclature = BUILT_IN
    files: Mapping[str, TableFile] = field(default_factory=dict)
    max_successors: int = 0

    def described(self) -> dict[str, Any]:
        """What the manifest says of them."""
        return {
            "editions": [
                {"name": edition.name, "begins": edition.begins.isoformat(), "ends": edition.ends.isoformat()}
                for edition in self.nomenclature.editions
            ],
            "tables": {
                name: {
                    "path": str(file.path),
                    "sha256": file.sha256,
                    "lines": file.lines,
                    "leading_zeros_repaired": file.repaired.count if file.repaired else 0,
                }
                for name, file in self.files.items()
            },
            "max_successors": self.max_successors,
        }

    def repairs(self) -> list[str]:
        """A sentence for each table that lacked leading zeros."""
        repaired = [file.repaired for file in self.files.values() if file.repaired]
        return [
            f"the lost leading zero of {counted(each.count, 'code')} was put back, the first in {each.first}"
            for each in repaired
        ]

    @property
    def digests(self) -> dict[str, Any]:
        """Of what they decide, for the id of a run."""
        return {"max_successors": self.max_successors} | {name: file.sha256 for name, file in self.files.items()}


NO_TABLES = Tables()


def read_tables(editions: Mapping[str, Path], correlations: Sequence[Path], max_successors: int) -> Tables:
    """Editions with what links them; HS 2022 is the one built in, unless a table is given for it.

    Args:
        editions: name → its table.
        correlations: tables of links.
        max_successors: how many a code may have for its links to count.

    Raises:
        UsageError: if one cannot be read, or has an unknown column, a code twice, a date that is none, editions that
            are in force on the same day, or links to what they do not have.
    """
    files: dict[str, TableFile] = {}
    lines = {}
    for name, path in editions.items():
        lines[name], files[name] = _read_edition(path)
    together = Nomenclature(_in_order(lines))
    links: list[Link] = []
    for number, path in enumerate(correlations, start=1):
        found, files[f"correlations {number}"] = _read_links(path, together)
        links += found
    linked = Nomenclature(together.editions, Correlations(tuple(links), max_successors))
    return Tables(linked, files, max_successors)


def _read_edition(path: Path) -> tuple[dict[str, _Line], TableFile]:
    lines: dict[str, _Line] = {}
    codes = _Codes()
    for place, cells in read_lines(path, _ENTRIES, no_others=True):
        digits = codes.read(cells["hs_code"], place)
        if digits in lines:
            raise UsageError(f"{place}: code {digits} stands there twice")
        first, last = _date(cells["valid_from"], place), _date(cells["valid_to"], place)
        if first and last and last < first:
            raise UsageError(f"{place}: valid to {last}, which is before it is valid from {first}")
        lines[digits] = _Line(place, cells["description"], first, last)
    if not lines:
        raise UsageError(f"{path} has no code")
    return lines, _described(path, len(lines), codes.repaired)


def _in_order(tables: Mapping[str, Mapping[str, _Line]]) -> tuple[Edition, ...]:
    """The editions with the days on which they are in force, the earliest first."""
    began = {name: min(_begins(line, name) for line in lines.values()) for name, lines in tables.items()}
    if HS_EDITION not in tables:
        # The only one is that of all times; before the edition it begins with, an earlier one would be in force.
        began[HS_EDITION] = BUILT_IN_FROM if any(name < HS_EDITION for name in tables) else date.min
    names = sorted(began)
    editions = []
    for name, later in zip(names, [*names[1:], None], strict=True):
        ends = began[later] - timedelta(days=1) if later and began[later] > date.min else date.max
        if later and began[later] <= began[name]:
            raise UsageError(f"{_first_line(tables, later, name)}: {later} begins {began[later]}, {name} {began[name]}")
        if name not in tables:
            editions.append(Edition(name, began[name], ends))
            continue
        for line in tables[name].values():
            if later and max(line.valid_from or date.min, line.valid_to or date.min) > ends:
                raise UsageError(f"{line.place}: in force when {later} is, which begins {began[later]}")
        last = max(line.valid_to or ends for line in tables[name].values())
        entries = {
            digits: Entry(line.description, _begins(line, name), line.valid_to or ends)
            for digits, line in tables[name].items()
        }
        editions.append(Edition(name, began[name], last, entries))
    return tuple(editions)


def _begins(line: _Line, name: str) -> date:
    return line.valid_from or date(int(name.removeprefix("HS ")), 1, 1)


def _first_line(tables: Mapping[str, Mapping[str, _Line]], *names: str) -> str:
    """Where the table of one of two editions begins to be in force."""
    name = next(name for name in names if name in tables)
    return min(tables[name].values(), key=lambda line: _begins(line, name)).place


def _read_links(path: Path, nomenclature: Nomenclature) -> tuple[list[Link], TableFile]:
    codes = _Codes()
    links: list[Link] = []
    for place, cells in read_lines(path, _LINKS, no_others=True):
        ends = []
        for side in ("from", "to"):
            edition = _known_edition(cells[f"edition_{side}"], nomenclature, place)
            digits = codes.read(cells[f"code_{side}"], place)
            if not nomenclature.edition(edition).has(digits):
                raise UsageError(f"{place}: {edition} has no code {digits}")
            ends += [digits, edition]
        if cells["relationship"] and not _ONE.fullmatch(cells["relationship"]):
            raise UsageError(f"{place}: relationship is 1:1, 1:n, n:1 or n:n, got {cells['relationship']!r:.100}")
        links.append(Link(*ends))
    return links, _described(path, len(links), codes.repaired)


def _known_edition(written: str, nomenclature: Nomenclature, place: str) -> str:
    try:
        name = edition_name(written)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error
    if name not in nomenclature:
        known = ", ".join(edition.name for edition in nomenclature.editions)
        raise UsageError(f"{place}: no table is given for {name}, only for {known}")
    return name


class _Codes:
    """Reads the codes of a table, and counts those that had lost their leading zero."""

    def __init__(self) -> None:
        self._count, self._first = 0, ""

    def read(self, written: str, place: str) -> str:
        parsed = parse_declared_code(written, _any_heading)
        if parsed.code is None or parsed.code.level < SUBHEADING:
            raise UsageError(f"{place}: {excerpt(repr(written), 100)} is no code of 6 to 10 digits")
        if LEADING_ZERO in (parsed.repair or ""):
            self._count += 1
            self._first = self._first or f"{place}: {written} → {parsed.code.digits}"
        return parsed.code.digits

    @property
    def repaired(self) -> Repaired | None:
        return Repaired(self._count, self._first) if self._count else None


def _any_heading(digits: str) -> bool:
    """A table says itself which headings there are."""
    return True


def _date(written: str, place: str) -> date | None:
    """A day, or None for an empty cell."""
    try:
        if not written:
            return None
        if _DATE.fullmatch(written):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise UsageError(f"{place}: {excerpt(repr(written), 100)} is no date, which is written 2022-01-31")


def _described(path: Path, lines: int, repaired: Repaired | None) -> TableFile:
    return TableFile(path, hashlib.sha256(path.read_bytes()).hexdigest(), lines, repaired)
