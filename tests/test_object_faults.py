"""What is slow to try of runs on object storage: killed at ten moments, an outage of 20 s."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hs.storage.location import Location
from hs.storage.stores import Stores
from hs_audit.cli import main
from pipeline.runs.published import published_run
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive
from tests.object_storage import NO_ANSWER, ObjectStorage

RUN_DATE = "2026-11-21"
GOODS = (RED, GREEN, BLUE)
ROWS = [row(f"D{n}", GOODS[n % 5 % 3], picture(GOODS[n % 3], size=(300, 200), shade=n % 50)) for n in range(600)]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "a.parquet", ROWS, row_group_size=100)


def flags(folder: Path, endpoint: str, server: str, archive: Path, output: object) -> list[str]:
    config = folder / "config.yaml"
    config.write_text(
        f"server: {{model: hs, batch_size: 16}}\nstorage: {{endpoint: '{endpoint}', region: us-east-1}}\n"
    )
    where = [f"--server={server}", f"--input={archive}", f"--output={output}"]
    return [f"--config={config}", f"--run-date={RUN_DATE}", *where]


def findings_at(output: Location, stores: Stores) -> list[dict]:
    """Of the run that stands, in the order of the archive."""
    rows = []
    for part in published_run((output / f"run_date={RUN_DATE}").text, stores).files("findings"):
        with stores.open_input(part) as stream:
            rows += pq.ParquetFile(stream).read().to_pylist()
    return sorted(rows, key=lambda finding: (finding["source_row_group"], finding["source_row"]))


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
