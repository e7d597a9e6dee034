"""How likely each line of a worklist was to be on it, so that what officers decide can be weighed."""

from collections.abc import Iterable

import pyarrow as pa

from hs.ranking import By, Place, place
from pipeline.feedback.records import Chances
from pipeline.findings.worklist import RANDOM, Chosen, chosen_in


def chances_of(worklist: pa.Table) -> Chances:
    """By what each row was chosen, and with which probability.

    What is ranked is there for certain. So is what was drawn and stands no lower than the last that was ranked: without
    the draw it would have been ranked. Any other row had the probability of the draw; a worklist of an earlier version
    does not tell it, and of such a row nothing is said.
    """
    lines = list(chosen_in(worklist))
    offices = {each.finding.kept.get("office") for each in lines if each.draw_probability is not None}
    per_office = len({each.draw_probability for each in lines if each.draw_probability}) > 1 and len(offices) > 1
    members: dict[object, list[Chosen]] = {}
    for line in lines:
        members.setdefault(str(line.finding.kept.get("office")) if per_office else None, []).append(line)
    found = {}
    for mine in members.values():
        last = _last_ranked(mine)
        for line in mine:
            likely = 1.0 if line.chosen_by != RANDOM or _not_after(_place(line), last) else line.draw_probability
            if likely:
                found[line.finding.source] = (line.chosen_by, likely)
    return found


def _last_ranked(lines: Iterable[Chosen]) -> Place | None:
    ranked = [at for line in lines if line.chosen_by != RANDOM and (at := _place(line))]
    return max(ranked, key=_order, default=None)


def _place(line: Chosen) -> Place | None:
    finding = line.finding
    best = finding.recommendations[0].probability if finding.recommendations else None
    revenue = line.revenue if line.chosen_by == By.REVENUE else None
    return place(finding.mismatch, finding.reason, finding.risk, best, revenue, finding.shares_picture)


def _not_after(at: Place | None, last: Place | None) -> bool:
    return at is not None and last is not None and _order(at) <= _order(last)


def _order(at: Place) -> tuple[int, float]:
    return at.tier, -at.score
