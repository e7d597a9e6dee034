"""Processes of an engine: started with a mark in their environment, which what they start inherits, and found by it.

An engine starts Python workers in sessions of their own, and a launcher starts job servers: no process group holds
them all. Whatever a mark is found on is killed in the end.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_MARK = "HS_AUDIT_CLUSTER_TEST"
_PATIENCE_S = 300.0  # two cores may be busy


@dataclass(frozen=True)
class Processes:
    """The processes with one mark.

    Attributes:
        mark: unique.
        folder: of their logs.
        environment: of each of them, beside what this process has.
    """

    mark: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, name: str, *command: str | Path, **environment: str) -> subprocess.Popen[bytes]:
        """Starts a program; what it says goes to `NAME.log`."""
        return subprocess.Popen(
            # Dies with this process, also if that is killed.
            ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
            stdout=(self.folder / f"{name}.log").open("wb"),
            stderr=subprocess.STDOUT,
            env=self.variables(**environment),
            cwd=self.folder,  # Beam's boot program leaves a file where it is
            start_new_session=True,
        )

    def variables(self, **environment: str) -> dict[str, str]:
        """The environment of a process that shall have the mark, with this Python before all others."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **self.environment, **environment, "PATH": path, _MARK: self.mark}

    def running(self, *words: str) -> dict[int, str]:
        """Process id → command of those that have the mark, and all of `words` in their command."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended meanwhile
                if f"{_MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if all(word in command for word in words):
                        found[int(folder.name)] = command
        return found

    def python_workers(self) -> list[int]:
        """Process ids of the Python workers that run now, the oldest first."""
        return sorted(self.running("sdk_worker_main", "python"))

    def python_workers_at(self, address: str) -> list[int]:
        """Those that are connected to a server of this machine: others may be idle, kept for a later stage."""
        port = int(address.rpartition(":")[2])
        connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        sockets = {f"socket:[{each[9]}]" for each in connections if int(each[2].rpartition(":")[2], 16) == port}
        return [process for process in self.python_workers() if sockets & _open_files(process)]

    def kill(self, *words: str) -> None:
        """Kills them all, as often as another one appears."""
        while found := self.running(*words):
            for process in found:
                kill(process)
            with suppress(ChildProcessError):  # no zombies of ours
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
            time.sleep(0.05)


def ancestors(process: int) -> list[int]:
    """What started a process, what started that, and so on."""
    found = []
    while process > 1:
        # The name, in brackets, may hold blanks.
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return found


def _open_files(process: int) -> set[str]:
    names = set()
    for descriptor in Path(f"/proc/{process}/fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            names.add(os.readlink(descriptor))
    return names


def kill(process: int) -> None:
    """Ends a process at once, as a lack of memory does."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@contextmanager
def processes(folder: Path, **environment: str) -> Iterator[Processes]:
    """Processes that are all killed in the end; `folder` has their logs."""
    folder.mkdir(parents=True, exist_ok=True)
    ours = Processes(f"{os.getpid()}-{time.monotonic_ns()}", folder, environment)
    try:
        yield ours
    finally:
        ours.kill()


def free_ports(number: int) -> list[int]:
    """Ports of the loopback that nobody listens to."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_until(happened: Callable[[], bool], what: str, alive: Sequence[subprocess.Popen[bytes]] = ()) -> None:
    """Waits for an event that nothing tells of.

    Raises:
        AssertionError: if it does not happen, or one of the processes that shall be alive ends.
    """
    end = time.monotonic() + _PATIENCE_S
    while not happened():
        dead = [process.args for process in alive if process.poll() is not None]
        assert not dead, f"{what}: {dead} ended"
        assert time.monotonic() < end, f"{what}: not within {_PATIENCE_S:.0f} s"
        time.sleep(0.1)
