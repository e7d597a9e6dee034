"""What is slow to try of runs on object storage: killed at ten moments, two that race, an outage of 20 s."""

import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from hs_audit.cli import main
from pipeline.runs.published import published_run
from tests.object_nights import RUN_DATE, findings_at, flags, write_night
from tests.object_storage import NO_ANSWER, ObjectStorage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_night(tmp_path_factory.mktemp("archive"))


def test_whoever_follows_current_sees_a_whole_run_however_often_one_is_killed(
    s3: ObjectStorage, colour_server, archive, tmp_path
):
    output, stores = s3.folder("killed"), s3.stores()
    run = [sys.executable, "-m", "hs_audit.cli", "run", *flags(tmp_path, s3.endpoint, colour_server, archive, output)]
    begun = time.monotonic()
    assert subprocess.run(run, capture_output=True).returncode == 0
    whole_s, expected, stood = time.monotonic() - begun, findings_at(output, stores), set()
    moments = random.Random(7)

    for number in range(10):
        process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=whole_s * moments.uniform(0.3 if number < 3 else 0.7, 1.1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        assert findings_at(output, stores) == expected
        stood.add(published_run((output / f"run_date={RUN_DATE}").text, stores).folder.name)

    assert subprocess.run(run, capture_output=True).returncode == 0
    assert findings_at(output, stores) == expected
    assert published_run((output / f"run_date={RUN_DATE}").text, stores).folder.name not in stood


def test_of_two_runs_that_race_one_is_published_and_the_other_says_so(
    s3: ObjectStorage, colour_server, archive, tmp_path
):
    output, both = s3.folder("raced"), threading.Barrier(2, timeout=240)

    def wait_for_the_other(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/_CURRENT"):
            with suppress(threading.BrokenBarrierError):
                both.wait()

    s3.fault = wait_for_the_other
    run = [sys.executable, "-m", "hs_audit.cli", "run", *flags(tmp_path, s3.endpoint, colour_server, archive, output)]
    racing = [subprocess.Popen(run, stderr=subprocess.PIPE, text=True) for _ in range(2)]

    said = {process.communicate()[1].splitlines()[-1]: process.returncode for process in racing}

    assert sorted(said.values()) == [0, 2], said
    lost = next(sentence for sentence, code in said.items() if code == 2)
    assert lost == f"hs-audit run: another run of {RUN_DATE} was published to {output} meanwhile; it was left alone"
    assert len(findings_at(output, s3.stores())) == 600


def test_an_outage_of_20_s_while_findings_are_sent_adds_no_dead_letter(
    s3: ObjectStorage, colour_server, archive, tmp_path
):
    output, began = s3.folder("outage"), []

    def fault(method: str, path: str):
        if method == "PUT" and "/findings/part-" in path and not began:
            began.append(time.monotonic())
        return NO_ANSWER if began and time.monotonic() - began[0] < 20 else None

    s3.fault = fault
    assert main(["run", *flags(tmp_path, s3.endpoint, colour_server, archive, output)]) == 0

    assert time.monotonic() - began[0] > 20
    manifest = published_run((output / f"run_date={RUN_DATE}").text, s3.stores()).manifest
    assert (manifest["rows"]["findings"], manifest["rows"]["in_dead_letters"]) == (600, 0)
