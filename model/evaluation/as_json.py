"""An evaluation as JSON knows it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hs.proportions import Estimate, Rate
from model.evaluation.changes import Changes
from model.evaluation.flag import Flag
from model.evaluation.metrics import BUDGETS
from model.evaluation.promises import over_models
from model.evaluation.summary import Evaluation
from model.evaluation.unknown import UnknownGoods


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON knows it."""
    return {
        "name": evaluation.name,
        "cases": evaluation.cases,
        **kept_as_json(evaluation),
        "top": {
            str(level): {str(k): _rate(rate) for k, rate in measured.top.items()}
            for level, measured in evaluation.levels.items()
        },
        "calibration_error": evaluation.calibration_error,
        "surprise_nats": evaluation.surprise,
        "macro_f1": evaluation.macro_f1,
        "classes": {
            one.label: {"precision": _rate(one.precision), "recall": _rate(one.recall), "f1": one.f1}
            for one in evaluation.classes
        },
        "confusion": {"classes": [one.label for one in evaluation.classes], "counts": evaluation.confusion.tolist()},
        "inspected": {
            mistake.value: {
                f"{budget:.0%}": dict(zip(("rows", "precision", "recall"), night.at(budget), strict=True))
                for budget in BUDGETS
            }
            for mistake, night in evaluation.nights.items()
        },
    }


def kept_as_json(evaluation: Evaluation) -> dict[str, Any]:
    """What is kept of the promises, and what the probabilities are worth at each level."""
    return {
        "levels": {
            str(level): {
                "calibration_error": measured.reliability.error,
                "calibration_error_plain": measured.reliability.plain,
                "calibration_error_by_chance": measured.reliability.by_chance,
                "augrc": measured.augrc,
            }
            for level, measured in evaluation.levels.items()
        },
        "wrong_share": evaluation.wrong_share,
        "flag": {mistake.value: _flag(flag) for mistake, flag in evaluation.flags.items()},
        "unknown_goods": _unknown(evaluation.unknown),
    }


def over_models_as_json(evaluations: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """The figures of several models side by side."""
    return [
        {"figure": name, "of": of, "values": found.values, "mean": found.mean, "deviation": found.deviation}
        for (name, of), found in over_models(evaluations).items()
    ]


def changes_as_json(changes: Changes) -> dict[str, Any]:
    """What changed from the first of two models to the second: figures, codes, and the numbers of the cases."""
    return {
        "paired": asdict(changes.paired),
        "levels": {str(level): asdict(found) for level, found in changes.levels.items()},
        "codes": [asdict(one) for one in changes.codes],
        "right_by_second_alone": [asdict(one) for one in changes.won],
        "right_by_first_alone": [asdict(one) for one in changes.lost],
    }


def _flag(flag: Flag) -> dict[str, Any]:
    return {
        "own_thresholds": flag.own_thresholds,
        "precision": flag.precision and asdict(flag.precision),
        "promised_precision": flag.promised_precision,
        "recall": _rate(flag.recall),
        "best_recall": flag.best_recall,
        "recall_by_best": flag.of_best,
        "right_flagged": _rate(flag.right_flagged),
        "right_flagged_at_most": flag.right_flagged_at_most,
    }


def _unknown(found: UnknownGoods) -> dict[str, Any]:
    return {
        "false_alarms": _rate(found.false_alarms),
        "at_most": found.at_most,
        "caught": found.caught and _rate(found.caught),
        "auroc": found.auroc,
    }


def _rate(rate: Rate | Estimate) -> dict[str, Any]:
    low, high = rate.interval
    return {"hits": rate.hits, "of": rate.of, "share": rate.share, "low": low, "high": high}
