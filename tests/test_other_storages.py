"""Google's and Azure's storage, as their emulators are them: the same seam, and a whole archive read from each.

npm and Go fetch the emulators once, into build/.
"""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pytest

from hs.errors import StorageLost
from hs.storage.filesystems import file_system
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from pipeline.archive.footers import inspect
from pipeline.archive.row_groups import read_row_group
from pipeline.values import ColumnNames, DeadLetter, Layout
from tests.archives import row, write_archive
from tests.installed import AZURITE, BUILD, npm_package

KEY_OF_AZURITE = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # public
LAYOUT = Layout(ColumnNames(), (("office", "office"),), (("office", pa.string()),))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["gs", "abfss"])
def storage(request) -> Iterator[tuple[Location, Stores, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with {"gs": _google, "abfss": _azure}[request.param](port) as (root, server):
        settings = StorageSettings(f"http://127.0.0.1:{port}", anonymous=request.param == "gs", outage_budget_s=1)
        stores = Stores(settings)
        if request.param == "abfss":
            file_system(root, settings)[0].create_dir("nights")
        yield root, stores, server


@contextmanager
def _google(port: int) -> Iterator[tuple[Location, subprocess.Popen[bytes]]]:
    program = BUILD / "storages" / "bin" / "fake-gcs-server"
    if not program.exists():
        install = ["go", "install", "github.com/fsouza/fake-gcs-server@v1.56.1"]
        subprocess.run(install, check=True, env=os.environ | {"GOBIN": str(program.parent)})
    flags = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    with _running([str(program), *flags, "-public-host", f"127.0.0.1:{port}"], port) as server:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/storage/v1/b?project=tests", method="POST")
        asked.add_header("Content-Type", "application/json")
        urllib.request.urlopen(asked, json.dumps({"name": "customs"}).encode()).close()
        yield Location.parse("gs://customs/nights"), server


@contextmanager
def _azure(port: int) -> Iterator[tuple[Location, subprocess.Popen[bytes]]]:
    program = npm_package(AZURITE) / ".bin" / "azurite-blob"
    flags = ["--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck", "--silent"]
    with pytest.MonkeyPatch.context() as patch, _running([str(program), *flags], port) as server:
        patch.setenv("AZURE_STORAGE_KEY", KEY_OF_AZURITE)
        yield Location.parse("abfss://nights@devstoreaccount1.dfs.core.windows.net"), server


@contextmanager
def _running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "the emulator does not start"
                    assert server.poll() is None, "the emulator has ended"
                    time.sleep(0.1)  # between two looks at the port
            yield server
        finally:
            server.kill()


def test_files_are_written_found_and_removed_there(storage):
    root, stores, _ = storage
    for name in ("a/1.parquet", "a/b/2.parquet", "a/b/readme.txt"):
        stores.write_bytes(root / name, name.encode())
    before = stores.info(root / "a/1.parquet").stamp

    stores.write_bytes(root / "a/1.parquet", b"other bytes")

    assert stores.info(root / "a/1.parquet").stamp != before
    assert stores.read_bytes(root / "a/b/2.parquet") == b"a/b/2.parquet"
    found = [location.relative_to(root) for location in stores.glob(f"{root}/a/**/*.parquet")]
    assert found == ["a/1.parquet", "a/b/2.parquet"]
    assert stores.files(root / "none") == []
    with pytest.raises(FileNotFoundError):
        stores.read_bytes(root / "none")
    stores.delete(root / "a/1.parquet")
    stores.delete(root / "a/1.parquet")
    stores.delete_folder(root / "a")
    stores.delete_folder(root / "a")
    assert stores.files(root / "a") == []


def test_an_archive_there_is_read_like_one_here_and_a_lost_storage_is_no_dead_letter(storage, tmp_path):
    root, stores, server = storage
    rows = [row(f"D{number}", "870829", os.urandom(100_000), office="Busan") for number in range(300)]
    path, there = write_archive(tmp_path / "a.parquet", rows, 150, office=pa.string()), root / "archive/a.parquet"
    stores.write_bytes(there, path.read_bytes())

    def read(where, stores=Stores()):  # noqa: B008
        file = inspect(where, ColumnNames(), stores=stores)
        return [batch for pointer in file.pointers() for batch in read_row_group(pointer, LAYOUT, stores)]

    here, found = read(path), read(there, stores)

    assert not [batch for batch in found if isinstance(batch, DeadLetter)]
    of_here, of_there = (
        [picture for batch in batches for picture in batch.pictures.to_pylist()] for batches in (here, found)
    )
    assert of_there == of_here
    server.kill()
    server.wait()
    with pytest.raises(StorageLost):
        read(there, stores)
