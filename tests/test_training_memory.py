"""Training holds no decoded pictures: twice the cases take the same memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rulings import tinted_cases, write_cases

PROBE = """
import json, sys
from hs_audit.cli import main
code = main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"code": code, "mb": int(peak.split()[1]) / 1024}))
"""


def peak_mb(cases: Path, model: Path) -> float:
    """Peak memory of a training in a process of its own; what `wait4` says would be that of its parent, if larger."""
    flags = ["--size=128", "--epochs=1", "--folds=2", "--measured=1", f"--cases={cases}", f"--output={model}"]
    done = subprocess.run([sys.executable, "-c", PROBE, "train", *flags], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == 0
    return said["mb"]


@pytest.mark.slow
def test_twice_the_cases_take_the_same_memory(tmp_path):
    few = write_cases(tmp_path / "few.parquet", tinted_cases(250))
    many = write_cases(tmp_path / "many.parquet", tinted_cases(500))

    once, twice = peak_mb(few, tmp_path / "few"), peak_mb(many, tmp_path / "many")

    print(once, twice)
    assert twice < 1500
    assert twice - once < 40  # 2,250 decoded pictures more would be 110 MB
