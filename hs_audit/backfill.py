"""Several nights after each other, each by itself, and one table of what became of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from rich.console import Console
from rich.table import Table

from hs.errors import AuditError, Interrupted

# The exit code of several nights is that of the worst: who waits for 0 must look at it first.
_FROM_BEST_TO_WORST = (0, 3, 7, 4, 5, 8, 6, 2, Interrupted.exit_code)


@dataclass(frozen=True)
class Outcome:
    """What became of a night: the exit code that it would have alone, and the sentence with it."""

    night: date
    exit_code: int
    sentence: str


def run_nights(
    nights: Iterable[date],
    audit: Callable[[date], tuple[int, str]],
    is_published: Callable[[date], bool],
    again: bool,
    console: Console,
    tell: Callable[[Outcome], object] = lambda outcome: None,
) -> int:
    """Audits night after night; one that fails does not keep the next from its turn.

    Args:
        nights: in the order in which they are audited.
        audit: night → exit code and sentence; may raise an `AuditError`.
        is_published: whether a night is there already: it is passed over.
        again: audit also those that are there.
        console: for a line after each night, and the table.
        tell: is told of each night, too.

    Returns:
        The worst of the exit codes.
    """
    outcomes: list[Outcome] = []
    try:
        for night in nights:
            if not again and is_published(night):
                outcomes.append(Outcome(night, 0, "published already; --again audits it anew"))
                continue
            outcomes.append(_outcome_of(night, audit))
            console.print(f"{night}: {outcomes[-1].sentence}", soft_wrap=True)
            if outcomes[-1].exit_code == Interrupted.exit_code:
                break
    finally:  # also where a bug ends it
        for outcome in outcomes:
            tell(outcome)
        console.print(_table(outcomes))
    return max((outcome.exit_code for outcome in outcomes), key=_FROM_BEST_TO_WORST.index)


def _outcome_of(night: date, audit: Callable[[date], tuple[int, str]]) -> Outcome:
    try:
        return Outcome(night, *audit(night))
    except AuditError as error:
        return Outcome(night, error.exit_code, str(error))
    except KeyboardInterrupt:  # while no run holds the signal
        return Outcome(night, Interrupted.exit_code, "interrupted; nothing was published")


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title=f"{len(outcomes)} nights", title_justify="left", box=None)
    for name in ("night", "exit code", "what became of it"):
        table.add_column(name, justify="right" if name == "exit code" else "left")
    for outcome in outcomes:
        table.add_row(outcome.night.isoformat(), str(outcome.exit_code), outcome.sentence)
    return table
