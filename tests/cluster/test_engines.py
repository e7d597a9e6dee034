"""The same night on every engine: equal findings, the same run.

Hardly a byte goes from worker to worker, and nothing runs on when all is done.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hs_audit.demo.night import write_demo
from tests.cluster.flink import Flink, flink
from tests.cluster.nights import RUN_DATE, Launcher, assert_equal_findings, stand_in, write_night
from tests.cluster.prism import Prism, prism
from tests.cluster.processes import processes
from tests.cluster.spark import Spark, spark

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
def local(archive: str, tmp_path_factory: pytest.TempPathFactory) -> Launcher:
    """The same, published by the engine inside the launcher."""
    folder = tmp_path_factory.mktemp("local")
    with stand_in() as server, processes(folder / "logs") as ours:
        launcher = Launcher(folder, archive, server.address)
        assert launcher.run(ours, ["--runner=FnApiRunner"]) == 0, launcher.said(ours)
    return launcher


@pytest.fixture(scope="module", params=ENGINES)
def cluster(parts, tmp_path_factory, request) -> Iterator[Prism | Flink | Spark]:
    with ENGINES[request.param](parts, tmp_path_factory.mktemp(request.param)) as running:
        yield running
    assert not running.processes.running()


def test_an_engine_publishes_what_one_process_does(cluster, archive, local, tmp_path):
    with stand_in() as server:
        launcher = Launcher(tmp_path, archive, server.address)

        exit_code = launcher.run(cluster.processes, cluster.flags)

    assert exit_code == 0, launcher.said(cluster.processes)
    assert len(launcher.findings()) == 6400
    assert_equal_findings(launcher.findings(), local.findings())
    assert launcher.run_id() == local.run_id()
    if isinstance(cluster, Flink):
        assert cluster.shuffled_bytes() < 1000 * ROW_GROUPS
