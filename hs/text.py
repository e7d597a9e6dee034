"""Text from strangers on its way to people, and what they may have meant."""

import difflib
import unicodedata
from collections.abc import Sequence


def printable(text: str) -> str:
    r"""Text without anything that a terminal would obey: control and bidi characters stand as escapes.

    >>> printable("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    """
    return "".join(char if _harmless(char) else ascii(char)[1:-1] for char in text)


def _harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"  # East Asian text has wide spaces


def excerpt(text: str, most: int = 300) -> str:
    r"""The beginning of a stranger's text, printable, for a place in a sentence.

    >>> excerpt("out of\nmemory at 0x7f", most=15)
    'out of\\nmemory…'
    """
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def in_a_line(error: BaseException) -> str:
    r"""What an error says, in one line.

    >>> in_a_line(OSError("no\n  answer"))
    'no answer'
    """
    return " ".join(str(error).split())


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "declaration"), counted(1200, "row")
    ('1 declaration', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def did_you_mean(written: str, known: Sequence[str]) -> str:
    """What to add to a sentence about a word that is not known.

    >>> did_you_mean("adress", ["address", "model"]), did_you_mean("x", ["address", "model"])
    ('; did you mean address?', '; known are address, model')
    """
    close = difflib.get_close_matches(written, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
