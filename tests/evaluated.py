"""What two classifiers say of cases that are there, made by hand: no network runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hs.card import Card, Mistake, Thresholds
from hs.class_table import ClassTable
from model.cases.reading import Cases, open_cases
from model.exported.predictions import Predictions, Promises
from tests.archives import COLOURS, picture
from tests.rulings import write_cases

TABLE = ClassTable(tuple(sorted(COLOURS)))


def coloured_cases(folder: Path, each: int = 4, ids: Sequence[str] = ()) -> Cases:
    """Cases of three codes in turn, the first of them with these ids."""
    rows = [(code, [picture(code, shade=shade)]) for shade in range(each) for code in TABLE.labels]
    named = [*ids, *(f"case-{number}" for number in range(len(ids), len(rows)))]
    return open_cases(write_cases(folder / "cases.parquet", rows, case_id=named))


def said_of(cases: Cases, wrong: dict[int, str], sure: float = 0.8) -> Predictions:
    """A classifier that is right but for some cases, by their numbers, which it takes for another code."""
    truth = tuple(cases.codes())
    labels = np.array([TABLE.labels.index(code) for code in truth])
    first = [TABLE.labels.index(wrong.get(number, code)) for number, code in enumerate(truth)]
    probabilities = np.full((len(truth), len(TABLE)), (1 - sure) / (len(TABLE) - 1), np.float32)
    probabilities[np.arange(len(truth)), first] = sure
    thresholds = Thresholds(0.05, 0.4, 0.95)
    card = Card(
        8, 8, "bilinear", 2, "HS 2022", 1.0, thresholds, "sha256:0", thresholds_for={Mistake.AT_RANDOM: thresholds}
    )
    nothing = np.full(len(truth), np.nan, np.float32)
    return Predictions(
        TABLE, card, probabilities, truth, labels, np.zeros(len(truth), bool), (), {}, nothing, nothing[:0],
        np.arange(len(truth)), tuple(map(str, range(len(truth)))), {}, Promises(0.9, 0.05),
    )  # fmt: skip
