"""Declared codes as people write them → HS codes, with every repair named; what would be a guess is not made.

Thirteen subheadings XXXX.X0 turn into another real code when a spreadsheet eats their zero, so a lost zero after the
heading's dot is refused, not restored.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from hs.codes import HSCode
from hs.nomenclature import descriptions

LEADING_ZERO = "leading_zero"
TRAILING_ZERO_LOST = "trailing_zero_lost"
DIGITS_LOST = "digits_lost"
DECIMAL_DROPPED = "decimal_dropped"

MOST_CHARACTERS = 64  # normalising 2 MB of alternating marks takes ten minutes, and the cache below keeps what it gets

# Beside what is typed: dashes as word processors make them of it, and what nobody sees.
_SEPARATORS = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212\u200b\ufeff]")
_KOREAN = re.compile(r"제(.*)호")
_EXPONENT = re.compile(r"([0-9])(?:\.([0-9]*))?[eE]\+?([0-9]{1,2})")
_INTEGRAL_FLOAT = re.compile(r"([0-9]{5,})\.0")  # of four digits, 8708.0, it may be a subheading that lost its zero
_HEADING_DOT = re.compile(r"[0-9]{3,4}\.([0-9]*)(?:[.\-\s].*)?")


HasHeading = Callable[[str], bool]


def _in_hs_2022(digits: str) -> bool:
    return digits in descriptions()


@dataclass(frozen=True)
class ParsedCode:
    """What a declared code was read as.

    Attributes:
        code: the HS code, or None where reading one would be a guess.
        repair: the names of what was repaired or found lost, joined by commas; None where the code stood as it should.
    """

    code: HSCode | None
    repair: str | None = None


def parse_declared_code(written: str | int | float | None, has_heading: HasHeading = _in_hs_2022) -> ParsedCode:
    """Reads a declared HS code.

    >>> parse_declared_code("8708.29-0000")
    ParsedCode(code=HSCode(digits='8708290000'), repair=None)
    >>> parse_declared_code(808100000)
    ParsedCode(code=HSCode(digits='0808100000'), repair='leading_zero')
    >>> parse_declared_code("8708.3")
    ParsedCode(code=None, repair='trailing_zero_lost')

    Args:
        written: the declared code as the archive has it: text, an integer, a float, or None.
        has_heading: whether four digits are a heading, which a lost leading zero is told by.

    Returns:
        The code and the repairs. A code of more than 10 digits, of an odd number of digits that a leading zero does not
        explain, of more than 64 characters, or with anything in it but digits and separators has no code:
        `code_malformed`.
    """
    if written is None or isinstance(written, bool):  # True is an int, too
        return ParsedCode(None)
    if isinstance(written, float):
        return _parse_float(written, has_heading)
    if isinstance(written, int):
        return _from_digits(has_heading, str(written)) if 0 <= written < 10**10 else ParsedCode(None)
    if len(written) > MOST_CHARACTERS:
        return ParsedCode(None)
    return _parse_text(written, has_heading)


def _parse_float(value: float, has_heading: HasHeading) -> ParsedCode:
    if not math.isfinite(value) or not 0 <= value < 1e10:
        return ParsedCode(None)
    if value.is_integer():
        return _from_digits(has_heading, str(int(value)), DECIMAL_DROPPED)
    return _parse_text(repr(value), has_heading)  # the shortest decimals: 8708.30 reads 8708.3, and is refused as such


@lru_cache(maxsize=65536)
def _parse_text(written: str, has_heading: HasHeading) -> ParsedCode:
    text = unicodedata.normalize("NFKC", written).strip()
    if korean := _KOREAN.fullmatch(text):
        text = korean[1]
    # NFKC makes full-width digits plain, and leaves those of other scripts.
    text = "".join(str(unicodedata.decimal(char, char)) for char in text).strip()
    if exponent := _EXPONENT.fullmatch(text):
        return _parse_exponent(has_heading, exponent[1] + (exponent[2] or ""), int(exponent[3]))
    if integral := _INTEGRAL_FLOAT.fullmatch(text):
        return _from_digits(has_heading, integral[1], DECIMAL_DROPPED)
    after_heading = _HEADING_DOT.fullmatch(text)
    if after_heading and len(after_heading[1]) not in (2, 4, 6):
        return ParsedCode(None, TRAILING_ZERO_LOST)
    return _from_digits(has_heading, _SEPARATORS.sub("", text).replace(".", ""))


def _parse_exponent(has_heading: HasHeading, significant: str, exponent: int) -> ParsedCode:
    """A number in exponent notation has `exponent + 1` digits, of which only the significant ones were written."""
    total = exponent + 1
    if len(significant) > total:
        if significant[total:].strip("0"):
            return ParsedCode(None)
        significant = significant[:total]
    whole = _from_digits(has_heading, significant.ljust(total, "0"))
    if whole.code is None or len(significant) == total:
        return whole
    known = len(significant) + (whole.code.level - total)
    level = known - known % 2
    return ParsedCode(HSCode(whole.code.digits[:level]) if level else None, _join(whole.repair, DIGITS_LOST))


def _from_digits(has_heading: HasHeading, digits: str, *repairs: str) -> ParsedCode:
    if not re.fullmatch(r"[0-9]{1,10}", digits):
        return ParsedCode(None, _join(*repairs))
    if len(digits) % 2:
        if len(digits) < 3 or not has_heading(("0" + digits)[:4]):  # one digit has no heading to be told by
            return ParsedCode(None, _join(*repairs))
        digits, repairs = "0" + digits, (*repairs, LEADING_ZERO)
    return ParsedCode(HSCode(digits), _join(*repairs))


def _join(*repairs: str | None) -> str | None:
    return ",".join(filter(None, repairs)) or None
