"""The same night on every engine: equal findings, the same run."""

import pytest

from tests.cluster.flink import flink
from tests.cluster.nights import Launcher, assert_equal_findings, stand_in
from tests.cluster.spark import spark

pytestmark = pytest.mark.cluster
ENGINES = {"flink": flink, "spark": spark}


@pytest.mark.parametrize("engine", ENGINES)
def test_two_workers_of_a_cluster_publish_what_one_process_does(engine, parts, archive, local, tmp_path):
    with stand_in() as server, ENGINES[engine](parts, tmp_path / engine) as cluster:
        launcher = Launcher(tmp_path, archive, server.address)

        exit_code = launcher.run(cluster.processes, cluster.flags)

    assert exit_code == 0, (tmp_path / engine / "launcher.log").read_text()
    assert_equal_findings(launcher.findings(), local.findings())
    assert launcher.run_id() == local.run_id()
    assert not cluster.processes.running()
