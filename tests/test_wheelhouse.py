"""Installation on a machine without internet, from what `make wheelhouse` and `make worker-wheelhouse` gather."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serving.fake import FakeServer, plain_model
from tests.archives import RED, findings_of, picture, row, write_archive

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
    subprocess.run([*pip, "--find-links", wheelhouse, *constraints, "hs-audit[all]"], check=True)

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


@pytest.mark.slow
@pytest.mark.skipif(not (Path(sys.prefix) / "installed").exists(), reason="runs in the environment that make makes")
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_the_steps_of_the_image_install_what_audits_a_night_without_tensorflow(tmp_path):
    gathered, environment = tmp_path / "worker-wheelhouse", tmp_path / "venv"
    subprocess.run(
        ["make", "worker-wheelhouse", f"VENV={sys.prefix}", f"WORKER_WHEELHOUSE={gathered}"], cwd=ROOT, check=True
    )
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    dockerfile = (ROOT / "pipeline" / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
    (steps,) = re.findall(r"^RUN (pip install .+)$", dockerfile, re.MULTILINE)

    steps = steps.replace("/wheelhouse", str(gathered)).replace("pip install", f"{environment}/bin/pip install")
    subprocess.run(steps, shell=True, check=True)

    packages = environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    assert not (packages / "tensorflow" / "__init__.py").exists()
    assert sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) < 800_000_000
    hs_audit = environment / "bin" / "hs-audit"
    archive = write_archive(tmp_path / "a.parquet", [row("A1", RED, picture(RED)), row("A2", RED, b"nothing")])
    (tmp_path / "c.yaml").write_text("server: {model: hs}\n")
    with FakeServer(plain_model("392690", "870829")).listening() as server:
        flags = [f"--config={tmp_path / 'c.yaml'}", f"--server={server}", f"--input={archive}"]
        night = [hs_audit, "run", *flags, f"--output={tmp_path / 'audits'}", "--run-date=2026-11-21"]
        audited = subprocess.run(night, cwd=tmp_path, capture_output=True, text=True)
    trained = subprocess.run([hs_audit, "train"], cwd=tmp_path, capture_output=True, text=True)
    assert audited.returncode == 0, audited.stderr
    assert len(findings_of(tmp_path / "audits" / "run_date=2026-11-21")) == 2
    assert trained.returncode == 2
    assert "hs-audit train needs hs-audit[train], and tensorflow is not installed" in trained.stderr
