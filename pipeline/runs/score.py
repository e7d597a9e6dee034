"""A run against what is known to be true.

Kind `wrong` is what the flag should find; `outside` and `bad code` are left out of both sides, as no picture can decide
them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from hs.codes import HSCode
from hs.proportions import Estimate, Rate, estimate
from hs.ranking import budget_rows
from hs.revenue import Stake, number, stake
from pipeline.findings.finding import SOURCE_ROW, Finding, SourceRow, rows_of
from pipeline.findings.worklist import RANDOM
from pipeline.runs.truth import Item, Truth, matched

_LEFT_OUT = frozenset({"outside", "bad code"})
_BUDGETS = ("1%", "2%", "5%", "10%")
_RISK_BINS = 10

_T = TypeVar("_T")
Known = list[tuple[Finding, Truth]]


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
        drawn: wrong ones among those that the worklist drew at random, each weighed by how likely it was to be drawn;
            None where it drew none that the truth names.
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
    drawn: Estimate | None
    top_1: dict[int, Rate]
    kinds: dict[str, Counter[str]]
    offices: dict[str, Group]
    chapters: dict[str, Group]


def drawn_in(worklist: pa.Table) -> dict[SourceRow, float]:
    """The rows that a worklist drew at random, and how likely each was to be drawn.

    A worklist of an earlier version does not say how likely; its rows count alike.
    """
    columns = ["chosen_by", "draw_probability", *SOURCE_ROW]
    lines = (row.values() for row in rows_of(worklist.select(columns)))
    return {SourceRow(*source): likely or 1.0 for chosen_by, likely, *source in lines if chosen_by == RANDOM}


def score(
    findings: Iterable[Finding],
    truth: Mapping[Item, Truth],
    rates: Mapping[str, float],
    drawn: Mapping[SourceRow, float],
) -> Score:
    """Compares findings with the truth; findings that it does not name are left out.

    Args:
        findings: of a run.
        truth: declaration and item → its line.
        rates: digits of a code or prefix → duty in percent.
        drawn: row that was drawn at random → the probability with which it was.

    Raises:
        UsageError: if the truth names none of the findings, or does not say which.
    """
    known = matched(findings, truth)
    counted = [(finding, line) for finding, line in known if line.kind not in _LEFT_OUT]
    wrong = sum(line.is_wrong for _, line in counted)
    flag = _group(counted)
    return Score(
        len(counted),
        Rate(wrong, len(counted)),
        flag.precision,
        flag.recall,
        {budget: _at_budget(counted, budget_rows(budget, len(counted)), wrong) for budget in _BUDGETS},
        _revenue_at_budget(counted, rates),
        _risk_error(counted),
        _drawn(known, drawn),
        {level: _top_1(known, level) for level in (6, 4, 2)},
        _verdicts_by_kind(known),
        _groups(counted, lambda finding: finding.kept.get("office")),
        _groups(counted, lambda finding: finding.declared and finding.declared.digits[:2]),
    )


def _verdicts_by_kind(known: Known) -> dict[str, Counter[str]]:
    kinds: dict[str, Counter[str]] = {}
    for finding, line in known:
        kinds.setdefault(line.kind, Counter())[finding.verdict] += 1
    return kinds


def _drawn(known: Known, drawn: Mapping[SourceRow, float]) -> Estimate | None:
    at_random = [(line.is_wrong, drawn[finding.source]) for finding, line in known if finding.source in drawn]
    return estimate(at_random) if at_random else None


def _group(counted: Known) -> Group:
    found = sum(line.is_wrong for finding, line in counted if finding.mismatch)
    flagged, wrong = sum(finding.mismatch for finding, _ in counted), sum(line.is_wrong for _, line in counted)
    return Group(len(counted), Rate(found, flagged), Rate(found, wrong))


def _groups(counted: Known, key: Callable[[Finding], object]) -> dict[str, Group]:
    members: dict[str, Known] = {}
    for finding, line in counted:
        name = key(finding)
        if name is not None:
            members.setdefault(str(name), []).append((finding, line))
    return {name: _group(mine) for name, mine in sorted(members.items(), key=lambda pair: (-len(pair[1]), pair[0]))}


def _risk_error(counted: Known) -> float | None:
    pairs = [(finding.risk, line.is_wrong) for finding, line in counted if finding.risk is not None]
    if not pairs:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for risk, is_wrong in pairs:
        # A risk of 1 belongs to the last bin.
        bins.setdefault(min(int(risk * _RISK_BINS), _RISK_BINS - 1), []).append((risk, is_wrong))
    return sum(abs(sum(risk - is_wrong for risk, is_wrong in mine)) for mine in bins.values()) / len(pairs)


def _revenue_at_budget(counted: Known, rates: Mapping[str, float]) -> dict[str, tuple[float, float]] | None:
    """Of the duty that all wrong codes move, how much lies in the first of each order."""
    duties = [_duty(finding, line, rates) for finding, line in counted] if rates else []
    total = sum(duties)
    if not total:
        return None

    def share(order: Sequence[float | None], rows: int) -> float:
        return sum(_first(rows, duties, order)) / total

    by_risk = [finding.risk for finding, _ in counted]
    stakes = [_stake(finding, finding.risk, finding.recommended, rates) for finding, _ in counted]
    by_revenue = [at_stake.revenue if at_stake else None for at_stake in stakes]
    rows = {budget: budget_rows(budget, len(counted)) for budget in _BUDGETS}
    return {budget: (share(by_risk, count), share(by_revenue, count)) for budget, count in rows.items()}


def _duty(finding: Finding, line: Truth, rates: Mapping[str, float]) -> float:
    """What a wrong code truly moves."""
    true = [line.true_hs_code] if line.is_wrong and line.true_hs_code else []
    at_stake = _stake(finding, 1.0, true, rates) if true else None  # 1.0: it is known to be wrong
    return at_stake.revenue if at_stake else 0.0


def _stake(
    finding: Finding, risk: float | None, recommended: Sequence[HSCode], rates: Mapping[str, float]
) -> Stake | None:
    return stake(
        risk,
        number(finding.kept.get("value")),
        finding.declared.digits if finding.declared else None,
        number(finding.kept.get("duty_rate")),
        [code.digits for code in recommended],
        rates,
    )


def _at_budget(counted: Known, rows: int, wrong: int) -> tuple[Rate, Rate]:
    """Exactly `rows` findings are opened, by falling risk."""
    opened = _first(rows, [line for _, line in counted], [finding.risk for finding, _ in counted])
    hits = sum(line.is_wrong for line in opened)
    return Rate(hits, rows), Rate(hits, wrong)


def _first(rows: int, values: Sequence[_T], order: Sequence[float | None]) -> list[_T]:
    """The first by falling number; those without one last, equal ones in the order of the archive."""
    keys = [-1.0 if key is None else key for key in order]
    ranked = sorted(zip(values, keys, strict=True), key=lambda pair: -pair[1])
    return [value for value, _ in ranked[:rows]]


def _top_1(known: Known, level: int) -> Rate:
    pairs = [
        (finding.recommended[0].digits, line.true_hs_code.digits)
        for finding, line in known
        if finding.recommendations and line.true_hs_code
    ]
    return Rate(sum(best[:level] == true[:level] for best, true in pairs), len(pairs))
