"""Training holds no decoded pictures: twice the cases take the same memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rulings import tinted_cases, write_cases


def peak_mb(cases: Path, model: Path) -> float:
    """Peak memory of a training in a process of its own."""
    flags = ["--size=128", "--epochs=1", "--folds=2", "--measured=1", f"--cases={cases}", f"--output={model}"]
    process = subprocess.Popen([sys.executable, "-m", "pipeline.cli", "train", *flags], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
def test_twice_the_cases_take_the_same_memory(tmp_path):
    few = write_cases(tmp_path / "few.parquet", tinted_cases(250))
    many = write_cases(tmp_path / "many.parquet", tinted_cases(500))

    once, twice = peak_mb(few, tmp_path / "few"), peak_mb(many, tmp_path / "many")

    assert twice < 1500
    assert twice - once < 40  # 2,250 decoded pictures more would be 110 MB
