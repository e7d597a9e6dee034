"""Text of strangers in a cell of a spreadsheet: it stays text, and stays in its cell."""

import unicodedata

from hs.text import printable

_SIGNS = ("=", "+", "-", "@")
_SKIPPED = " ,;|'\""
_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters of Korean by their category, and nothing to see


def neutralised(text: str) -> str:
    r"""Text that no spreadsheet runs, and that stays in its cell.

    What begins as a formula gets an apostrophe in front (OWASP, 'CSV Injection'), also where the sign is full-width or
    stands behind spaces, separators or what cannot be seen; control and bidi characters stand as escapes.

    >>> neutralised("=1+1"), neutralised("0808.10"), neutralised("\r\n＝1+1"), neutralised("-")
    ("'=1+1", '0808.10', "'\\r\\n＝1+1", '-')
    """
    begin = text.lstrip(_SKIPPED + _FILLERS + "".join({char for char in text if _unseen(char)}))
    runs = unicodedata.normalize("NFKC", begin[:1]) in _SIGNS and len(begin) > 1
    return f"'{printable(text)}" if runs else printable(text)


def _unseen(char: str) -> bool:
    return not char.isprintable() or unicodedata.category(char).startswith("M")  # marks: alone they show nothing
