"""Nights drawn from what a real classifier says of photos: which of them have drifted from those before them.

A night is made of lots: an importer declares several of its goods at once, photographed by its own camera. So nights
differ more than declarations that are drawn one by one.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.pictures.decoding import Original
from hs.verdicts import Judge
from pipeline.findings.distributions import Counts, bins_of
from pipeline.findings.drift import Drift, Earlier, EarlierNight
from pipeline.findings.ledger import Ledger, _count
from pipeline.job.judge import FindingsTable
from pipeline.values import Classified, Declarations, RowGroup
from tests.archives import COLOURS

CODES, SHADES = np.array(list(COLOURS)), np.array(list(COLOURS.values()))
TABLE = FindingsTable(
    "r", date(2026, 11, 21), "hs", 1, Judge(ClassTable(tuple(CODES)), Thresholds(0.05, 0.4, unknown_above=0.9))
)
IMPORTERS, GOODS_OF_EACH = 40, 30
CAMERAS = [
    Original("JPEG", 640, 480),
    Original("JPEG", 1600, 1200),
    Original("JPEG", 4000, 3000),
    Original("PNG", 800, 600),
]
NEW_CAMERA = Original("WEBP", 900, 900)
NIGHTS, BEFORE, MAX_PSI = 50, 28, 0.25

Night = Callable[[np.random.Generator], Counts]
"""Draws a night and counts it."""


@dataclass(frozen=True)
class Pool:
    """What the classifier says of all goods of all importers, and by which camera each was photographed."""

    findings: pa.RecordBatch
    cameras: list[Original]

    def counts(self, rows: np.ndarray) -> Counts:
        """Some of it, counted as a night is."""
        ledger = Ledger()
        _count(self.findings.take(rows), ledger)
        of_pictures: dict[str, Counter[str]] = {}
        for row in rows.tolist():
            for name, which in bins_of(self.cameras[row]):
                of_pictures.setdefault(name, Counter())[which] += 1
        chapters = {chapter: of["declarations"] for chapter, of in ledger.chapters.items()}
        told = {"verdicts": ledger.verdicts, "reasons": ledger.reasons, "pictures": ledger.pictures}
        return told | {"chapters": chapters} | ledger.distributions | of_pictures


def findings_of(declared: np.ndarray, probabilities: np.ndarray) -> pa.RecordBatch:
    count = len(declared)
    columns = {
        "declaration_id": [str(place) for place in range(count)],
        "item_no": pa.array([1] * count, pa.int64()),
        "declared_hs_code": CODES[declared].tolist(),
    }
    nothing = pa.array([], pa.binary())
    group = RowGroup("a.parquet", 0, count)
    declarations = Declarations(group, 0, pa.RecordBatch.from_pydict(columns), np.ones(count, np.int64), nothing, {})
    digests, silent = [f"{place:064x}" for place in range(count)], np.full(count, np.nan, np.float32)
    return TABLE.findings(Classified(declarations, digests, ["ok"] * count, [None] * count, probabilities, silent))


@pytest.fixture(scope="module")
def pools(colour_model: Path) -> dict[str, Pool]:
    """The goods as they are, and as they look when something is wrong."""
    import tensorflow as tf

    classify = tf.saved_model.load(str(colour_model / "1")).signatures["serving_default"]

    def said(pixels: np.ndarray) -> np.ndarray:
        return classify(images=tf.constant(pixels))["probabilities"].numpy()

    random = np.random.default_rng(0)
    importer = np.repeat(np.arange(IMPORTERS), GOODS_OF_EACH)
    tastes = random.dirichlet([1, 1, 1], IMPORTERS)
    true = np.array([random.choice(3, p=tastes[each]) for each in importer])
    declared = np.where(random.random(len(true)) < 0.05, random.integers(0, 3, len(true)), true)
    paleness = random.beta(2, 3, (len(true), 1))  # of a pale picture the classifier is less sure
    pixels = photographed(SHADES[true] * (1 - paleness) + 128 * paleness, random)
    pale = photographed(0.35 * SHADES[true] + 0.65 * 128, random)
    cameras = [CAMERAS[each % len(CAMERAS)] for each in importer.tolist()]
    sound = said(pixels)
    return {
        "sound": Pool(findings_of(declared, sound), cameras),
        "black": Pool(findings_of(declared, said(np.zeros_like(pixels))), cameras),
        "other photos": Pool(findings_of(declared, said(pale)), [NEW_CAMERA] * len(true)),
        "another version": Pool(findings_of(declared, np.roll(sound, 1, axis=1)), cameras),
    }


def photographed(colours: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Colours [n, 3] → noisy pictures of them, uint8 [n, 32, 32, 3]."""
    noise = random.normal(0, 12, (len(colours), 32, 32, 3))
    return (colours[:, None, None, :] + noise).clip(0, 255).astype(np.uint8)


def lots(random: np.random.Generator, likely: np.ndarray | None = None) -> np.ndarray:
    """The rows of a night of some 100 to 600 declarations: lots of one to a dozen goods of an importer."""
    rows: list[int] = []
    for _ in range(random.integers(30, 180)):
        importer = random.choice(IMPORTERS, p=likely)
        rows += (importer * GOODS_OF_EACH + random.integers(0, GOODS_OF_EACH, random.geometric(0.3))).tolist()
    return np.array(rows)


def mixed(*parts: Counts) -> Counts:
    names = {name for part in parts for name in part}
    return {name: sum((Counter(part.get(name, {})) for part in parts), Counter()) for name in names}


def drift_of(now: Counts, before: list[Counts]) -> Drift:
    nights = [
        EarlierNight(date(2026, 11, 20) - timedelta(each), "hs version 1", one) for each, one in enumerate(before)
    ]
    return Drift(now, "hs version 1", Earlier(nights), MAX_PSI)


def warned_of(pools: dict[str, Pool], seed: int, nights: int) -> list[str]:
    """The warnings of so many quiet nights in a row, each compared with those before it."""
    random = np.random.default_rng(seed)
    counts = [pools["sound"].counts(lots(random)) for _ in range(BEFORE + nights)]
    found = [drift_of(counts[each], counts[each - BEFORE : each][::-1]).warning for each in range(BEFORE, len(counts))]
    return [warning for warning in found if warning]


def of_a_new_importer(pools: dict[str, Pool], random: np.random.Generator) -> Counts:
    """A third more declarations, all by one importer who photographs otherwise."""
    rows = lots(random)
    return mixed(pools["sound"].counts(rows), pools["other photos"].counts(rows[: len(rows) // 3]))


def of_a_broken_scanner(pools: dict[str, Pool], random: np.random.Generator) -> Counts:
    """One of four offices has black pictures."""
    rows = lots(random)
    quarter = len(rows) // 4
    return mixed(pools["sound"].counts(rows[quarter:]), pools["black"].counts(rows[:quarter]))


def of_another_season(pools: dict[str, Pool], random: np.random.Generator) -> Counts:
    """The goods of the first code are out of season: of ten that were declared one is left."""
    rows = lots(random)
    codes = np.array(pools["sound"].findings.column("declared_hs_code").to_pylist())[rows]
    return pools["sound"].counts(rows[(codes != CODES[0]) | (random.random(len(rows)) < 0.1)])


def of_another_version(pools: dict[str, Pool], random: np.random.Generator) -> Counts:
    return pools["another version"].counts(lots(random))


@pytest.mark.parametrize(
    ("night", "seen_by"),
    [
        (of_a_new_importer, "picture_formats"),
        (of_a_broken_scanner, "reasons"),
        (of_another_season, "chapters"),
        (of_another_version, "verdicts"),
    ],
)
def test_what_has_changed_is_seen_on_the_first_night(night, seen_by, pools):
    random = np.random.default_rng(7)
    before = [pools["sound"].counts(lots(random)) for _ in range(BEFORE)]

    drift = drift_of(night(pools, random), before)

    assert drift.warning
    assert drift.shifts[seen_by].psi > max(drift.shifts[seen_by].chance, MAX_PSI)


def test_quiet_nights_raise_hardly_an_alarm(pools):
    assert len(warned_of(pools, seed=0, nights=12)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_of_fifty_quiet_nights_at_most_two_raise_an_alarm(seed, pools):
    assert len(warned_of(pools, seed, NIGHTS)) <= 2
