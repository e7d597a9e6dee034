"""What an exported classifier says of cases, computed in this process from its SavedModel."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from hs.card import Card
from hs.class_table import ClassTable
from hs.errors import ContractBroken, UsageError
from hs.pictures.decoding import PictureSize
from model.cases.reading import Cases, Unreadable
from model.exported.export import ABOUT

_BATCH = 32


@dataclass(frozen=True)
class Predictions:
    """One row per case with a readable picture, its pictures averaged as the audit does.

    Attributes:
        table: what the columns stand for.
        card: of the model.
        probabilities: float32 [N, C].
        truth: the label of each case.
        labels: int [N], the same as columns.
        generated: bool [N].
        unreadable: pictures left out.
        unknown: codes that the classifier does not know → pictures, left out.
        novelty: float32 [N], NaN where the model does not give it.
        novelty_of_unknown: float32 [M], of the cases that were left out.
    """

    table: ClassTable
    card: Card
    probabilities: np.ndarray
    truth: tuple[str, ...]
    labels: np.ndarray
    generated: np.ndarray
    unreadable: tuple[Unreadable, ...]
    unknown: dict[str, int]
    novelty: np.ndarray
    novelty_of_unknown: np.ndarray

    def only(self, rows: np.ndarray) -> "Predictions":
        """These rows alone; bool [N]."""
        truth = tuple(label for label, kept in zip(self.truth, rows, strict=True) if kept)
        kept = (self.probabilities[rows], truth, self.labels[rows], self.generated[rows])
        return Predictions(
            self.table, self.card, *kept, self.unreadable, self.unknown, self.novelty[rows], self.novelty_of_unknown
        )


def read_card(version: Path) -> tuple[Card, ClassTable]:
    """The card and the classes of an exported version.

    Raises:
        ContractBroken: if the version does not have them.
    """
    path = version / "assets.extra" / ABOUT
    try:
        text = path.read_text(encoding="utf-8")
        return Card.from_json(text), ClassTable(tuple(json.loads(text)["classes"]))
    except OSError as error:
        raise ContractBroken(f"{version} has no {path.relative_to(version)}: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        raise ContractBroken(f"{path} is no model card: {error}") from error


def predict(
    version: Path, cases: Cases, advance: Callable[[int], None], leave_out_unknown: bool = False
) -> Predictions:
    """Classifies the pictures of cases.

    Args:
        version: folder of an exported version.
        cases: to classify.
        advance: is told how many cases were done.
        leave_out_unknown: whether cases with a code that the classifier does not know are left out.

    Raises:
        UsageError: if there are such cases otherwise, or no picture can be read.
        ContractBroken: if the version lacks its card.
    """
    card, table = read_card(version)
    column = {label: number for number, label in enumerate(table.labels)}
    classify = tf.saved_model.load(str(version)).signatures["serving_default"]
    size = PictureSize(card.height, card.width, card.resize_filter, card.draft_multiple)
    sums: dict[int, np.ndarray] = {}
    of_case: dict[int, tuple[str, bool, int]] = {}
    unknown: dict[str, int] = {}
    unreadable: list[Unreadable] = []
    waiting: list[tuple[int, np.ndarray]] = []

    def flush() -> None:
        said = classify(images=tf.constant(np.stack([pixels for _, pixels in waiting])))
        novelty = said["novelty"].numpy() if "novelty" in said else np.full(len(waiting), np.nan, np.float32)
        rows = np.column_stack([said["probabilities"].numpy(), novelty])
        for (case, _), row in zip(waiting, rows, strict=True):
            sums[case] = sums.get(case, 0) + row
        waiting.clear()

    seen = 0
    for picture in cases.pictures(size, unreadable):
        advance(picture.case - seen)
        seen = picture.case
        if picture.hs_code not in column:
            unknown[picture.hs_code] = unknown.get(picture.hs_code, 0) + 1
            if not leave_out_unknown:
                continue
        *_, count = of_case.get(picture.case, (None, None, 0))
        of_case[picture.case] = (picture.hs_code, picture.generated, count + 1)
        waiting.append((picture.case, picture.pixels))
        if len(waiting) == _BATCH:
            flush()
    if waiting:
        flush()
    advance(cases.count - seen)
    if unknown and not leave_out_unknown:
        raise UsageError(
            f"{cases.path} has codes that the model does not know: {', '.join(sorted(unknown))}; "
            "--leave-out-unknown measures on the others"
        )
    mean = {number: row / of_case[number][2] for number, row in sorted(sums.items())}
    known = {number: row for number, row in mean.items() if of_case[number][0] in column}
    if not known:
        raise UsageError(f"{cases.path} has no readable picture of a code that the model knows")
    truth = tuple(of_case[number][0] for number in known)
    rows = np.stack(list(known.values()))
    return Predictions(
        table,
        card,
        rows[:, :-1],
        truth,
        np.array([column[label] for label in truth]),
        np.array([of_case[number][1] for number in known]),
        tuple(unreadable),
        unknown,
        rows[:, -1],
        np.array([row[-1] for number, row in mean.items() if number not in known], np.float32),
    )
