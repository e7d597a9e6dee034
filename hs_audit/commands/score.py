"""`hs-audit score`: a run against what is known to be true.

The truth is a CSV file with the columns declaration_id, kind and true_hs_code, and item_no where declarations have
several items. Kind `wrong` is what the flag should find; `outside` and `bad code` are left out of both sides, as no
picture can decide them.
"""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hs.proportions import Estimate, Rate
from hs.tables import read_rates
from hs_audit.run_argument import add_run_argument, run_of
from hs_audit.terminal import PlainConsole
from pipeline.runs.published import read_findings, read_worklist
from pipeline.runs.score import Group, Score, drawn_in, score
from pipeline.runs.truth import read_truth

_MOST_GROUPS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    parser.add_argument(
        "--truth", type=Path, required=True, help="CSV with declaration_id, kind, true_hs_code, and item_no if need be"
    )
    parser.add_argument(
        "--rates", type=Path, metavar="FILE", help="CSV with hs_code and duty_rate (percent), for revenue"
    )
    parser.add_argument(
        "--worklist", metavar="FILE", help="worklist.parquet with a random share (default: the run's own)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the score."""
    published = run_of(args)
    truth, rates = read_truth(args.truth), read_rates(args.rates)
    findings = read_findings(published, {declaration for declaration, _ in truth})
    worklist = read_worklist(args.worklist or published.folder / "worklist.parquet", published.stores)
    measured = score(findings, truth, rates, drawn_in(worklist))
    args.answer.update(_as_json(measured))
    _print(measured, PlainConsole())
    return 0


def _print(measured: Score, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    say(f"{measured.counted} findings counted; declared under a wrong code: {_with_interval(measured.wrong)}")
    say(f"flag: precision {_with_interval(measured.precision)}")
    say(f"      recall {_with_interval(measured.recall)}")
    for level, rate in measured.top_1.items():
        say(f"first recommendation right at {level} digits: {_with_interval(rate)}")
    if measured.risk_error is not None:
        say(f"risk: {measured.risk_error:.3f} away from the share of wrong ones, on average")
    if measured.drawn:
        say(f"wrong among those drawn at random: {_with_interval(measured.drawn)}")
    console.print(_budgets(measured))
    verdicts = ("agrees", "differs", "unsure", "cannot_judge")
    kinds = Table("kind", *verdicts, title="verdicts", title_justify="left")
    for kind, counts in sorted(measured.kinds.items()):
        kinds.add_row(kind, *(str(counts[verdict]) for verdict in verdicts))
    console.print(kinds)
    for name, groups in (("office", measured.offices), ("chapter", measured.chapters)):
        if groups:
            console.print(_flag_by(name, groups))


def _budgets(measured: Score) -> Table:
    revenue = measured.revenue_at_budget
    more = ("duty found by risk", "by revenue") if revenue else ()
    table = Table("opened", "wrong among them", "of all wrong ones", *more, title="by risk", title_justify="left")
    for budget, (precision, recall) in measured.at_budget.items():
        table.add_row(
            budget, str(precision), str(recall), *(f"{share:.0%}" for share in (revenue or {}).get(budget, ()))
        )
    return table


def _flag_by(name: str, groups: dict[str, Group]) -> Table:
    title = f"the flag by {name}" + (
        f", the first {_MOST_GROUPS} of {len(groups)}" if len(groups) > _MOST_GROUPS else ""
    )
    table = Table(name, "findings", "precision", "recall", title=title, title_justify="left")
    for key, group in list(groups.items())[:_MOST_GROUPS]:
        table.add_row(key, str(group.counted), str(group.precision), str(group.recall))
    return table


def _with_interval(rate: Rate | Estimate) -> str:
    low, high = rate.interval
    return f"{rate}, {low:.3f} to {high:.3f} at 95 %" if rate.of else str(rate)


def _as_json(measured: Score) -> dict[str, Any]:
    def plain(value: object) -> object:
        if isinstance(value, Rate | Estimate):
            return {"hits": value.hits, "of": value.of, "share": value.share, "interval_95": value.interval}
        if isinstance(value, Group):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Mapping):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, tuple):
            return [plain(each) for each in value]
        return value

    return {field.name: plain(getattr(measured, field.name)) for field in fields(measured)}
