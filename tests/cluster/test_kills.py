"""A worker that is killed in the middle of a night: the engine tries its work again, and the night is the same."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.flink import Flink, flink
from tests.cluster.nights import Launcher, StandIn, assert_equal_findings, stand_in
from tests.cluster.processes import ancestors, kill
from tests.cluster.spark import Spark, spark

ENGINES = {"flink": flink, "spark": spark}
MOMENTS = {"early": 1, "middle": 225, "late": 430}  # of 450 pictures


def a_task_manager(cluster: Flink, server: StandIn) -> None:
    cluster.replace_task_manager(_name_at_work(cluster.task_managers, cluster, server))


def an_executor(cluster: Spark, server: StandIn) -> None:
    above = _at_work(cluster, server)
    kill(next(process for process in cluster.executors() if process in above))


def a_spark_worker(cluster: Spark, server: StandIn) -> None:
    cluster.replace_worker(_name_at_work(cluster.workers, cluster, server))


def a_python_worker(cluster: Flink | Spark, server: StandIn) -> None:
    kill(_at_work(cluster, server)[0])


def _at_work(cluster: Flink | Spark, server: StandIn) -> list[int]:
    """A Python worker that has sent something, and what started it: others may be idle."""
    worker = cluster.processes.python_workers_at(server.address)[0]
    return [worker, *ancestors(worker)]


def _name_at_work(started: dict[str, subprocess.Popen[bytes]], cluster: Flink | Spark, server: StandIn) -> str:
    above = _at_work(cluster, server)
    return next(name for name, process in started.items() if process.pid in above)


KILLS: tuple[tuple[str, Callable[[Any, StandIn], None]], ...] = (
    ("flink", a_task_manager),
    ("flink", a_python_worker),
    ("spark", an_executor),
    ("spark", a_python_worker),
    ("spark", a_spark_worker),
)
IN_EVERY_ROUND = (("flink", a_task_manager), ("flink", a_python_worker), ("spark", an_executor))  # others take long


@pytest.fixture(scope="module")
def cluster(request, parts, tmp_path_factory) -> Iterator[Flink | Spark]:
    with ENGINES[request.param](parts, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.mark.parametrize(
    ("cluster", "what", "moment"),
    [
        pytest.param(
            *each,
            moment,
            marks=pytest.mark.cluster if each in IN_EVERY_ROUND and moment == "middle" else pytest.mark.endurance,
        )
        for each in KILLS
        for moment in MOMENTS
    ],
    indirect=["cluster"],
)
def test_a_night_of_which_a_worker_is_killed_is_published_and_equal(cluster, what, moment, archive, local, tmp_path):
    with stand_in() as server:
        launcher = Launcher(tmp_path, archive, server.address)
        server.at(MOMENTS[moment], lambda: what(cluster, server))

        exit_code = launcher.run(cluster.processes, cluster.flags)

    assert exit_code == 0, launcher.said(cluster.processes)
    assert server.seen > 450, "nothing was done again: was anything killed?"
    assert_equal_findings(launcher.findings(), local.findings())
    assert launcher.run_id() == local.run_id()
