"""What object storage costs our processor: whole runs from it and from a disk, in turn."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.fake import FakeServer, plain_model
from tests.archives import BLUE, GREEN, RED, encoded, row, write_archive
from tests.object_nights import flags
from tests.object_storage import ObjectStorage

_PAIRS = 3


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Photographs of 30 kB, as they come from offices: 90 MB in six row groups."""
    noise = np.random.default_rng(1)
    coarse = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(30)]
    jpegs = [encoded(Image.fromarray(pixels).resize((640, 480)), "JPEG") for pixels in coarse]
    rows = [row(f"D{number}", RED, jpegs[number % len(jpegs)] + number.to_bytes(4)) for number in range(3000)]
    return write_archive(tmp_path / "archive" / "a.parquet", rows, row_group_size=500)


def processor_s(flags: list[str]) -> float:
    """Of a run that ends well."""
    command = [sys.executable, "-m", "hs_audit.cli", "run", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return used.ru_utime + used.ru_stime


@pytest.mark.endurance
def test_a_run_from_object_storage_takes_at_most_three_tenths_more_of_the_processor(
    s3: ObjectStorage, archive: Path, tmp_path: Path
):
    s3.upload(archive.parent, s3.folder("cost"))
    ratios = []

    with FakeServer(plain_model(RED, GREEN, BLUE)).listening() as server:
        for _ in range(_PAIRS):
            disk, there = (
                processor_s(flags(tmp_path, s3.moto, server, read, tmp_path / "audits"))
                for read in (archive, f"{s3.folder('cost')}/a.parquet")
            )
            ratios.append(there / disk)
            print(f"{disk:.1f} s from disk, {there:.1f} s from object storage")

    assert statistics.median(ratios) <= 1.3, ratios
