"""Patterns of file names, as Python's `glob` reads them, for keys of object storage, which no kernel matches."""

import re

_TOKEN = re.compile(r"(?:(?<=/)|\A)\*\*/|(?:(?<=/)|\A)\*\*\Z|\*+|\?|\[!?\]?[^\]]*\]|[^*?\[]+|\[")
_ANYTHING = {"**/": "(?:[^/]+/)*", "**": ".*", "?": "[^/]"}


def has_wildcards(pattern: str) -> bool:
    """Whether a pattern may match more than itself."""
    return bool(re.search(r"[*?\[]", pattern))


def fixed_folder(pattern: str) -> str:
    """The folder in which all lies that a pattern can match, without its last slash.

    >>> fixed_folder("archive/2026-*/part.parquet"), fixed_folder("*.parquet")
    ('archive', '')
    """
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]


def as_regex(pattern: str) -> re.Pattern[str]:
    """The same as a regular expression: `*` and `?` stay in a folder, `**` crosses any number of them.

    >>> [bool(as_regex("a/**/*.parquet").fullmatch(key)) for key in ("a/1.parquet", "a/b/c/1.parquet", "a/1.csv")]
    [True, True, False]
    >>> bool(as_regex("a/[!_]*").fullmatch("a/_hidden")), bool(as_regex("a/*").fullmatch("a/b/c"))
    (False, False)
    """
    return re.compile("".join(_translated(match[0]) for match in _TOKEN.finditer(pattern)), re.DOTALL)


def _translated(token: str) -> str:
    if token in _ANYTHING:
        return _ANYTHING[token]
    if token.startswith("*"):
        return "[^/]*"
    if token.startswith("[") and len(token) > 2:
        inside = token[1:-1].replace("\\", "\\\\")
        return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(token)
