"""CSV files that people write: look-alikes, duty rates, the truth of a night. What is wrong is said with its line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from hs.declared_codes import parse_declared_code
from hs.editions import BUILT_IN, Nomenclature
from hs.errors import UsageError
from hs.text import did_you_mean, excerpt


def read_lines(path: Path, columns: Sequence[str], no_others: bool = False) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each line stands (`rates.csv, line 3`), and its cells by column, without spaces around them.

    Args:
        path: UTF-8, with a header.
        columns: that must be there.
        no_others: whether others are refused; else they are read, too.

    Raises:
        UsageError: if the file cannot be read, lacks a column or a cell, or has a column that is refused.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:  # Excel begins its UTF-8 with a byte order mark
            reader = csv.DictReader(stream)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path} has no column {', '.join(missing)}")
            if no_others and (others := [name for name in reader.fieldnames or () if name not in columns]):
                raise UsageError(
                    f"{path}, line 1: unknown column {excerpt(others[0], 100)}{did_you_mean(others[0], columns)}"
                )
            for line in reader:
                place = f"{path}, line {reader.line_num}"
                if any(line[name] is None for name in columns):
                    raise UsageError(f"{place}: fewer cells than the header has")
                # Cells beyond the header stand under None.
                yield place, {name: (cell or "").strip() for name, cell in line.items() if isinstance(name, str)}
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
    except csv.Error as error:
        raise UsageError(f"{path} is not CSV: {error}") from error


def read_look_alikes(path: Path, nomenclature: Nomenclature = BUILT_IN) -> tuple[tuple[str, str], ...]:
    """Pairs of codes, digits only, from a CSV file with the columns hs_code and looks_like.

    Raises:
        UsageError: if it cannot be read, or a code is not in the nomenclature.
    """
    return tuple(
        (known_code(line["hs_code"], place, nomenclature), known_code(line["looks_like"], place, nomenclature))
        for place, line in read_lines(path, ("hs_code", "looks_like"))
    )


def read_rates(path: Path | None, nomenclature: Nomenclature = BUILT_IN) -> dict[str, float]:
    """Digits of a code → its rate of duty in percent, from a CSV file with the columns hs_code and duty_rate, if any.

    Raises:
        UsageError: if it cannot be read, a code is not in the nomenclature or stands there twice, or a rate is no
            number from 0 to 1000.
    """
    rates: dict[str, float] = {}
    for place, line in read_lines(path, ("hs_code", "duty_rate")) if path else ():
        code = known_code(line["hs_code"], place, nomenclature)
        if code in rates:
            raise UsageError(f"{place}: code {code} stands there twice")
        rates[code] = _number(line["duty_rate"], place, most=1000)
    return rates


def known_code(written: str, place: str, nomenclature: Nomenclature = BUILT_IN) -> str:
    """The digits of a code as people write it.

    Raises:
        UsageError: if it cannot be read or is not in the nomenclature.
    """
    code = parse_declared_code(written, nomenclature.has).code
    if code is None or not nomenclature.has(code.digits):
        raise UsageError(f"{place}: {written!r} is no code of the nomenclature")
    return code.digits


def _number(written: str, place: str, most: float) -> float:
    try:
        number = float(written)
    except ValueError:
        number = float("nan")  # which is in no range
    if not 0 <= number <= most:
        raise UsageError(f"{place}: expected a number from 0 to {most:g}, got {written!r}")
    return number
