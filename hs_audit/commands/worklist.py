"""`hs-audit worklist`: chooses anew which findings of a run officers should open."""

import argparse
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from hs.errors import UsageError
from hs.ranking import By, Selection, share_of
from hs.storage.location import Location
from hs.tables import read_rates
from hs.text import counted
from hs_audit import flag_values as flags
from hs_audit.run_argument import add_run_argument, run_of
from hs_audit.terminal import PlainConsole
from pipeline.findings.evidence import Audited
from pipeline.findings.parts import opened
from pipeline.findings.settled import Raised, looks_in, raise_findings, read_settled
from pipeline.findings.sheet import write_worklist
from pipeline.findings.worklist import nothing_chosen, require_columns, select
from pipeline.runs.published import Run, findings_of, outside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    parser.add_argument("--budget", default="5%", help="how many findings: 200, or a share such as 5%% (default: 5%%)")
    parser.add_argument("--by", type=By, choices=list(By), default=By.RISK, help="what ranks them (default: risk)")
    parser.add_argument(
        "--rates", type=Path, metavar="FILE", help="CSV with hs_code and duty_rate (percent), for revenue"
    )
    parser.add_argument("--per-office", action="store_true", help="the budget holds for each office")
    parser.add_argument(
        "--random-share", default="0%", metavar="SHARE", help="of the budget, drawn at random (default: 0%%)"
    )
    parser.add_argument("--seed", type=flags.SEED, default=0, help="of the draw (default: 0)")
    parser.add_argument(
        "--settled",
        type=Location.parse,
        metavar="FOLDER",
        help="of `hs-audit feedback`: what was settled on earlier nights is not raised again (default: none)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        default=Path(),
        help="folder of worklist.csv and worklist.parquet (default: .)",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the worklist and says what is in it."""
    try:
        rates = read_rates(args.rates)
        share = share_of(args.random_share)
        selection = Selection(args.budget, args.by, args.per_office, share, args.seed, rates)
    except ValueError as error:
        raise UsageError(str(error)) from error
    published = run_of(args)
    parts = findings_of(published)
    try:
        with opened(parts[0], published.stores) as file:
            require_columns(selection, file.schema_arrow.names)
        raised = _raised(published, parts, selection, args.settled)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"the findings in {args.published} cannot be read: {error}") from error
    folder = outside(published, args.output)
    try:
        write_worklist(raised.worklist, folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    worklist, withheld = raised.worklist, _withheld(published)
    args.answer |= {
        "findings": worklist.num_rows,
        "cases": len(set(worklist["case"].to_pylist())),
        "chosen_by": Counter(worklist["chosen_by"].to_pylist()),
        "settled": len(raised.settled),
        "without_a_stake": worklist["revenue"].null_count if rates else 0,
        "withheld": withheld,
        "written": [folder / f"worklist.{suffix}" for suffix in ("csv", "xlsx", "parquet")],
    }
    _say(args.answer, PlainConsole())
    return 3 if withheld else 0


def _raised(run: Run, parts: list[Location], selection: Selection, folder: Location | None) -> Raised:
    if _withheld(run):
        return Raised(nothing_chosen(parts, run.stores))
    if folder is None:
        return Raised(select(parts, selection, run.stores))
    settled = read_settled(folder, date.fromisoformat(run.manifest["run_date"]), run.stores)
    return raise_findings(parts, selection, settled, looks_in(Audited.of(run.manifest)), run.stores)


def _withheld(run: Run) -> str | None:
    """Why there is no worklist of a run; None where there is one."""
    return run.manifest.get("selftest", {}).get("withheld")  # an older run was not tested


def _say(chosen: Mapping[str, Any], console: Console) -> None:
    how = ", ".join(
        f"{count} by {name}" if name != "random" else f"{count} at random"
        for name, count in chosen["chosen_by"].items()
    )
    if chosen["withheld"]:
        console.print(chosen["withheld"], soft_wrap=True)
    console.print(f"{chosen['findings']} findings in {chosen['cases']} cases: {how or 'none'}")
    if chosen["settled"]:
        console.print(f"{counted(chosen['settled'], 'finding')} left out, as their matter is settled")
    if unknown := chosen["without_a_stake"]:
        console.print(f"{unknown} of them without a stake: risk, value or a rate is missing")
    console.print(str(chosen["written"][0]), soft_wrap=True)
