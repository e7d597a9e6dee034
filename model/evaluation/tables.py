"""An evaluation as tables of text: for a terminal, and in Markdown for a page of documentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from hs.text import counted
from model.evaluation.changes import Changes
from model.evaluation.intervals import Between
from model.evaluation.paired import Difference
from model.evaluation.promises import WORDS, between, over_models, promises
from model.evaluation.summary import KS, Evaluation


@dataclass(frozen=True)
class TextTable:
    """A table.

    Attributes:
        title: above it.
        header: of the columns.
        rows: of as many cells each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table in Markdown, its title as a line above."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        written = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |" for cells in lines)
        return f"{self.title}\n\n{written}\n"


def tables(one: Evaluation) -> list[TextTable]:
    """What is promised and kept, what the flag finds, and what the codes and their probabilities are worth."""
    share = f"{100 * one.wrong_share:.3g}% declared under a wrong code"
    which = {"all": "", "originals": " (originals)"}[one.name]
    kept = [
        (each.subject, each.kind, limit(each.promised, each.at_most), *_ends(each.found), each.words)
        for each in promises(one)
    ]
    found = [
        (WORDS[mistake], *_ends(between(flag.recall)), _number(flag.best_recall), _number(flag.of_best),
         f"{flag.right_flagged.hits} of {flag.right_flagged.of}")
        for mistake, flag in one.flags.items()
    ]  # fmt: skip
    levels = [
        (str(level), *_ends(Between(at.top[1].share or 0.0, *at.top[1].interval)),
         *(_number(at.top[k].share) for k in KS[1:]), _number(at.reliability.error), f"{at.augrc:.4f}")
        for level, at in one.levels.items()
    ]  # fmt: skip
    return [
        TextTable(f"promised and kept: {counted(one.cases, 'case')}{which}, {share}",
                  ("", "wrong codes", "promised", "here", "95 %", ""), tuple(kept)),
        TextTable("wrong declarations found, and by the best threshold for these cases",
                  ("wrong codes", "found", "95 %", "at best", "of that", "right flagged"), tuple(found)),
        TextTable("the first codes, and their probabilities",
                  ("digits", "first", "95 %", *(f"first {k}" for k in KS[1:]), "calibration", "AUGRC"), tuple(levels)),
    ]  # fmt: skip


_MOST_COLUMNS = 5


def comparison(evaluations: Sequence[Evaluation]) -> TextTable:
    """Several models side by side: the figures of each where these are few, their mean and their deviation."""
    shown = len(evaluations) if len(evaluations) <= _MOST_COLUMNS else 0
    rows = [
        (*name, *map(_number, found.values[:shown]), _number(found.mean), _number(found.deviation))
        for name, found in over_models(evaluations).items()
    ]
    title = f"{len(evaluations)} models on {_cases(evaluations)}: mean and standard deviation over the models"
    return TextTable(title, ("", "", *map(str, range(1, shown + 1)), "mean", "sd"), tuple(rows))


def changes_table(changes: Changes) -> TextTable:
    """What changed from the first of two models to the second on the same cases."""
    paired = changes.paired
    named = {f"first code right, {level} digits": found for level, found in changes.levels.items()}
    named |= {"log-likelihood, nats": paired.likelihood}
    rows = [
        (name, f"{found.mean:+.3f}", f"{found.low:+.3f} to {found.high:+.3f}", difference_words(found))
        for name, found in named.items()
    ]
    title = (
        f"2 less 1 on the same {counted(paired.cases, 'case')}: {paired.only_new} right by 2 alone, "
        f"{paired.only_old} by 1 alone"
    )
    return TextTable(title, ("", "2 less 1", "95 %", ""), tuple(rows))


def difference_words(found: Difference) -> str:
    """Which of two models is better, if that is no chance."""
    return "2 is better" if found.better else "1 is better" if found.worse else "no more than chance"


def _cases(evaluations: Sequence[Evaluation]) -> str:
    least, most = (choose(one.cases for one in evaluations) for choose in (min, max))
    return counted(most, "case") if least == most else f"{least:,} to {counted(most, 'case')}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def limit(promised: float | None, at_most: bool) -> str:
    """A promise in few characters."""
    return "–" if promised is None else f"{'≤' if at_most else '≥'} {promised:.3f}"


def _ends(found: Between | None) -> tuple[str, str]:
    return ("–", "") if found is None else (_number(found.share), f"{found.low:.3f}–{found.high:.3f}")
