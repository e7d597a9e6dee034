"""`hs-audit run`: the nightly audit.

Flags that are not listed here are Beam's and are passed on to it.
"""

import argparse
import atexit
import gc
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hs.errors import UsageError
from hs.files import write_whole
from hs.storage.location import Location
from hs.text import counted
from hs_audit import flag_values as flags
from hs_audit.server_arguments import add_server_arguments, require_a_server
from hs_audit.terminal import PlainConsole
from pipeline.job.in_process import PROGRESS

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.night import MakeClassify, Night, Published
    from pipeline.runs.destination import Destination

_log = logging.getLogger("hs_audit.run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("--config", type=Path, required=True, help="YAML; `hs-audit config nightly` prints one")
    parser.add_argument("--run-date", type=_nights, metavar="DATE", help=_RUN_DATE)
    parser.add_argument("--again", action="store_true", help="of several nights, also those that are published already")
    parser.add_argument("--input", metavar="GLOB", help="Parquet files, instead of the configured ones")
    parser.add_argument("--output", metavar="DIR", help="folder of the runs, instead of the configured one")
    add_server_arguments(parser)
    parser.add_argument(
        "--version", type=flags.VERSION, help="version of the model (default: the newest, pinned for the run)"
    )


_RUN_DATE = (
    "YYYY-MM-DD (default: yesterday in the configured time zone); DATE..DATE: each night by itself, those that are "
    "published already left out, and the exit code of the worst"
)


def run(args: argparse.Namespace, make_classify: "MakeClassify | None" = None) -> int:
    """Audits one night or several; 0, or 3 where it was published with a warning.

    Args:
        args: as parsed.
        make_classify: what classifies in place of decoder and server; for benchmarks.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # Beam warns on import of what it cannot find
    with _loading_modules():
        from hs_audit.backfill import run_nights
        from pipeline.config import load_config
        from pipeline.job.engine import beam_options, on_this_machine
        from pipeline.night import with_a_server

    config = load_config(args.config).overridden(
        input=args.input, output=args.output, server=args.server, version=args.version
    )
    if config.input is None or config.output is None:
        name = "output" if config.input else "input"
        raise UsageError(f"{name} is neither in {args.config} nor given as --{name}")
    Location.parse(config.input)  # what is no storage of ours is refused before anything is made
    require_a_server(args, config, "hs-audit run --saved-model")
    options = beam_options(config.beam, args.beam_flags)
    if args.saved_model and not on_this_machine(options):
        raise UsageError(
            "--saved-model serves on this machine alone, where workers of an engine elsewhere do not reach it; "
            "start `hs-audit serve` and give its address with --server"
        )
    audit_night = partial(_audit_night, args, config, options, make_classify or with_a_server)
    console = PlainConsole(stderr=True)
    if not isinstance(args.run_date, tuple):
        exit_code, sentence = audit_night(args.run_date or config.yesterday(), partial(_tell, args.answer))
        args.answer["sentence"] = sentence
        if exit_code:
            console.print(sentence, soft_wrap=True)
        return exit_code
    nights = args.answer.setdefault("nights", [])

    def is_published(night: date) -> bool:
        return _place(config, night).is_published

    return run_nights(args.run_date, audit_night, is_published, args.again, console, nights.append)


@contextmanager
def _loading_modules() -> Iterator[None]:
    """Keeps the collector from what stays: it would look through the modules again and again, a tenth of the start."""
    if "pipeline.night" in sys.modules:  # what else this process holds is no business of ours
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
        atexit.register(gc.unfreeze)  # else libraries that count what is left at the end call it leaked
    finally:
        gc.enable()


def _place(config: "Config", run_date: date) -> "Destination":
    from pipeline.runs.destination import destination

    assert config.output is not None
    return destination(config.output, run_date, config.stores(), config.publish.grace_days, config.publish.delta)


def _audit_night(
    args: argparse.Namespace,
    config: "Config",
    options: Any,
    make_classify: "MakeClassify",
    run_date: date,
    show: "Callable[[Published, Console], None]" = lambda published, console: None,
) -> tuple[int, str]:
    """Audits one night by Beam's `options`: its exit code and its sentence."""
    from pipeline.job.counters import forget_counts
    from pipeline.job.engine import decoding_threads_of
    from pipeline.night import Night
    from pipeline.runs.staging import new_attempt_id

    forget_counts()
    PROGRESS.begin()
    place, attempt = _place(config, run_date), new_attempt_id()
    if not isinstance(args.run_date, tuple):
        args.answer |= {"run_date": run_date, "attempt_id": attempt}
    config = config.model_copy(update={"decoding_threads": config.decoding_threads or decoding_threads_of(options)})
    tables = config.tables()
    read = (config.worklist.selection(tables.nomenclature), config.verdict.pairs(tables.nomenclature))
    settled = config.worklist.settled_before(run_date, config.stores())
    place.prepare()
    with place.logs(attempt) as logs:
        night = Night(
            config, place, run_date, attempt, logs, args.saved_model, options, *read, args.trust_model, settled, tables
        )
        return _audit(night, make_classify, show)


def _audit(
    night: "Night", make_classify: "MakeClassify", show: "Callable[[Published, Console], None]"
) -> tuple[int, str]:
    from hs_audit.logs import attempt_log, native_output
    from hs_audit.watching import progress, stoppable
    from pipeline.night import audit
    from pipeline.runs.attempts import AttemptRecord, recorded
    from pipeline.runs.lineage import Events
    from pipeline.runs.metrics import attempt_metrics, night_metrics

    config, attempt, logs = night.config, night.attempt_id, night.logs
    folder = config.metrics.folder if config.metrics else None
    events = Events(config.lineage, attempt, night.run_date) if config.lineage else None
    told: list[Callable[[dict[str, Any]], None]] = [events.ended] if events else []
    if folder:
        told.append(partial(_write_metrics, folder / "hs_audit_attempt.prom", attempt_metrics))
    record = AttemptRecord(logs.path(".json"), attempt, night.run_date, _so_far, told)
    # Outermost: a log handler keeps the stderr that it finds, and must find the terminal's.
    with native_output(logs.path(".stderr.log")):
        console = PlainConsole(stderr=True)
        log = attempt_log(logs.path(".log"), config.log_format, attempt, console, lambda: PROGRESS.run_id)
        with log, recorded(record), stoppable(record), progress(console):
            _log.info("auditing %s as attempt %s", night.run_date, attempt)
            for sentence in night.tables.repairs():
                _log.warning("%s", sentence)
            published = audit(night, make_classify)
            if events:
                events.published(published.manifest, published.folder)
            if folder:
                _write_metrics(folder / "hs_audit_night.prom", night_metrics, published.manifest)
            exit_code, sentence = _ending(published, config.limits.warn_unscored_share)
            record.end(exit_code, sentence)
        show(published, console)
    return exit_code, sentence


def _write_metrics(file: Path, metrics: Callable[[Mapping[str, Any]], str], of: Mapping[str, Any]) -> None:
    """Writes figures for node-exporter; what became of the night does not depend on them."""
    try:
        write_whole(file, metrics(of))
    except OSError as error:
        _log.warning("%s cannot be written: %s", file, error.strerror)


def _so_far() -> dict[str, Any]:
    from pipeline.job.counters import counted_in_all

    counts = {"declarations": PROGRESS.declarations, "of": PROGRESS.total}
    return {"run_id": PROGRESS.run_id, "step": PROGRESS.step, "counts": counted_in_all() | counts}


def _ending(published: "Published", warn_above: float) -> tuple[int, str]:
    """Exit code and sentence of a run that was published."""
    share, selftest = published.ledger.unscored_share(), published.manifest["selftest"]
    if selftest["withheld"]:
        return 3, f"{selftest['withheld']}: see manifest.json"
    if share > warn_above or published.ledger.unknown_files:
        missing = f"{share:.1%} of the rows are dead letters or were not scored{published.ledger.commonest_fault()}"
        return 3, f"{missing}: see dead_letters/ and manifest.json"
    if drifted := published.manifest["drift"]["warning"]:
        return 3, f"published {published.run}, but {drifted}"
    return 0, f"published {published.run}"


def _nights(written: str) -> date | tuple[date, ...]:
    """A night, or several: `2026-11-01..2026-11-07`."""
    first, dots, last = written.partition("..")
    if not dots:
        return _date(written)
    begin, end = _date(first), _date(last)
    if end < begin:
        raise argparse.ArgumentTypeError(f"{written!r} ends before it begins")
    return tuple(begin + timedelta(days=day) for day in range((end - begin).days + 1))


def _date(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a date is written YYYY-MM-DD, got {written!r}") from None


def _tell(answer: dict[str, Any], published: "Published", console: Console) -> None:
    """Tells people and programs what came out of a night."""
    ledger = published.ledger
    answer |= {
        "run_id": published.run_id,
        "run": published.run,
        "folder": published.folder,
        "model": {"name": published.model.name, "version": published.model.version},
        "findings": ledger.findings.total(),
        "rows_in_dead_letters": ledger.dead_rows.total(),
        "files_of_unknown_length": ledger.unknown_files,
        "unscored_share": ledger.unscored_share(),
        "verdicts": ledger.verdicts,
        "reasons": ledger.reasons,
        "pictures": ledger.pictures,
        "selftest": published.manifest["selftest"],
        "same_picture": published.manifest.get("same_picture"),
        "drift": published.manifest["drift"],
        "timings_s": published.timings_s,
        "cost": published.manifest.get("cost"),
    }
    _print_summary(published, console)


def _print_summary(published: "Published", console: Console) -> None:
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
    if published.settled:
        what = counted(published.settled, "finding")
        console.print(f"{what} not raised again: officers found the code right, and nothing has changed since")
    seconds = sum(published.timings_s.values())
    rate = ledger.pictures.total() / max(published.timings_s["auditing"], 1e-9)
    console.print(
        f"model {published.model.name} version {published.model.version}; {seconds:.1f} s, {rate:.0f} pictures/s\n"
        f"worklist  {published.folder / 'worklist.csv'}\nreport    {published.folder / 'report.html'}\n"
        f"findings  {published.folder / 'findings'}",
        soft_wrap=True,
    )
