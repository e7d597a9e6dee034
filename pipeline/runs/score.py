"""A run against what is known to be true.

The truth is a CSV file with the columns declaration_id, kind and true_hs_code. Kind `wrong` is what the flag should
find; `outside` and `bad code` are left out of both sides, as no picture can decide them.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hs.errors import UsageError
from hs.proportions import Rate
from hs.ranking import budget_rows
from hs.revenue import number, stake
from hs.tables import known_code, read_lines
from pipeline.findings.worklist import RANDOM
from pipeline.runs.published import findings_of, read_manifest

_LEFT_OUT = frozenset({"outside", "bad code"})
_BUDGETS = ("1%", "2%", "5%", "10%")
_COLUMNS = (
    "declaration_id", "declared_hs_code_normalized", "verdict", "reason", "mismatch", "risk", "recommendations",
    "office", "value", "duty_rate",
)  # fmt: skip
_RISK_BINS = 10

Truth = dict[str, str]
Known = list[tuple[dict[str, Any], Truth]]


@dataclass(frozen=True)
class Group:
    """What the flag is worth for one office or chapter."""

    counted: int
    precision: Rate
    recall: Rate


@dataclass(frozen=True)
class Score:
    """What a run is worth.

    Attributes:
        counted: findings on both sides.
        wrong: of them declared under a wrong code; where the truth is of a fair sample, their share is what
            `assumed_wrong_share` should be.
        precision: wrong ones among the flagged.
        recall: flagged ones among the wrong.
        at_budget: budget → (wrong ones among those inspected, of the wrong ones how many are among them), by risk.
        revenue_at_budget: budget → share of the duty at stake in all wrong ones that is found, by risk and by revenue;
            None without rates, or where nothing is at stake.
        risk_error: mean distance of risk from the share of wrong ones, over ten bins; None where nothing has a risk.
        drawn: wrong ones among those that the worklist drew at random; None where it drew none that the truth names.
        top_1: level → findings with pictures whose first recommendation is right to that digit.
        kinds: kind → verdict → count.
        offices, chapters: the flag in each, most findings first.
    """

    counted: int
    wrong: Rate
    precision: Rate
    recall: Rate
    at_budget: dict[str, tuple[Rate, Rate]]
    revenue_at_budget: dict[str, tuple[float, float]] | None
    risk_error: float | None
    drawn: Rate | None
    top_1: dict[int, Rate]
    kinds: dict[str, Counter[str]]
    offices: dict[str, Group]
    chapters: dict[str, Group]


def read_truth(path: Path) -> dict[str, Truth]:
    """declaration_id → its line of the truth file.

    Raises:
        UsageError: if the file is missing, lacks a column, names a declaration twice or a code that does not exist.
    """
    truth: dict[str, Truth] = {}
    for place, line in read_lines(path, ("declaration_id", "kind", "true_hs_code")):
        if line["declaration_id"] in truth:
            raise UsageError(f"{place}: {line['declaration_id']!r} stands there twice")
        if line["true_hs_code"]:
            line["true_hs_code"] = known_code(line["true_hs_code"], place)
        truth[line["declaration_id"]] = line
    return truth


def read_findings(folder: Path) -> list[dict[str, Any]]:
    """The findings of a published run, as far as scoring needs them.

    Raises:
        UsageError: if the folder is no published run.
    """
    read_manifest(folder)
    findings: list[dict[str, Any]] = []
    for part in findings_of(folder):
        file = pq.ParquetFile(part)
        findings += file.read(columns=[name for name in _COLUMNS if name in file.schema_arrow.names]).to_pylist()
    return findings


def read_drawn(worklist: Path) -> set[str]:
    """The ids that a worklist drew at random.

    Raises:
        UsageError: if it cannot be read.
    """
    try:
        table = pq.ParquetFile(worklist).read(["declaration_id", "chosen_by"])
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{worklist} cannot be read: {error}") from error
    return {row["declaration_id"] for row in table.to_pylist() if row["chosen_by"] == RANDOM}


def score(
    findings: list[dict[str, Any]], truth: Mapping[str, Truth], rates: Mapping[str, float], drawn: Set[str]
) -> Score:
    """Compares findings with the truth; findings that it does not name are left out.

    Args:
        findings: rows, with the columns that scoring needs.
        truth: declaration_id → its line.
        rates: digits of a code or prefix → duty in percent.
        drawn: ids that were drawn at random.

    Raises:
        UsageError: if the truth names none of the findings.
    """
    known = [(finding, truth[finding["declaration_id"]]) for finding in findings if finding["declaration_id"] in truth]
    if not known:
        raise UsageError("the truth names none of the run's declarations")
    kinds: dict[str, Counter[str]] = {}
    for finding, line in known:
        kinds.setdefault(line["kind"], Counter())[finding["verdict"]] += 1
    counted = [(finding, line) for finding, line in known if line["kind"] not in _LEFT_OUT]
    wrong = sum(_is_wrong(line) for _, line in counted)
    flag = _group(counted)
    at_random = [line for finding, line in known if finding["declaration_id"] in drawn]
    return Score(
        len(counted),
        Rate(wrong, len(counted)),
        flag.precision,
        flag.recall,
        {budget: _at_budget(counted, budget_rows(budget, len(counted)), wrong) for budget in _BUDGETS},
        _revenue_at_budget(counted, rates),
        _risk_error(counted),
        Rate(sum(map(_is_wrong, at_random)), len(at_random)) if at_random else None,
        {level: _top_1(known, level) for level in (6, 4, 2)},
        kinds,
        _groups(counted, lambda finding: finding.get("office")),
        _groups(counted, lambda finding: (finding["declared_hs_code_normalized"] or "")[:2] or None),
    )


def _is_wrong(line: Truth) -> bool:
    return line["kind"] == "wrong"


def _group(counted: Known) -> Group:
    found = sum(_is_wrong(line) for finding, line in counted if finding["mismatch"])
    flagged, wrong = sum(finding["mismatch"] for finding, _ in counted), sum(_is_wrong(line) for _, line in counted)
    return Group(len(counted), Rate(found, flagged), Rate(found, wrong))


def _groups(counted: Known, key: Callable[[dict[str, Any]], str | None]) -> dict[str, Group]:
    members: dict[str, Known] = {}
    for finding, line in counted:
        name = key(finding)
        if name is not None:
            members.setdefault(str(name), []).append((finding, line))
    return {name: _group(mine) for name, mine in sorted(members.items(), key=lambda pair: (-len(pair[1]), pair[0]))}


def _risk_error(counted: Known) -> float | None:
    pairs = [(finding["risk"], _is_wrong(line)) for finding, line in counted if finding["risk"] is not None]
    if not pairs:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for risk, is_wrong in pairs:
        bins.setdefault(min(int(risk * _RISK_BINS), _RISK_BINS - 1), []).append((risk, is_wrong))
    return sum(abs(sum(risk - is_wrong for risk, is_wrong in mine)) for mine in bins.values()) / len(pairs)


def _revenue_at_budget(counted: Known, rates: Mapping[str, float]) -> dict[str, tuple[float, float]] | None:
    """Of the duty that all wrong codes move, how much lies in the first of each order."""
    if not rates:
        return None
    by_risk, by_revenue = [], []
    for finding, line in counted:
        declared, declared_rate = finding["declared_hs_code_normalized"], number(finding.get("duty_rate"))
        value, risk = number(finding.get("value")), finding["risk"]
        recommended = [best["hs_code"] for best in finding["recommendations"]]
        expected = stake(risk, value, declared, declared_rate, recommended, rates)
        true = stake(1.0, value, declared, declared_rate, [line["true_hs_code"]], rates) if _is_wrong(line) else None
        duty = true.revenue if true else 0.0
        by_risk.append((-1.0 if risk is None else risk, duty))
        by_revenue.append((-1.0 if expected is None else expected.revenue, duty))
    total = sum(duty for _, duty in by_risk)
    if not total:
        return None

    def share(ranked: list[tuple[float, float]], rows: int) -> float:
        first = sorted(ranked, key=lambda pair: -pair[0])[:rows]
        return sum(duty for _, duty in first) / total

    rows = {budget: budget_rows(budget, len(counted)) for budget in _BUDGETS}
    return {budget: (share(by_risk, count), share(by_revenue, count)) for budget, count in rows.items()}


def _at_budget(counted: Known, rows: int, wrong: int) -> tuple[Rate, Rate]:
    """Exactly `rows` findings are opened, by falling risk; those without risk last, in the order of the archive."""
    ranked = sorted(counted, key=lambda pair: -1.0 if pair[0]["risk"] is None else pair[0]["risk"], reverse=True)
    hits = sum(_is_wrong(line) for _, line in ranked[:rows])
    return Rate(hits, rows), Rate(hits, wrong)


def _top_1(known: Known, level: int) -> Rate:
    recommended = [
        (finding["recommendations"][0]["hs_code"], line["true_hs_code"])
        for finding, line in known
        if finding["recommendations"] and line["true_hs_code"]
    ]
    return Rate(sum(best[:level] == true[:level] for best, true in recommended), len(recommended))
