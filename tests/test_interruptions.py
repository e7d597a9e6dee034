"""Runs that are stopped, killed, doubled: what is published stays whole."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hs_audit.cli import main
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive

RUN_DATE = "2026-11-21"


def rows(count: int) -> list[dict]:
    goods = (RED, GREEN, BLUE)
    return [row(f"D{n}", goods[n % 5 % 3], picture(goods[n % 3], size=(400, 300), shade=n % 50)) for n in range(count)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "a.parquet", rows(3000), row_group_size=500)


@pytest.fixture
def flags(tmp_path: Path, colour_server: str, archive: Path) -> list[str]:
    config = tmp_path / "config.yaml"
    config.write_text("server: {model: hs, batch_size: 16, in_flight: 2}\n")
    return [
        f"--config={config}",
        f"--run-date={RUN_DATE}",
        f"--server={colour_server}",
        f"--input={archive}",
        f"--output={tmp_path / 'audits'}",
    ]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "audits" / f"run_date={RUN_DATE}"


def started(flags: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "hs_audit.cli", "run", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_auditing(tmp_path: Path, process: subprocess.Popen) -> None:
    """Until the first findings could be written: the attempt's folder is there."""
    staging = tmp_path / "audits" / "_staging"
    while not any(staging.glob("*/findings")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_within_5_seconds_with_one_sentence(flags, tmp_path, published, number):
    process = started(flags)
    wait_until_auditing(tmp_path, process)
    asked = time.monotonic()

    process.send_signal(number)
    _, said = process.communicate(timeout=20)

    assert time.monotonic() - asked < 5
    assert process.returncode == 130
    assert said.splitlines()[-1] == "hs-audit run: interrupted; nothing was published"
    assert "Traceback" not in said
    assert not published.exists()


def test_a_signal_while_the_bundled_server_starts_ends_the_run_and_the_server(flags, tmp_path, colour_model):
    flags = [flag for flag in flags if not flag.startswith("--server")]
    process = started([*flags, f"--saved-model={colour_model}"])
    logs = tmp_path / "audits" / "_logs"
    while not list(logs.glob("*.server.log")):
        assert process.poll() is None
        time.sleep(0.01)
    asked = time.monotonic()

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert time.monotonic() - asked < 5
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not any(str(colour_model) in command for command in commands_of_all_processes(but=os.getpid()))


def commands_of_all_processes(but: int) -> list[str]:
    """Of the processes that were started by these tests' runs; the tests' own server is a child of ours."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent != but and "serving.server.bundled" in command:
            found.append(command)
    return found


def test_the_second_of_two_runs_of_one_night_says_so_and_leaves(flags, tmp_path, published, capsys):
    staging = tmp_path / "audits" / "_staging"
    staging.mkdir(parents=True)
    with open(staging / f"run_date={RUN_DATE}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        code = main(["run", *flags])

    assert code == 2
    assert f"another run of {RUN_DATE} is writing" in capsys.readouterr().err
    assert not published.exists()


def test_another_night_leaves_a_running_one_its_files_even_where_staging_is_swept_at_once(flags, tmp_path, published):
    with (tmp_path / "config.yaml").open("a") as config:
        config.write("staging_days: 0\n")
    few = write_archive(tmp_path / "few.parquet", rows(3))
    process = started(flags)
    wait_until_auditing(tmp_path, process)

    code = main(["run", *flags, "--run-date=2026-11-22", f"--input={few}"])

    _, said = process.communicate(timeout=60)
    assert (code, process.returncode) == (0, 0), said
    assert len(findings_of(published)) == 3000


def test_a_publication_cut_in_two_is_restored_by_the_next_start(flags, tmp_path, published, capsys):
    assert main(["run", *flags]) == 0
    before = findings_of(published)
    published.rename(tmp_path / "audits" / "_staging" / f"{published.name}.replaced")

    assert main(["run", *flags, f"--input={tmp_path}/nothing/*.parquet"]) == 7

    assert findings_of(published) == before


@pytest.mark.slow
def test_a_run_killed_at_ten_random_moments_and_started_again_publishes_the_same(flags, tmp_path, published):
    begun = time.monotonic()
    assert main(["run", *flags]) == 0
    whole_s = time.monotonic() - begun + 4  # a fresh process imports for some seconds first
    expected, expected_run = findings_of(published), json.loads((published / "manifest.json").read_text())["run_id"]
    moments = random.Random(7)

    for _ in range(10):
        process = started(flags)
        try:
            process.wait(timeout=moments.uniform(0.3, whole_s))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()
        if published.exists():
            assert (published / "_SUCCESS").exists()
            assert findings_of(published) == expected

    assert main(["run", *flags]) == 0
    assert findings_of(published) == expected
    assert json.loads((published / "manifest.json").read_text())["run_id"] == expected_run
    assert not (tmp_path / "audits" / "_staging" / f"{published.name}.replaced").exists()
