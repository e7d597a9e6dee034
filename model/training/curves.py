"""How networks learned: the loss of each epoch, and what held-out pictures say where they are looked at anyway."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from model.measures import top_k

LEARNING_CURVES = "learning_curves.json"  # of `assets.extra`; no part of the card, so that servers need not tell it
_PHASES = ("head", "blocks")
_DIGITS = 5  # that are kept of a figure
_MOST_BYTES = 50_000_000  # a million epochs have fewer


@dataclass(frozen=True)
class HeldOut:
    """What pictures say that a network did not learn from, before calibration.

    Attributes:
        epoch: after which they were looked at, from 1.
        loss: as in training, but without dropout and weights: cross-entropy in nats, with the same label smoothing.
        top_1: share whose first code is right.
    """

    epoch: int
    loss: float
    top_1: float


@dataclass(frozen=True)
class Curve:
    """How one network learned in one phase.

    Attributes:
        fit: which network: `part 1 of 3 held out`, or `all` for the one that learned from all cases.
        phase: `head` or `blocks`.
        losses: mean loss of each epoch, as the network was while it learned.
        held_out: in the order of epochs; empty where nothing was held out, or nobody looked.
    """

    fit: str
    phase: str
    losses: tuple[float, ...]
    held_out: tuple[HeldOut, ...] = ()


def curve_of(
    fit: str, phase: str, losses: np.ndarray, held_out: tuple[np.ndarray, np.ndarray] | None, smoothing: float
) -> Curve:
    """What is kept of a fit.

    Args:
        fit: which network.
        phase: of its training.
        losses: float [epochs].
        held_out: logits float [E, m, C] of pictures that it did not learn from, after each of the last E epochs, and
            their true classes, int [m]; None where there are none.
        smoothing: share of each label that is spread over all classes.
    """
    said, labels = held_out or ((), np.array([], int))
    seen = (
        HeldOut(epoch, _shown(_loss(logits, labels, smoothing)), _shown(top_k(logits, labels, 1)))
        for epoch, logits in enumerate(said, len(losses) - len(said) + 1)
    )
    return Curve(fit, phase, tuple(map(_shown, losses.tolist())), tuple(seen))


def _loss(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    surprise = -log_softmax(logits.astype(np.float64), axis=1)
    of_truth = surprise[np.arange(len(labels)), labels]
    return float(((1 - smoothing) * of_truth + smoothing * surprise.mean(axis=1)).mean())


def _shown(figure: float) -> float:
    return float(f"{figure:.{_DIGITS}g}")


def curves_as_json(curves: Sequence[Curve]) -> str:
    """Curves as `learning_curves.json` has them, one a line; a loss that is no number is null."""
    lines = ",\n".join(json.dumps(_finite(asdict(curve))) for curve in curves)
    return f"[\n{lines}\n]\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def read_curves(version: Path) -> tuple[Curve, ...]:
    """The curves of an exported version; none where it has none, as older ones, or what is there is something else."""
    path = version / "assets.extra" / LEARNING_CURVES
    try:
        if path.stat().st_size > _MOST_BYTES:
            return ()
        return tuple(_parsed(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return ()


def _parsed(written: Any) -> Iterator[Curve]:
    for curve in written:
        losses = tuple(_number(loss) for loss in curve["losses"])
        held_out = tuple(
            HeldOut(int(each["epoch"]), _number(each["loss"]), _number(each["top_1"])) for each in curve["held_out"]
        )
        if losses and curve["phase"] in _PHASES:
            yield Curve(str(curve["fit"]), curve["phase"], losses, held_out)


def _number(written: Any) -> float:
    return math.nan if written is None else float(written)
