"""What flags may be: values that make no sense are told all at once, each in one sentence that names its flag.

These are given as `type=` of a flag. They let a wrong value pass as `Wrong`, where argparse would end at the first of
them; `refuse` looks for these before a command loads or decodes anything.
"""

import argparse
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from hs.errors import UsageError
from hs.nomenclature import edition_name
from hs.text import did_you_mean, excerpt


@dataclass(frozen=True)
class Wrong:
    """What stands where a value should: what it must be, what was written, and what may have been meant."""

    must_be: str
    written: str
    meant: str = ""


def whole(least: int, most: int) -> Callable[[str], int | Wrong]:
    """A whole number in [least, most].

    >>> whole(1, 9)("3"), whole(1, 9)("-3").must_be
    (3, 'a whole number from 1 to 9')
    """

    def parse(written: str) -> int | Wrong:
        try:
            value = int(written)
        except ValueError:
            value = least - 1
        return value if least <= value <= most else Wrong(f"a whole number from {least} to {most}", written)

    return parse


def number(
    *, least: float | None = None, above: float | None = None, below: float | None = None, most: float | None = None
) -> Callable[[str], float | Wrong]:
    """A finite number within bounds.

    >>> number(least=0, below=1)("0.5"), number(least=0, below=1)("1.5").must_be
    (0.5, 'a number, at least 0 and below 1')
    """
    bounds = {"at least": least, "above": above, "below": below, "at most": most}
    words = " and ".join(f"{name} {bound:g}" for name, bound in bounds.items() if bound is not None)

    def parse(written: str) -> float | Wrong:
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        within = (
            (least is None or value >= least)
            and (above is None or value > above)
            and (below is None or value < below)
            and (most is None or value <= most)
        )
        return value if within and math.isfinite(value) else Wrong(f"a number, {words}", written)

    return parse


def one_of(*names: str) -> Callable[[str], str | Wrong]:
    """One of a few words.

    >>> one_of("none", "weights")("wieghts")
    Wrong(must_be='one of none, weights', written='wieghts', meant='did you mean weights?')
    """

    def parse(written: str) -> str | Wrong:
        if written in names:
            return written
        meant = did_you_mean(written, names).partition("; known are")[0]
        return Wrong(f"one of {', '.join(names)}", written, meant.removeprefix("; "))

    return parse


def sha256(written: str) -> str | Wrong:
    """A SHA-256 in hex, with `sha256:` before it or without."""
    known = re.fullmatch(r"(sha256:)?[0-9a-fA-F]{64}", written)
    return written if known else Wrong("a SHA-256, 64 hex digits", written)


def beginnings(written: str) -> tuple[str, ...] | Wrong:
    """HS codes, or what they begin with, in digits.

    >>> beginnings("0808, 2106.90"), beginnings("apples").must_be
    (('0808', '210690'), 'HS codes or their beginnings, such as 0808,2106.90')
    """
    found = tuple(code.strip().replace(".", "") for code in written.split(","))
    known = all(re.fullmatch("[0-9]{2,10}", code) for code in found)
    return found if known else Wrong("HS codes or their beginnings, such as 0808,2106.90", written)


def edition(written: str) -> str | Wrong:
    """The name of an edition of the HS.

    >>> edition("2017"), edition("old").must_be
    ('HS 2017', 'the year of an edition of the HS, such as 2022')
    """
    try:
        return edition_name(written)
    except ValueError:
        return Wrong("the year of an edition of the HS, such as 2022", written)


def refuse(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    """Says of every flag whose value makes no sense what it must be.

    Args:
        parser: that read them.
        parsed: what it read.

    Raises:
        UsageError: if there are such flags.
    """
    sentences = []
    for action in parser._actions:
        if isinstance(value := getattr(parsed, action.dest, None), Wrong):
            name = action.option_strings[-1] if action.option_strings else action.dest.upper()
            meant = f" ({value.meant})" if value.meant else ""
            sentences.append(f"{name} must be {value.must_be}, got {excerpt(value.written, 60)!r}{meant}")
    if sentences:
        raise UsageError("; ".join(sentences))


VERSION = whole(0, 2**63 - 1)
SEED = whole(0, 2**32 - 1)
SIDE = whole(1, 4096)
COUNT = whole(1, 10_000_000)
SHARE = number(above=0, below=1)
