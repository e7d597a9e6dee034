"""What a check found as paragraphs on a terminal, and as plain lines elsewhere."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hs.text import printable

PIPE_WIDTH = 10_000  # in a file or a pipe, a sentence is a line
_NAMED = 10
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Section:
    """A paragraph of the output.

    Attributes:
        title: of one or two words.
        lines: cells, below each other.
        warnings: what costs findings, memory or the night.
        notes: what is good to know.
    """

    title: str
    lines: Sequence[tuple[str, ...]] = ()
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()


def cut(sentences: Sequence[str], more: str) -> list[str]:
    """The first ten sentences, and how many more of what there are."""
    rest = len(sentences) - _NAMED
    return [*sentences[:_NAMED], *([f"and {rest:,} {more}"] if rest > 0 else [])]


def of_bytes(count: float) -> str:
    """A size in decimal units.

    >>> of_bytes(1_500), of_bytes(32_000_000), of_bytes(7_900_000_000)
    ('1.5 kB', '32 MB', '7.9 GB')
    """
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), (1, "B"))
    return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"


class PlainConsole(Console):
    """A console for text of strangers: no markup, no emoji codes, and control characters stand as escapes."""

    def __init__(self, stderr: bool = False, width: int | None = None, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, width=width, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **how: Any) -> Text:
        """What every text goes through, cells and titles of tables included."""
        return super().render_str("\n".join(map(printable, text.split("\n"))), **how)


def console_for(width_elsewhere: int) -> PlainConsole:
    """A console as wide as the terminal; where there is none, as wide as this, in characters."""
    return PlainConsole(width=None if PlainConsole().is_terminal else width_elsewhere)


def patience(what: str) -> AbstractContextManager[object]:
    """A moving line on a terminal, nothing elsewhere."""
    return PlainConsole(stderr=True).status(what)


def print_section(section: Section, console: Console) -> None:
    """Prints a section, its warnings marked with an exclamation mark."""
    console.print(section.title, style="bold")
    if section.lines:
        console.print(_grid(*((" ", *line) for line in section.lines)))
    for sentence in section.warnings:
        console.print(_grid(("!", sentence)), style="yellow")
    for sentence in section.notes:
        console.print(_grid((" ", sentence)))
    console.print()


def _grid(*lines: tuple[str, ...]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for line in lines:
        grid.add_row(*line)
    return grid
