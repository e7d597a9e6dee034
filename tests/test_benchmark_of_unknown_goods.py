"""The table by which measures of unknown goods are compared, on numbers that are known."""

from pathlib import Path

import numpy as np

from benchmarks.unknown_goods import MEASURES, compare
from model.training.examples import Examples
from model.training.row_files import RowFile


def test_what_tells_unknown_goods_ranks_before_what_does_not():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    centres = random.normal(size=(10, 40)).astype(np.float32)
    telling = centres[labels] + 0.1 * random.normal(size=(300, 40)).astype(np.float32)
    noise = random.normal(size=(300, 40)).astype(np.float32)
    rows, codes = RowFile(Path("none"), (40,), "float32"), tuple(f"{code:04d}10" for code in range(701, 711))
    examples = Examples(rows, rows, codes, labels, np.arange(300), np.arange(300), labels < 0, 0, ())

    found = compare(examples, {"features": noise, "marks": telling}, headings=2, times=2, way="alike")

    areas = {name: of[:, 0].mean() for name, of in found.items()}
    assert found.keys() == MEASURES.keys()
    assert min(areas["map at the cut, 32 directions"], areas["map at the cut, 128 directions"]) > 0.99
    assert max(areas["last features, 32 directions"], areas["last features, 128 directions"]) < 0.7
