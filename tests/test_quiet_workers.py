"""Workers in processes of their own say nothing on the terminal that the launcher would not."""

import subprocess
import sys

import pytest

from serving.fake import FakeServer, plain_model
from tests.archives import RED, findings_of, picture, row, write_archive
from tests.hostile import tiff


@pytest.mark.slow
def test_what_libraries_say_in_worker_processes_is_in_the_log_and_not_on_the_terminal(tmp_path):
    chatty = tiff(*((40_000 + at, 4, 1, 1) for at in range(900)), data=bytes(4096))
    rows = [row(f"D{number}", RED, chatty if number % 2 else picture(RED, shade=number)) for number in range(20)]
    archive = write_archive(tmp_path / "a.parquet", rows, row_group_size=5)
    (tmp_path / "c.yaml").write_text("server: {model: hs}\nlimits: {max_unscored_share: 1.0}\n")
    several = ["--runner=FnApiRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]

    with FakeServer(plain_model("392690", "870829")).listening() as server:
        flags = [f"--config={tmp_path / 'c.yaml'}", f"--server={server}", f"--input={archive}", *several]
        done = subprocess.run(
            [sys.executable, "-m", "hs_audit.cli", "run", *flags, f"--output={tmp_path / 'audits'}",
             "--run-date=2026-11-21"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert done.returncode in (0, 3), done.stderr
    assert len(findings_of(tmp_path / "audits" / "run_date=2026-11-21")) == 20
    assert not [line for line in done.stderr.splitlines() if "arning" in line or "TIFF" in line or "Metadata" in line]
    logged = sum(path.stat().st_size for path in (tmp_path / "audits" / "_logs").iterdir())
    assert logged < 200_000
    print(done.stderr)
