"""A JobManager and TaskManagers of Flink on the loopback, each a process that may be killed.

>>> with flink(build(), folder) as cluster:                                              # doctest: +SKIP
...     main(["run", "--config=night.yaml", *cluster.flags])
...     cluster.cancel_all()
"""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from tests.cluster.parts import OPENED, Parts
from tests.cluster.processes import Processes, free_ports, processes, wait_until

# Without the scripts that Flink comes with, a TaskManager takes no `process.size`: each part of its memory is said.
# A batch job of ours needs more than 512 network buffers of 32 kB on each of two: 64 MB and less end in 'Insufficient
# number of network buffers'. A TaskManager that died is replaced: the job waits for the new one and starts again.
_CONFIGURATION = """
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc_port}
jobmanager.bind-host: 127.0.0.1
jobmanager.memory.heap.size: 256m
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest_port}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 64m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 0m
taskmanager.memory.managed.size: 64m
taskmanager.memory.network.min: 128m
taskmanager.memory.network.max: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 128m
taskmanager.memory.jvm-overhead.max: 128m
heartbeat.interval: 1000
heartbeat.timeout: 10000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 5
restart-strategy.fixed-delay.delay: 1 s
io.tmp.dirs: {tmp}
"""
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENED))


@dataclass
class Flink:
    """A cluster that runs.

    Attributes:
        address: of its REST interface, `host:port`.
        flags: of `hs-audit run`, so that a night runs on it.
        processes: all of it, and what is started beside it.
        job_manager: the one.
        task_managers: by name.
    """

    address: str
    flags: tuple[str, ...]
    processes: Processes
    command: tuple[str, ...]
    job_manager: subprocess.Popen[bytes]
    task_managers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the REST interface answers; nothing where it does not."""
        try:
            request = urllib.request.Request(f"http://{self.address}{path}", method=method)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except (URLError, ConnectionError, TimeoutError):
            return {}

    def jobs(self) -> dict[str, str]:
        """Job → status, as RUNNING or CANCELED."""
        return {job["id"]: job["status"] for job in self.ask("/jobs").get("jobs", ())}

    def cancel_all(self) -> None:
        """Cancels what runs, as an operator does on the page of Flink."""
        for job, status in self.jobs().items():
            if status in ("CREATED", "RUNNING", "RESTARTING"):
                self.ask(f"/jobs/{job}?mode=cancel", "PATCH")

    def shuffled_bytes(self) -> int:
        """What the tasks of all jobs have handed to others."""
        vertices = [vertex for job in self.jobs() for vertex in self.ask(f"/jobs/{job}")["vertices"]]
        return sum(vertex["metrics"]["write-bytes"] for vertex in vertices)

    def start_task_manager(self, name: str) -> None:
        """Starts one more."""
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        options = (
            *self.command,
            main,
            "--configDir",
            str(self.processes.folder),
            "-D",
            f"taskmanager.resource-id={name}",
        )
        self.task_managers[name] = self.processes.start(name, *JAVA, "-Xmx320m", *options)

    def replace_task_manager(self, name: str) -> None:
        """Kills one, and starts another in its place, as Kubernetes does."""
        self.task_managers.pop(name).kill()
        self.start_task_manager(name)

    def wait_for_task_managers(self, number: int) -> None:
        """Until so many are registered."""
        wait_until(
            lambda: len(self.ask("/taskmanagers").get("taskmanagers", ())) >= number, "TaskManagers", [self.job_manager]
        )


@contextmanager
def flink(parts: Parts, folder: Path, task_managers: int = 2) -> Iterator[Flink]:
    """A cluster with so many TaskManagers of one slot, which are registered."""
    with processes(folder, FLINK_CONF_DIR=str(folder)) as ours:
        rest_port, rpc_port = free_ports(2)
        (folder / "tmp").mkdir(exist_ok=True)
        written = _CONFIGURATION.format(rest_port=rest_port, rpc_port=rpc_port, tmp=folder / "tmp")
        (folder / "flink-conf.yaml").write_text(written)
        command = ("-cp", f"{parts.jars('flink')}/*")
        main = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        manager = ours.start("job-manager", *JAVA, "-Xmx320m", *command, main, "--configDir", folder)
        address = f"127.0.0.1:{rest_port}"
        flags = (
            "--runner=FlinkRunner",
            f"--flink_master={address}",
            f"--flink_job_server_jar={parts.job_server('flink')}",
            "--job_server_jvm_properties=-Xmx512m",
            "--job_server_jvm_properties=-XX:TieredStopAtLevel=1",
            f"--parallelism={task_managers}",  # without it a night has one worker
            *python_in_processes(parts),
        )
        cluster = Flink(address, flags, ours, command, manager)
        for number in range(task_managers):
            cluster.start_task_manager(f"task-manager-{number}")
        cluster.wait_for_task_managers(task_managers)
        yield cluster


def python_in_processes(parts: Parts) -> tuple[str, ...]:
    """Flags: each worker of the engine starts this Python, and keeps it from one stage to the next."""
    # By itself the program makes an environment of its own with the system's Python. It needs pip in ours.
    environment = {"command": str(parts.boot), "env": {"RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1"}}
    return (
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps(environment)}",
        "--environment_cache_millis=20000",
    )
