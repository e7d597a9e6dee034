"""A list of cases to leave out: that of `check cases`, or any other with an id a line."""

from pathlib import Path

from hs.errors import UsageError
from hs.spreadsheets import neutralised
from hs.tables import read_lines
from hs.text import counted
from model.cases.reading import Cases


def excluded_from(cases: Cases, path: Path) -> frozenset[str]:
    """The ids of the cases that a list names.

    Args:
        cases: to leave them out of.
        path: CSV with a column case_id, in a file that ends in .csv; in any other the ids, one a line.

    Raises:
        UsageError: if it cannot be read, has no such column, or names none of these cases, though it names some.
    """
    named = _named(path)
    # As `check cases` writes an id that a spreadsheet would take for a formula.
    found = frozenset(
        case.case_id for case in cases.rows(False) if case.case_id in named or neutralised(case.case_id) in named
    )
    if named and not found:
        raise UsageError(f"{path} names {counted(len(named), 'case')}, and none is of {cases.path}")
    return found


def _named(path: Path) -> frozenset[str]:
    if path.suffix.lower() == ".csv":
        return frozenset(line["case_id"] for _, line in read_lines(path, ("case_id",)))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
    return frozenset(line.strip() for line in lines if line.strip())
