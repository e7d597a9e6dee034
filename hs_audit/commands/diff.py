"""`hs-audit diff`: what is new, gone or changed between the findings of two runs, and why.

Runs of one night after a new model, threshold or edition, or of two nights. Findings are matched by their rows where
both runs read the same files, else by declaration and item.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hs.codes import HSCode
from hs.errors import UsageError
from hs.text import counted, excerpt
from hs_audit import flag_values as flags
from hs_audit.run_argument import add_storage_argument, stores_of
from hs_audit.terminal import PlainConsole
from pipeline.report.changes_page import write_changes_page
from pipeline.runs.causes import WORDS as CAUSES
from pipeline.runs.causes import by_cause
from pipeline.runs.changes import WORDS as KINDS
from pipeline.runs.changes import Change, Comparison, as_row, compare, write_changes
from pipeline.runs.published import Run, outside, published_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("before", metavar="RUN_A", help="a published run_date=… folder, on any storage")
    parser.add_argument("after", metavar="RUN_B", help="another one, as a rule the later")
    parser.add_argument(
        "--top", type=flags.whole(0, 10_000), default=20, help="changes to print, those now flagged first (default: 20)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of diff.parquet and diff.html (default: neither is written)"
    )
    parser.add_argument(
        "--shown", type=flags.whole(0, 2_000), default=200, help="changes with pictures on the page (default: 200)"
    )
    add_storage_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints what changed, and writes it."""
    stores = stores_of(args)
    runs = published_run(args.before, stores), published_run(args.after, stores)
    compared = compare(*runs)
    written = _written(args, runs, compared) if args.output else []
    args.answer |= {
        "matched_by": "row" if compared.by_row else "declaration",
        "same": compared.same,
        "changes": len(compared.changes),
        "kinds": compared.kinds,
        "told": compared.told,
        "first": [as_row(change) for change in compared.changes[: args.top]],
        "written": written,
    }
    _print(compared, args.top, PlainConsole())
    for path in written:
        print(path)
    return 0


def _written(args: argparse.Namespace, runs: tuple[Run, Run], compared: Comparison) -> list[Path]:
    folder = outside(runs[0], args.output)
    outside(runs[1], args.output)
    files = [folder / "diff.parquet", folder / "diff.html"]
    try:
        write_changes(compared.changes, files[0])
        write_changes_page(files[1], runs, compared, args.shown)
    except OSError as error:
        raise UsageError(f"{error.filename or folder} cannot be written: {error.strerror or error}") from error
    return files


def _print(compared: Comparison, top: int, console: Console) -> None:
    console.print(f"{counted(len(compared.changes), 'change')}; {counted(compared.same, 'finding')} the same")
    for cause, sentence in by_cause(compared.told).items():
        console.print(f"{CAUSES[cause]}: {excerpt(sentence)}", soft_wrap=True)
    if not compared.changes:
        return
    kinds = Table("what became of the finding", "findings", title_justify="left")
    for kind, count in compared.kinds.items():
        kinds.add_row(KINDS[kind], f"{count:,}")
    console.print(kinds)
    if first := compared.changes[:top]:
        console.print(_first(first, len(compared.changes)))


def _first(changes: tuple[Change, ...], of: int) -> Table:
    title = f"the first {len(changes)} of {of:,}" if len(changes) < of else "all of them"
    columns = ("declaration", "declared", "verdict", "reason", "recommended", "why")
    table = Table(*columns, title=title, title_justify="left")
    for change in changes:
        item = "" if change.item_no is None else f"#{change.item_no}"
        sides = [change.before, change.after]
        cells = [_moved([cell(side) if side else "–" for side in sides]) for cell in _CELLS]
        why = ", ".join(map(str, change.why))
        table.add_row(f"{excerpt(change.declaration_id or 'without an id', 40)}{item}", *cells, why)
    return table


def _moved(sides: list[str]) -> str:
    return sides[0] if sides[0] == sides[1] else " → ".join(sides)


def _code(digits: str | None) -> str:
    return str(HSCode(digits)) if digits else "none"


_CELLS = (
    lambda side: _code(side.declared),
    lambda side: side.verdict,
    lambda side: side.reason,
    lambda side: _code(side.recommended),
)
