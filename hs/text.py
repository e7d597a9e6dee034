"""Text from strangers on its way to people."""


def printable(text: str) -> str:
    r"""Text without anything that a terminal would obey: control and bidi characters stand as escapes.

    >>> printable("a\x1b[31m\u202eb")
    'a\\x1b[31m\\u202eb'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
