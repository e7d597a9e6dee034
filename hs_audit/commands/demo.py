"""`hs-audit demo`: all of it, small and offline.

Draws an archive with known wrong codes, trains a compact classifier, serves it, audits the night, scores the audit
against what it planted, and shows where the results are. Each step is a command that you can run yourself.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console

from hs.errors import UsageError
from hs_audit import flag_values as flags
from hs_audit.terminal import PlainConsole

RUN_DATE = date(2026, 1, 15)
_OURS = frozenset({"archive", "audits", "cases.parquet", "config.yaml", "model", "truth.csv"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path("demo"), metavar="DIR", help="default: demo")
    parser.add_argument(
        "--declarations", type=flags.whole(50, 10**7), default=400, help="of the night (default: %(default)s)"
    )
    parser.add_argument(
        "--cases", type=flags.whole(10, 10**6), default=150, help="rulings per kind of goods (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the steps; the exit code is that of the first one that fails."""
    folder, console, started = args.folder, PlainConsole(), time.monotonic()
    _check(args)
    console.print(f"drawing {args.declarations} declarations and {args.cases} rulings for each of six kinds of goods")
    from hs_audit.demo.night import write_demo

    drawn = write_demo(folder, RUN_DATE, declarations=args.declarations, cases_per_kind=args.cases)
    config, model, audits = folder / "config.yaml", folder / "model", folder / "audits"
    with as_file(files("hs_audit") / "configs" / "local.yaml") as local:
        shown = f"report:\n  cases: {json.dumps(str(drawn.cases))}\n"  # JSON is YAML, whatever the folder is called
        config.write_text(local.read_text(encoding="utf-8") + shown, encoding="utf-8")
    published = audits / f"run_date={RUN_DATE.isoformat()}"
    for step in (
        ("train", f"--cases={drawn.cases}", "--backbone=compact", f"--output={model}"),
        (
            "run",
            f"--config={config}",
            f"--run-date={RUN_DATE.isoformat()}",
            f"--input={drawn.archive}",
            f"--output={audits}",
            f"--saved-model={model}",
        ),
        ("score", str(published), f"--truth={drawn.truth}"),
    ):
        if code := _step(step, console):
            return code
    console.print(f"\ndone in {time.monotonic() - started:.0f} s. Open {published / 'report.html'}", soft_wrap=True)
    return 0


def _check(args: argparse.Namespace) -> None:
    """A demo does not write over what is not its own."""
    if args.folder.exists() and not args.folder.is_dir():
        raise UsageError(f"{args.folder} is a file; the demo needs a folder")
    if args.folder.is_dir() and (others := {path.name for path in args.folder.iterdir()} - _OURS):
        raise UsageError(f"{args.folder} holds {sorted(others)[0]}, which is not the demo's; give it another folder")


def _step(arguments: Sequence[str], console: Console) -> int:
    console.print(f"\n$ {shlex.join(['hs-audit', *arguments])}", style="bold", soft_wrap=True)
    return subprocess.run([sys.executable, "-m", "hs_audit.cli", *arguments]).returncode
