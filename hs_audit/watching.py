"""A run while it goes on: how far it is, and how it is stopped."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hs.text import counted, printable
from pipeline.job.counters import counted_in_all
from pipeline.job.in_process import PROGRESS, STOP
from pipeline.runs.attempts import AttemptRecord

_log = logging.getLogger("hs_audit.run")
_SECONDS_TO_STOP = 4.0  # a signal ends a run within five
_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def stoppable(record: AttemptRecord) -> Iterator[None]:
    """SIGINT and SIGTERM set the stop event; if that is not enough, the process ends anyway.

    Nothing is lost by that: what is published is published by one rename.

    Args:
        record: of the attempt, which says so then.
    """
    STOP.clear()

    def end() -> None:
        publishing = PROGRESS.step == "publishing"
        what = "while publishing; run this night again" if publishing else "nothing was published"
        record.end(130, f"interrupted; {what}")
        print(f"hs-audit run: interrupted; {what}", file=sys.stderr, flush=True)
        os._exit(130)

    timer = threading.Timer(_SECONDS_TO_STOP, end)
    timer.daemon = True

    def stop(number: int, frame: object) -> None:
        if not STOP.is_set():  # a second Ctrl-C must not start the timer twice, which raises
            STOP.set()
            timer.start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress(console: Console) -> Iterator[None]:
    """A moving line on a terminal, and a line of the log every half a minute."""
    over = threading.Event()
    with ExitStack() as threads:
        for show in (_log_lines, *([_show_bar] if console.is_terminal else [])):
            thread = threading.Thread(target=show, args=(console, over), daemon=True)
            thread.start()
            threads.callback(thread.join)
        threads.callback(over.set)  # the callbacks run from the last to the first
        yield


def progress_line() -> str:
    """How far the run is, what it waits for, and when it gives up."""
    step, total, wait = PROGRESS.step, PROGRESS.total, PROGRESS.waits.longest
    how_far = f"{step}: {PROGRESS.declarations:,} of {counted(total, 'declaration')}" if total else step
    counts = counted_in_all()
    for name, noun in (("pictures", "picture"), ("dead_letters", "dead letter")):
        if counts.get(name):
            how_far += f", {counted(counts[name], noun)}"
    return f"{how_far}; {printable(wait.in_words(time.monotonic()))}" if wait else how_far


def _show_bar(console: Console, over: threading.Event) -> None:
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, BarColumn(bar_width=20), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        while not over.wait(0.2):
            bar.update(task, completed=PROGRESS.declarations, total=PROGRESS.total or None, description=progress_line())


def _log_lines(console: Console, over: threading.Event) -> None:
    while not over.wait(_SECONDS_BETWEEN_LINES):
        _log.info("%s", progress_line())
