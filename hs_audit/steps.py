"""How far a long computation is: bars on a terminal, a line for each finished step elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hs_audit.terminal import PlainConsole


class Steps:
    """Shows steps as they are done; use it as a context."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or PlainConsole(stderr=True, soft_wrap=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console)
        self._terminal = self._console.is_terminal

    def __enter__(self) -> "Steps":
        """Starts the bars."""
        if self._terminal:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Leaves the bars as they stand."""
        if self._terminal:
            self._bars.stop()

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """One step.

        Args:
            name: what is done.
            total: of how many.

        Yields:
            A function to be told how many more were done.
        """
        task = self._bars.add_task(name, total=total)
        started = time.monotonic()
        yield lambda count: self._bars.advance(task, count)
        if not self._terminal:
            self._console.print(f"{name}: {time.monotonic() - started:.0f} s", style="dim")

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bars."""
        self._console.print(sentence)
