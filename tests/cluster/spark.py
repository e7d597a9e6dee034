"""A standalone Spark on the loopback: a master and workers, each a process that may be killed.

>>> with spark(build(), folder) as cluster:                                              # doctest: +SKIP
...     main(["run", "--config=night.yaml", *cluster.flags])
"""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

from tests.cluster.flink import JAVA, python_in_processes
from tests.cluster.parts import Parts
from tests.cluster.processes import Processes, free_ports, processes, wait_until

_EXECUTOR = "CoarseGrainedExecutorBackend"


@dataclass
class Spark:
    """A cluster that runs.

    Attributes:
        address: of the master, `spark://host:port`.
        flags: of `hs-audit run`, so that a night runs on it.
        processes: all of it, and what is started beside it.
        master: the one.
        workers: by name.
    """

    address: str
    flags: tuple[str, ...]
    processes: Processes
    command: tuple[str, ...]
    master: subprocess.Popen[bytes]
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start_worker(self, name: str) -> None:
        """Starts one more."""
        main = "org.apache.spark.deploy.worker.Worker"
        limits = ("--cores", "1", "--memory", "768m", "--work-dir", self.processes.folder / name)
        where = ("--host", "127.0.0.1", "--webui-port", "0")
        self.workers[name] = self.processes.start(name, *self.command, main, *where, *limits, self.address)

    def replace_worker(self, name: str) -> None:
        """Kills one, and starts another in its place."""
        self.workers.pop(name).kill()
        self.start_worker(name)

    def executors(self) -> list[int]:
        """Process ids of the executors that run now."""
        return sorted(self.processes.running(_EXECUTOR, "java"))


@contextmanager
def spark(parts: Parts, folder: Path, workers: int = 2) -> Iterator[Spark]:
    """A master with so many workers of one core, which are registered."""
    (folder / "local").mkdir(parents=True, exist_ok=True)
    settings = {
        "SPARK_HOME": str(parts.jars("spark").parent),
        "SPARK_SCALA_VERSION": "2.12",  # else a worker looks for it in folders of Spark's sources
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }
    with processes(folder, **settings) as ours:
        port, page = free_ports(2)
        command = (*JAVA, "-Xmx256m", "-cp", f"{parts.jars('spark')}/*")
        flags = (
            "--runner=SparkRunner",
            f"--spark_job_server_jar={parts.job_server('spark')}",
            f"--spark_master_url=spark://127.0.0.1:{port}",
            # Spark's settings: the job server is its driver.
            "--job_server_jvm_properties=-Dspark.executor.memory=512m",
            "--job_server_jvm_properties=-Dspark.driver.host=127.0.0.1",
            "--job_server_jvm_properties=-Dspark.ui.enabled=false",
            "--job_server_jvm_properties=-Xmx512m",
            "--job_server_jvm_properties=-XX:TieredStopAtLevel=1",
            *python_in_processes(parts),
        )
        main = ("org.apache.spark.deploy.master.Master", "--host", "127.0.0.1")
        master = ours.start("master", *command, *main, "--port", str(port), "--webui-port", str(page))
        cluster = Spark(f"spark://127.0.0.1:{port}", flags, ours, command, master)
        for number in range(workers):
            cluster.start_worker(f"worker-{number}")
        wait_until(lambda: _registered(page) >= workers, "workers of Spark", [master, *cluster.workers.values()])
        yield cluster


def _registered(page: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=10) as answer:
            return json.load(answer)["aliveworkers"]
    except (URLError, ConnectionError, TimeoutError):
        return 0
