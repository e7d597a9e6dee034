"""What is slow to try of runs on object storage: a night published to another cloud's."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from hs_audit.cli import main
from pipeline.runs.published import published_run
from tests.archives import findings_of
from tests.installed import AZURITE, npm_package
from tests.object_nights import RUN_DATE, findings_at, flags, write_night

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_night(tmp_path_factory.mktemp("archive"))


KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # everybody's


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of Azurite."""
    program = npm_package(AZURITE) / ".bin" / "azurite-blob"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(tmp_path / "azurite")]
    quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with subprocess.Popen([program, *where, *quiet], stdout=subprocess.PIPE) as server:
        for line in server.stdout:
            if b"listens on" in line:
                break
        address = f"127.0.0.1:{port}"
        schemes = {"blob_storage_scheme": "http", "dfs_storage_scheme": "http"}
        authorities = {"blob_storage_authority": address, "dfs_storage_authority": address}
        fs.AzureFileSystem("devstoreaccount1", account_key=KEY, **schemes, **authorities).create_dir("customs")
        yield f"http://{address}"
        server.kill()


def test_a_night_on_azure_equals_the_one_on_a_disk_and_one_of_two_wins(azure, colour_server, archive, tmp_path):
    output = Location.parse("abfss://customs@devstoreaccount1.dfs.core.windows.net/audits")
    stores, run = Stores(StorageSettings(azure)), f"run_date={RUN_DATE}"

    for to in (tmp_path / "audits", output, output):
        assert main(["run", *flags(tmp_path, azure, colour_server, archive, to)]) == 0

    expected = findings_of(tmp_path / "audits" / run)
    assert findings_at(output, stores) == expected
    assert KEY not in json.dumps(published_run((output / run).text, stores).manifest)
    with pytest.raises(UsageError, match="is no published run"):
        published_run((output / "run_date=2026-01-01").text, stores)
    assert os.environ["AZURE_STORAGE_KEY"] == KEY
