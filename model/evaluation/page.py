"""The page of an evaluation: one self-contained file with its plots."""

from collections.abc import Sequence

from hs.codes import HSCode
from hs.html import template
from hs.nomenclature import description
from model.cases.reading import Cases
from model.evaluation.figures import confusion_picture, inspected_curve, reliability_diagram
from model.evaluation.metrics import BUDGETS, NIGHTS
from model.evaluation.summary import KS, Evaluation, UnknownGoods, words_of
from model.exported.predictions import Predictions
from model.measures import reliability


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
    unknown: UnknownGoods | None,
    wrong_share: float,
) -> str:
    """The page.

    Args:
        model: which one, for people.
        cases: that it was measured on.
        said: what it said of them.
        evaluations: of the originals, and of all cases.
        unknown: how well it tells goods that it does not know.
        wrong_share: of the simulated nights.
    """
    pictures = {}
    for one in evaluations:
        rows = said.only(~said.generated) if one.name == "originals" else said
        pictures[one.name] = {
            "inspected": inspected_curve(one.nights),
            "reliability": reliability_diagram(
                reliability(rows.probabilities.max(axis=1), rows.probabilities.argmax(axis=1) == rows.labels)
            ),
            "confusion": confusion_picture(one.confusion, [each.label for each in one.classes]),
        }
    notes = f"{len(said.unreadable)} pictures could not be read. " if said.unreadable else ""
    if unknown:
        notes += f"{words_of(unknown)} "
    if said.unknown:
        notes += f"Cases of codes that the model does not know were left out: {', '.join(sorted(said.unknown))}."
    return template("model", "evaluation.html").render(
        model=model,
        cases=cases.path.name,
        facts=f"{len(said.truth)} cases of {len(set(said.truth))} of the classifier's {len(said.table)} classes, "
        "each judged by all its pictures together, as in the audit.",
        notes=notes,
        evaluations=evaluations,
        pictures=pictures,
        names={label: class_name(label) for label in said.table.labels},
        ks=KS,
        budgets=BUDGETS,
        wrong_share=wrong_share,
        nights=NIGHTS,
    )
