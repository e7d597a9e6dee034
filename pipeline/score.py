"""`hs-audit score`: a run against what is known to be true.

The truth is a CSV file with the columns declaration_id, kind and true_hs_code. Kind `wrong` is what the flag should
find; `outside` and `bad code` are left out of both sides, as no picture can decide them.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from pipeline.published import findings_of, read_manifest
from pipeline.rules.errors import UsageError
from pipeline.rules.selection import budget_rows
from pipeline.rules.statistics import Rate
from pipeline.tables import read_lines

_LEFT_OUT = frozenset({"outside", "bad code"})
_BUDGETS = ("1%", "2%", "5%", "10%")
_COLUMNS = ["declaration_id", "item_no", "verdict", "reason", "mismatch", "risk", "recommendations"]


@dataclass(frozen=True)
class Score:
    """What a run is worth.

    Attributes:
        counted: findings on both sides.
        wrong: of them declared under a wrong code.
        precision: wrong ones among the flagged.
        recall: flagged ones among the wrong.
        at_budget: budget → (wrong ones among those inspected, of the wrong ones how many are among them), by risk.
        top_1: level → findings with pictures whose first recommendation is right to that digit.
        kinds: kind → verdict → count.
    """

    counted: int
    wrong: int
    precision: Rate
    recall: Rate
    at_budget: dict[str, tuple[Rate, Rate]]
    top_1: dict[int, Rate]
    kinds: dict[str, Counter[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a published run_date=… folder")
    parser.add_argument("--truth", type=Path, required=True, help="CSV with declaration_id, kind and true_hs_code")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    """Prints the score."""
    truth = read_truth(args.truth)
    measured = score(read_findings(args.run), truth)
    if args.json:
        print(json.dumps(_as_json(measured), indent=2))
    else:
        _print(measured, Console())
    return 0


def read_truth(path: Path) -> dict[str, dict[str, str]]:
    """declaration_id → its line of the truth file.

    Raises:
        UsageError: if the file is missing, lacks a column, or names a declaration twice.
    """
    truth: dict[str, dict[str, str]] = {}
    for place, line in read_lines(path, ("declaration_id", "kind", "true_hs_code")):
        if line["declaration_id"] in truth:
            raise UsageError(f"{place}: {line['declaration_id']!r} stands there twice")
        truth[line["declaration_id"]] = line
    return truth


def read_findings(folder: Path) -> list[dict]:
    """The findings of a published run, as far as scoring needs them.

    Raises:
        UsageError: if the folder is no published run.
    """
    read_manifest(folder)
    return [
        finding for part in findings_of(folder) for finding in pq.ParquetFile(part).read(columns=_COLUMNS).to_pylist()
    ]


def score(findings: list[dict], truth: dict[str, dict[str, str]]) -> Score:
    """Compares findings with the truth; findings that it does not name are left out.

    Raises:
        UsageError: if the truth names none of the findings.
    """
    known = [(finding, truth[finding["declaration_id"]]) for finding in findings if finding["declaration_id"] in truth]
    if not known:
        raise UsageError("the truth names none of the run's declarations")
    kinds: dict[str, Counter[str]] = {}
    for finding, line in known:
        kinds.setdefault(line["kind"], Counter())[finding["verdict"]] += 1
    counted = [(finding, line["kind"] == "wrong") for finding, line in known if line["kind"] not in _LEFT_OUT]
    wrong = sum(is_wrong for _, is_wrong in counted)
    found = sum(is_wrong for finding, is_wrong in counted if finding["mismatch"])
    return Score(
        len(counted),
        wrong,
        Rate(found, sum(finding["mismatch"] for finding, _ in counted)),
        Rate(found, wrong),
        {budget: _at_budget(counted, budget_rows(budget, len(counted)), wrong) for budget in _BUDGETS},
        {level: _top_1(known, level) for level in (6, 4, 2)},
        kinds,
    )


def _at_budget(counted: list[tuple[dict, bool]], rows: int, wrong: int) -> tuple[Rate, Rate]:
    """Exactly `rows` findings are opened, by falling risk; those without risk last, in the order of the archive."""
    ranked = sorted(counted, key=lambda pair: -1.0 if pair[0]["risk"] is None else pair[0]["risk"], reverse=True)
    hits = sum(is_wrong for _, is_wrong in ranked[:rows])
    return Rate(hits, rows), Rate(hits, wrong)


def _top_1(known: list[tuple[dict, dict[str, str]]], level: int) -> Rate:
    recommended = [
        (finding["recommendations"][0]["hs_code"], line["true_hs_code"])
        for finding, line in known
        if finding["recommendations"] and line["true_hs_code"]
    ]
    return Rate(sum(best[:level] == true[:level] for best, true in recommended), len(recommended))


def _print(measured: Score, console: Console) -> None:
    console.print(f"{measured.counted} findings counted, {measured.wrong} of them declared under a wrong code")
    console.print(f"flag: precision {measured.precision}, recall {measured.recall}", highlight=False)
    for level, rate in measured.top_1.items():
        console.print(f"first recommendation right at {level} digits: {rate}", highlight=False)
    budgets = Table("opened", "wrong among them", "of all wrong ones", title="by risk", title_justify="left")
    for budget, (precision, recall) in measured.at_budget.items():
        budgets.add_row(budget, str(precision), str(recall))
    console.print(budgets)
    verdicts = ("agrees", "differs", "unsure", "cannot_judge")
    kinds = Table("kind", *verdicts, title="verdicts", title_justify="left")
    for kind, counts in sorted(measured.kinds.items()):
        kinds.add_row(kind, *(str(counts[verdict]) for verdict in verdicts))
    console.print(kinds)


def _as_json(measured: Score) -> dict:
    def rate(value: Rate) -> dict:
        return {"hits": value.hits, "of": value.of, "share": value.share}

    return {
        "counted": measured.counted,
        "wrong": measured.wrong,
        "precision": rate(measured.precision),
        "recall": rate(measured.recall),
        "at_budget": {k: {"precision": rate(p), "recall": rate(r)} for k, (p, r) in measured.at_budget.items()},
        "top_1": {str(level): rate(value) for level, value in measured.top_1.items()},
        "kinds": {kind: dict(counts) for kind, counts in measured.kinds.items()},
    }
