"""Workers in processes of their own say nothing on the terminal that the launcher would not."""

import io
import subprocess
import sys

import pytest
from PIL import Image

from serving.fake import FakeServer, plain_model
from tests.archives import RED, findings_of, picture, row, write_archive


@pytest.mark.slow
def test_what_libraries_say_in_worker_processes_is_in_the_log_and_not_on_the_terminal(tmp_path):
    chatty = _of_which_libtiff_complains()
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
    (native,) = (tmp_path / "audits" / "_logs").glob("*.stderr.log")
    assert "ZIPDecode" in native.read_text()
    assert not [line for line in done.stderr.splitlines() if "arning" in line or "ZIPDecode" in line]


def _of_which_libtiff_complains() -> bytes:
    """It writes to descriptor 2 from C."""
    stored = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(stored, "TIFF", compression="tiff_adobe_deflate")
    spoilt = bytearray(stored.getvalue())
    middle = len(spoilt) // 2
    spoilt[middle : middle + 40] = bytes(byte ^ 0x5A for byte in spoilt[middle : middle + 40])
    return bytes(spoilt)
