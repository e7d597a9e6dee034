"""A night on a cluster that is stopped: by its launcher or its death, by the engine or its death."""

import signal
import time
from collections.abc import Iterator

import pytest

from serving.fake import Cost
from tests.cluster.flink import Flink, flink
from tests.cluster.nights import Launcher, StandIn, assert_equal_findings, stand_in
from tests.cluster.processes import wait_until

pytestmark = pytest.mark.cluster
_SECONDS_TO_STOP = 10
_PATIENCE_S = 400  # for a night to begin where the machine is busy


@pytest.fixture(scope="module")
def cluster(parts, tmp_path_factory) -> Iterator[Flink]:
    with flink(parts, tmp_path_factory.mktemp("flink")) as running:
        yield running


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A server with which a night takes 15 s, longer than workers go on without their launcher."""
    with stand_in(per_request_s=0.25) as running:
        yield running


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_after_the_launcher_nothing_is_sent_and_nothing_runs_and_the_next_run_publishes(
    number, exit_code, cluster, server, archive, local, tmp_path
):
    launcher = Launcher(tmp_path, archive, server.address)
    started = launcher.start(cluster.processes, cluster.flags)
    server.at(40, lambda: started.send_signal(number))

    assert started.wait(_PATIENCE_S) == exit_code, launcher.said(cluster.processes)
    stopped_at = time.monotonic()
    assert not launcher.published.exists()
    wait_until(lambda: set(cluster.jobs().values()) <= {"CANCELED", "FAILED", "FINISHED"}, "the end of the job")
    wait_until(lambda: not cluster.processes.running("job-server.jar"), "the end of the job server")
    wait_until(lambda: not cluster.processes.python_workers(), "the end of the workers")
    assert server.last_request_at - stopped_at < _SECONDS_TO_STOP
    assert server.seen < 450
    if number is signal.SIGKILL:  # which left more behind
        server.fake.cost = Cost()
        assert launcher.run(cluster.processes, cluster.flags) == 0, launcher.said(cluster.processes)
        assert_equal_findings(launcher.findings(), local.findings())


def test_a_job_that_is_cancelled_at_the_engine_ends_the_run_with_130(cluster, server, archive, tmp_path):
    launcher = Launcher(tmp_path, archive, server.address)
    server.at(40, cluster.cancel_all)

    exit_code = launcher.run(cluster.processes, cluster.flags)

    said = launcher.said(cluster.processes)
    assert exit_code == 130, said
    assert "the job was cancelled at the engine; nothing was published" in said
    assert "Traceback" not in said
    assert not launcher.published.exists()


def test_a_lost_job_manager_ends_the_run_with_8(cluster, server, archive, tmp_path):  # the last: nothing comes after it
    launcher = Launcher(tmp_path, archive, server.address)
    server.at(40, cluster.job_manager.kill)

    exit_code = launcher.run(cluster.processes, cluster.flags)

    said = launcher.said(cluster.processes)
    assert exit_code == 8, said
    lost = f"hs-audit run: Flink at {cluster.address} was lost, and the job with it: "
    assert said.splitlines()[-1].startswith(lost), said
    assert said.splitlines()[-1].endswith("; nothing was published")
    assert "Traceback" not in said
    assert not launcher.published.exists()
