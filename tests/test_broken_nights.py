"""A hundred nights of each way in which a classifier breaks, from predictions: which of them are withheld."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from hs.card import Mistake, Thresholds
from hs.class_table import ClassTable
from hs.nomenclature import descriptions
from hs.planting import Planting
from hs.verdicts import Judge
from pipeline.findings.selftest import Trial
from pipeline.job.judge import FindingsTable
from pipeline.job.selftest import SelfTest
from pipeline.values import Classified, Declarations, RowGroup

NIGHTS, DECLARATIONS = 100, 25
CODES = np.array(sorted(code for code in descriptions() if len(code) == 6)[:400:10])
JUDGE = Judge(ClassTable(tuple(CODES)), Thresholds(differs_below=0.02, agrees_above=0.5, unknown_above=0.6))
TABLE = FindingsTable("r", date(2026, 11, 21), "hs", 1, JUDGE)

Broken = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""Probabilities float [n, C] of a sound classifier → those of a broken one."""


def predicted(random: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Probabilities of a sound classifier, float [n, C]: mostly right, mostly sure."""
    logits = random.normal(0, 1, (len(truth), len(CODES)))
    logits[np.arange(len(truth)), truth] += random.normal(7, 1.5, len(truth))
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def trial_of(night: int, broken: Broken) -> Trial:
    """The self-test of a night in which one declaration of twenty is wrong."""
    random = np.random.default_rng(night)
    truth = random.integers(0, len(CODES), DECLARATIONS)
    declared = np.where(random.random(DECLARATIONS) < 0.05, random.integers(0, len(CODES), DECLARATIONS), truth)
    columns = {
        "declaration_id": [str(place) for place in range(DECLARATIONS)],
        "item_no": pa.array([1] * DECLARATIONS, pa.int64()),
        "declared_hs_code": CODES[declared].tolist(),
    }
    of_one_picture, none = np.ones(DECLARATIONS, np.int64), pa.array([], pa.binary())
    group = RowGroup(f"{night}.parquet", 0, DECLARATIONS)
    declarations = Declarations(group, 0, pa.RecordBatch.from_pydict(columns), of_one_picture, none, {})
    probabilities = broken(random, predicted(random, truth)).astype(np.float32)
    statuses, silent = ["ok"] * DECLARATIONS, np.full(DECLARATIONS, np.nan, np.float32)
    digests = [f"{place:064x}" for place in range(DECLARATIONS)]
    classified = Classified(declarations, digests, statuses, [None] * DECLARATIONS, probabilities, silent)
    selftest = SelfTest(JUDGE, Planting(night, 2**64))
    return Trial(selftest(classified, TABLE.findings(classified)), Mistake.AT_RANDOM, min_recall=0.5)


def shuffled(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    return sound[:, random.permutation(len(CODES))]


def of_another_version(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """Weights of a version that has a class more at the front."""
    return np.roll(sound, 1, axis=1)


def of_nothing(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """All pictures are black, and say nothing."""
    return np.full(sound.shape, 1 / len(CODES))


def of_one_thing(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """All pictures are black, and taken for the same goods."""
    return np.repeat(sound[:1], len(sound), axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [shuffled, of_another_version, of_nothing, of_one_thing])
def test_of_a_hundred_broken_nights_at_most_one_is_not_withheld(broken):
    withheld = sum(trial_of(night, broken).withheld is not None for night in range(NIGHTS))

    assert withheld >= 99


@pytest.mark.slow
def test_of_a_hundred_sound_nights_at_most_one_is_withheld():
    withheld = sum(trial_of(night, lambda random, sound: sound).withheld is not None for night in range(NIGHTS))

    assert withheld <= 1


def test_shuffled_classes_find_the_lies_and_do_not_tell_them_apart():
    at_random = trial_of(0, shuffled).described()["kinds"]["at_random"]

    assert at_random["recall"]["share"] > 0.7  # so recall alone would see nothing
    assert at_random["told_apart"]["share"] < 0.3
