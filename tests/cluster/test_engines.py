"""The same night on every engine, from disk and from object storage: equal findings, the same run.

Hardly a byte goes from worker to worker, and nothing runs on when all is done.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hs_audit.demo.night import write_demo
from tests.cluster.flink import Flink, flink
from tests.cluster.nights import RULINGS, RUN_DATE, Launcher, assert_equal_findings, stand_in, write_night
from tests.cluster.prism import Prism, prism
from tests.cluster.processes import processes
from tests.cluster.spark import Spark, spark
from tests.object_storage import BUCKET, ObjectStorage, object_storage

pytestmark = pytest.mark.cluster
ENGINES = {"prism": prism, "flink": flink, "spark": spark}
ROW_GROUPS = 24 + 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo night of 400 declarations, and 6,000 with small pictures."""
    folder = tmp_path_factory.mktemp("archive")
    demo = write_demo(folder / "demo", date.fromisoformat(RUN_DATE), cases_per_kind=1)
    for path in Path(demo.archive).parent.iterdir():
        path.rename(folder / f"demo-{path.name}")
    write_night(folder, 6000, row_group_size=250)
    return str(folder / "*.parquet")


@pytest.fixture(scope="module")
def s3(archive: str) -> Iterator[ObjectStorage]:
    """A storage with the same archive; the credentials are in the environment of all that is started meanwhile."""
    with object_storage() as storage:
        for path in Path(archive).parent.glob("*.parquet"):
            storage.stores().write_bytes(storage.folder(f"archive/{path.name}"), path.read_bytes())
        yield storage


@pytest.fixture(scope="module")
def local(archive: str, s3: ObjectStorage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Launcher, Launcher]:
    """The same, from disk and from S3, published by the engine inside the launcher."""
    folder = tmp_path_factory.mktemp("local")
    with stand_in(rulings=RULINGS) as server, processes(folder / "logs") as ours:
        launchers = Launcher(folder, archive, server.address), from_s3(folder / "local-s3", s3, server.address)
        for launcher in launchers:
            assert launcher.run(ours, ["--runner=FnApiRunner"]) == 0, launcher.said(ours)
    return launchers


def from_s3(folder: Path, storage: ObjectStorage, server: str) -> Launcher:
    """A night from and to S3, which is asked without the proxy that counts requests."""
    settings = f"storage: {{endpoint: '{storage.moto}', region: us-east-1}}\n"
    audits = f"s3://{BUCKET}/{folder.name}"
    return Launcher(folder, f"s3://{BUCKET}/archive/*.parquet", server, settings, audits, storage.stores())


@pytest.fixture(scope="module", params=ENGINES)
def cluster(parts, s3, tmp_path_factory, request) -> Iterator[Prism | Flink | Spark]:
    with ENGINES[request.param](parts, tmp_path_factory.mktemp(request.param)) as running:
        yield running
    assert not running.processes.running()


def test_from_a_disk_an_engine_publishes_what_one_process_does(cluster, archive, local, tmp_path):
    with stand_in(rulings=RULINGS) as server:
        launcher = Launcher(tmp_path, archive, server.address)

        exit_code = launcher.run(cluster.processes, cluster.flags)

    assert exit_code == 0, launcher.said(cluster.processes)
    assert len(launcher.findings()) == 6400
    assert any(one["precedents"] for one in launcher.findings())
    assert_equal_findings(launcher.findings(), local[0].findings())
    assert launcher.run_id() == local[0].run_id()
    if isinstance(cluster, Flink):
        assert cluster.shuffled_bytes() < 1000 * ROW_GROUPS + 150 * 6400  # of each picture its use, four times 24 bytes


def test_from_and_to_s3_an_engine_publishes_what_one_process_does(cluster, s3, local, tmp_path):
    with stand_in(rulings=RULINGS) as server:
        launcher = from_s3(tmp_path, s3, server.address)

        exit_code = launcher.run(cluster.processes, cluster.flags)

    assert exit_code == 0, launcher.said(cluster.processes)
    assert_equal_findings(launcher.findings(), local[0].findings(), but=("source_file", "run_id"))
    assert launcher.run_id() == local[1].run_id()
