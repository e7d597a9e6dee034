"""Installation on a machine without internet, from what `make wheelhouse` gathers."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(not (Path(sys.prefix) / "installed").exists(), reason="runs in the environment that make makes")
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_the_wheelhouse_is_all_that_an_installation_needs(tmp_path):
    wheelhouse, environment = tmp_path / "wheelhouse", tmp_path / "venv"
    subprocess.run(["make", "wheelhouse", f"VENV={sys.prefix}", f"WHEELHOUSE={wheelhouse}"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)

    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index"]
    constraints = ["--constraint", wheelhouse / "constraints.txt"]
    subprocess.run([*pip, "--find-links", wheelhouse, *constraints, "hs-audit"], check=True)

    done = subprocess.run(
        [environment / "bin" / "hs-audit", "config", "nightly"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == (ROOT / "configs" / "nightly.yaml").read_text()
    packages = environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    assert (packages / "pipeline" / "report" / "templates" / "report.html").exists()
    assert not (packages / "tests").exists()
