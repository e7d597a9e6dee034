"""How long nights are made and measured."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.long_archive import write_night
from benchmarks.long_night import audited


@pytest.mark.slow
def test_a_long_night_is_measured_from_its_first_declaration_to_its_page(tmp_path: Path):
    night = audited(tmp_path, 3000)

    names = [step.name for step in night.steps]
    assert names[2:5] == ["auditing", "verifying the ledger", "writing the worklist"]
    assert names[-1] == "publishing"
    assert 0 < sum(step.seconds for step in night.steps) <= night.seconds
    assert 100 < night.launcher_mb < 600
    assert night.workers_mb == 0  # they are threads of the launcher
    assert min(night.archive_bytes, night.findings_bytes, night.worklist_bytes, night.page_bytes) > 0


def test_the_pictures_of_a_long_night_are_small_and_nearly_all_of_another_one(tmp_path: Path):
    folder = write_night(tmp_path / "night", 600)

    images = pq.read_table(folder, columns=["images"])["images"].to_pylist()
    files = [image["bytes"] for (image,) in images]
    assert 580 <= len(set(files)) < 600
    assert 900 < np.mean([len(file) for file in files]) < 1800
