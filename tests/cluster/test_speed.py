"""Two workers of one decoding thread each do nearly twice what one does: nothing but decoding takes long."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.archives import RED, encoded, row, write_archive
from tests.cluster.flink import flink
from tests.cluster.nights import Launcher, stand_in

pytestmark = pytest.mark.endurance  # on an idle machine with two cores
_PICTURES = 6000


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """Photographs of two megapixels in 60 row groups."""
    noise = np.random.default_rng(1)
    coarse = [noise.integers(0, 255, (45, 60, 3), np.uint8) for _ in range(20)]
    jpegs = [encoded(Image.fromarray(pixels).resize((1600, 1200)), "JPEG") for pixels in coarse]
    rows = [row(f"D{number}", RED, jpegs[number % len(jpegs)]) for number in range(_PICTURES)]
    write_archive(tmp_path / "archive" / "a.parquet", rows, row_group_size=100)
    return str(tmp_path / "archive" / "*.parquet")


def test_two_workers_are_at_least_1_7_times_as_fast_as_one(parts, photographs, tmp_path):
    rates = {}
    with flink(parts, tmp_path / "flink") as cluster:
        for workers in (1, 2):
            with stand_in() as server:
                launcher = Launcher(tmp_path / str(workers), photographs, server.address, "decoding_threads: 1\n")
                flags = (*cluster.flags, f"--parallelism={workers}")
                assert launcher.run(cluster.processes, flags) == 0, launcher.said(cluster.processes)
            answered = server.fake.answered
            rates[workers] = answered.pictures / (answered.ended_at - answered.began_at)

    print(rates)
    assert rates[2] >= 1.7 * rates[1], rates
