"""The pages of an evaluation: self-contained files with their plots."""

from collections.abc import Mapping, Sequence

from hs.codes import HSCode
from hs.html import template
from hs.nomenclature import description
from hs.text import counted
from model.cases.reading import Cases
from model.evaluation.changes import MOST_PICTURES, Changes
from model.evaluation.figures import (
    confusion_picture,
    inspected_curve,
    learning_curves,
    phase_words,
    reliability_diagram,
)
from model.evaluation.gallery import Cell, ShownCase
from model.evaluation.metrics import BUDGETS, NIGHTS
from model.evaluation.promises import SUBJECTS, WORDS, over_models, promises, without_own
from model.evaluation.summary import KS, Evaluation
from model.evaluation.tables import difference_words, limit
from model.evaluation.unknown import words_of
from model.exported.predictions import Predictions
from model.training.curves import Curve


def class_name(label: str) -> str:
    """What a class stands for, in words; empty where the nomenclature has none."""
    if label.endswith("*"):
        return f"the rest of {label.rstrip('*')}"
    return description(HSCode(label)) or ""


def evaluation_page(
    model: str,
    cases: Cases,
    said: Predictions,
    evaluations: Sequence[Evaluation],
    gallery: Sequence[Cell] = (),
    curves: Sequence[Curve] = (),
) -> str:
    """The page of one model.

    Args:
        model: which one, for people.
        cases: that it was measured on.
        said: what it said of them.
        evaluations: of the originals, and of all cases.
        gallery: the mistakes of the first of these in pictures.
        curves: how the model learned; nothing is told where none are known.
    """
    pictures = {
        one.name: {
            "inspected": inspected_curve(one.nights),
            "reliability": reliability_diagram({level: found.reliability for level, found in one.levels.items()}),
            "confusion": confusion_picture(one.confusion, [each.label for each in one.classes]),
        }
        for one in evaluations
    }
    notes = f"{len(said.unreadable)} pictures could not be read. " if said.unreadable else ""
    if said.unknown:
        notes += f"Cases of codes that the model does not know were left out: {', '.join(sorted(said.unknown))}. "
    return template("model", "evaluation.html").render(
        model=model,
        cases=cases.path.name,
        facts=f"{counted(len(said.truth), 'case')} of {len(set(said.truth))} of the classifier's {len(said.table)} "
        "classes, each judged by all its pictures together, as in the audit.",
        notes=notes + words_of(evaluations[-1].unknown),
        evaluations=evaluations,
        promises=promises,
        subjects=SUBJECTS,
        limit=limit,
        without_own=without_own,
        kinds=WORDS,
        pictures=pictures,
        gallery=gallery,
        curves=curves,
        learned=learning_curves(curves) if curves else "",
        phases=phase_words(curves),
        names={label: class_name(label) for label in said.table.labels},
        ks=KS,
        budgets=BUDGETS,
        nights=NIGHTS,
    )


def comparison_page(
    cases: Cases,
    models: Sequence[tuple[str, Evaluation, str]],
    changes: Changes | None = None,
    shown: Mapping[int, ShownCase] | None = None,
) -> str:
    """The page of several models side by side.

    Args:
        cases: that they were measured on.
        models: of each its name for people, what it is worth, and where its own page is.
        changes: of two models, what changed from the first to the second.
        shown: the first cases of those that one alone has right, by their numbers.
    """
    labels = {each.label for _, evaluation, _ in models for each in evaluation.classes}
    return template("model", "evaluations.html").render(
        cases=cases.path.name,
        models=models,
        figures=over_models([evaluation for _, evaluation, _ in models]),
        changes=changes,
        shown=shown or {},
        most_shown=MOST_PICTURES,
        difference_words=difference_words,
        names={label: class_name(label) for label in labels},
    )
