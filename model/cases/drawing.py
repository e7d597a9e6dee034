"""A data set from cases to files: they are looked at, each goes to a side, and the sides are written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.cases.data_sets import (
    PRESETS,
    Counts,
    Looked,
    Plan,
    Sides,
    choose_sides,
    classes_of_preset,
    look,
    write,
)
from model.cases.reading import Cases
from model.task import Task

Planned = tuple[Plan, dict[str, str]]
"""How much of which class, and the class of each code."""


@dataclass(frozen=True)
class DataSet:
    """A data set as it was drawn.

    Attributes:
        looked: what was seen of the cases.
        plan: how much of which class there should be.
        sides: which case went where.
        counts: class → side → originals and generated pictures.
    """

    looked: Looked
    plan: Plan
    sides: Sides
    counts: Counts


def draw(
    cases: Cases,
    folder: Path,
    plan_of: Callable[[Looked], Planned],
    task: Task,
    *,
    exact: bool,
    seed: int,
    side_px: int,
    excluded: frozenset[str] = frozenset(),
) -> DataSet:
    """Draws train.parquet and test.parquet.

    Args:
        cases: to draw from.
        folder: for the files; made if missing.
        plan_of: decides on the plan once it is known what can be read.
        task: tells how far it is.
        exact: whether the plan's counts are met or refused; a split is met as nearly as whole groups allow.
        seed: of the draw and the variants.
        side_px: of generated pictures.
        excluded: ids of cases to leave out.

    Raises:
        UsageError: if there are too few cases.
    """
    with task("looking at the cases", cases.count) as advance:
        looked = look(cases, excluded, advance)
    plan, class_of = plan_of(looked)
    sides = choose_sides(looked, plan, class_of, seed, exact)
    folder.mkdir(parents=True, exist_ok=True)
    with task("writing", cases.count) as advance:
        counts = write(folder, cases, looked, plan, sides, side_px, seed, advance)
    return DataSet(looked, plan, sides, counts)


def planned_as(preset: str) -> Callable[[Looked], Planned]:
    """The plan of one of the paper's data sets, for `draw`."""
    return lambda looked: (PRESETS[preset], classes_of_preset(looked, PRESETS[preset]))
