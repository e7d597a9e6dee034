"""An outage of 20 s of the storage that a run is written to."""

import time
from pathlib import Path

import pytest

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
