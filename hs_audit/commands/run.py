"""`hs-audit run`: the nightly audit.

Flags that are not listed here are Beam's and are passed on to it.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from hs.errors import UsageError
from pipeline.job.in_process import PROGRESS, STOP

if TYPE_CHECKING:
    from pipeline.night import MakeClassify, Published

_log = logging.getLogger("hs_audit.run")
_SECONDS_TO_STOP = 4.0
_SECONDS_BETWEEN_LINES = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--config", type=Path, required=True, help="YAML; `hs-audit config nightly` prints one")
    parser.add_argument("--run-date", type=_date, help="YYYY-MM-DD (default: yesterday in the configured time zone)")
    parser.add_argument("--input", metavar="GLOB", help="Parquet files, instead of the configured ones")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the runs, instead of the configured one")
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--server", metavar="HOST:PORT", help="model server, instead of the configured one")
    model.add_argument(
        "--saved-model", type=Path, metavar="MODEL", help="serve this model for the run, on this machine"
    )
    parser.add_argument("--version", type=int, help="version of the model (default: the newest, pinned for the run)")


def run(args: argparse.Namespace, make_classify: "MakeClassify | None" = None) -> int:
    """Audits one night; 0, or 3 where more is missing than the warning threshold.

    Args:
        args: as parsed.
        make_classify: what classifies in place of decoder and server; for benchmarks.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # Beam warns on import of what it cannot find
    from pipeline.config import load_config
    from pipeline.job.engine import beam_options
    from pipeline.night import Night, audit, with_a_server
    from pipeline.runs.staging import new_attempt_id

    console = Console(stderr=True)
    config = load_config(args.config).overridden(
        input=args.input, output=args.output, server=args.server, version=args.version
    )
    for name in ("input", "output"):
        if getattr(config, name) is None:
            raise UsageError(f"{name} is neither in {args.config} nor given as --{name}")
    if args.saved_model is None and config.server.address is None:
        raise UsageError(f"no model: give --server or --saved-model, or server.address in {args.config}")
    night = Night(
        config,
        args.run_date or config.yesterday(),
        new_attempt_id(),
        args.saved_model,
        beam_options(config.beam, args.beam_flags),
        config.worklist.selection(),
        config.verdict.pairs(),
    )
    night.place.prepare()
    with _logging(night.place.log(night.attempt_id), config.log_format, console), _stoppable(), _progress(console):
        _log.info("auditing %s as attempt %s", night.run_date, night.attempt_id)
        started = time.monotonic()
        published = audit(night, make_classify or with_a_server)
        seconds = time.monotonic() - started
    _print_summary(published, seconds, console)
    share = published.ledger.unscored_share()
    if share > config.limits.warn_unscored_share or published.ledger.unknown_files:
        console.print(
            f"{share:.1%} of the rows are dead letters or were not scored: see dead_letters/ and manifest.json"
        )
        return 3
    return 0


def _date(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a date is written YYYY-MM-DD, got {written!r}") from None


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGINT and SIGTERM set the stop event; if that is not enough, the process ends anyway.

    Nothing is lost by that: what is published is published by one rename.
    """
    STOP.clear()

    def end() -> None:
        publishing = PROGRESS.step == "publishing"
        what = "while publishing; run this night again" if publishing else "nothing was published"
        print(f"hs-audit run: interrupted; {what}", file=sys.stderr, flush=True)
        os._exit(130)

    timer = threading.Timer(_SECONDS_TO_STOP, end)
    timer.daemon = True

    def stop(number: int, frame: object) -> None:
        if not STOP.is_set():
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
def _progress(console: Console) -> Iterator[None]:
    """A moving line on a terminal, log lines elsewhere."""
    PROGRESS.declarations = 0
    over = threading.Event()
    show = _show_bar if console.is_terminal else _log_lines
    thread = threading.Thread(target=show, args=(console, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show_bar(console: Console, over: threading.Event) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("declarations", total=None)
        while not over.wait(0.2):
            bar.update(task, completed=PROGRESS.declarations, total=PROGRESS.total or None, description=PROGRESS.step)


def _log_lines(console: Console, over: threading.Event) -> None:
    while not over.wait(_SECONDS_BETWEEN_LINES):
        _log.info("%s: %d of %d declarations", PROGRESS.step, PROGRESS.declarations, PROGRESS.total)


@contextmanager
def _logging(path: Path, log_format: str, console: Console) -> Iterator[None]:
    """Everything to the attempt's log file; our own lines also to stderr where it is no terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    formatter = (
        _JsonLines() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(formatter)
    root, ours = logging.getLogger(), logging.getLogger("hs_audit")
    root.addHandler(to_file)
    ours.setLevel(logging.INFO)
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(formatter)
    to_stderr.setLevel(logging.WARNING if console.is_terminal else logging.INFO)
    ours.addHandler(to_stderr)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        ours.removeHandler(to_stderr)
        root.removeHandler(to_file)
        to_file.close()


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object a line."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _print_summary(published: "Published", seconds: float, console: Console) -> None:
    ledger = published.ledger
    table = Table(title=f"{ledger.findings.total()} findings", title_justify="left", show_header=False, box=None)
    for name, counts in (("verdicts", ledger.verdicts), ("reasons", ledger.reasons), ("pictures", ledger.pictures)):
        for key, count in counts.most_common():
            table.add_row(name, key, str(count))
            name = ""
    if published.dead_letters:
        table.add_row("dead letters", "rows", str(ledger.dead_rows.total()))
        if ledger.unknown_files:
            table.add_row("", "files of unknown length", str(ledger.unknown_files))
    console.print(table)
    rate = ledger.pictures.total() / max(published.timings_s.get("auditing", seconds), 1e-9)
    console.print(
        f"model {published.model.name} version {published.model.version}; {seconds:.1f} s, {rate:.0f} pictures/s\n"
        f"worklist  {published.folder / 'worklist.csv'}\nreport    {published.folder / 'report.html'}\n"
        f"findings  {published.folder / 'findings'}",
        highlight=False,
        soft_wrap=True,
    )
