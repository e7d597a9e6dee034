"""How far a long computation is: bars on a terminal, lines elsewhere, one each half minute and one at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hs_audit.terminal import PlainConsole
from model.task import Advance

_LINE_EVERY_S = 30.0


@dataclass
class _Pace:
    """How fast a step is.

    Attributes:
        since: the time of the first word of it.
        done: since then; what an earlier try did took none of this time.
        pictures: looked at since then; 0 where the step tells of none.
    """

    since: float
    done: int = 0
    pictures: int = 0

    def speed(self, now: float) -> str:
        """Pictures in a second, after a comma; nothing where there are none."""
        return f", {self.pictures / (now - self.since):.0f} pictures/s" if self.pictures and now > self.since else ""

    def left(self, count: int, now: float) -> str:
        """How long so many more take, after a comma; nothing where that is not known."""
        if not self.done:
            return ""
        seconds = count * (now - self.since) / self.done
        return f", {seconds:.0f} s left" if seconds < 120 else f", {seconds / 60:.0f} min left"


class Steps:
    """Shows steps as they are done; use it as a context."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Shows them there.

        Args:
            console: by default stderr.
            clock: seconds.
        """
        self._console = console or PlainConsole(stderr=True, soft_wrap=True)
        columns = (TextColumn("{task.description}{task.fields[speed]}", markup=False), BarColumn())
        times = (MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, *times, console=self._console)
        self._terminal = self._console.is_terminal
        self._clock = clock

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
    def step(self, name: str, total: int) -> Iterator[Advance]:
        """One step.

        Args:
            name: what is done.
            total: of how many.

        Yields:
            A function to be told how many more were done, and how many pictures were looked at for it.
        """
        task = self._bars.add_task(name, total=total, speed="")
        started = said_at = self._clock()
        done, pace = 0, None

        def advance(count: int, pictures: int = 0) -> None:
            nonlocal done, pace, said_at
            now = self._clock()
            done += count
            if pace is None:
                pace = _Pace(now)
            else:
                pace.done += count
                pace.pictures += pictures
            self._bars.update(task, advance=count, speed=pace.speed(now))
            if not self._terminal and done < total and now - said_at >= _LINE_EVERY_S:
                self._say_dim(f"{name}: {done:,} of {total:,}{pace.speed(now)}{pace.left(total - done, now)}")
                said_at = now

        yield advance
        if not self._terminal:
            now = self._clock()
            self._say_dim(f"{name}: {now - started:.0f} s{pace.speed(now) if pace else ''}")

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bars."""
        self._console.print(sentence)

    def _say_dim(self, sentence: str) -> None:
        self._console.print(sentence, style="dim")
