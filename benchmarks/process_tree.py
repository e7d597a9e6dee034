"""What a command and all that it starts take together: their CPU, and their memory with shared pages counted once."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_EVERY_S = 0.25  # reading the memory of ten processes takes some 30 ms


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit status.
        cpu_s: user and system time of it and its descendants.
        peak_mb: the most that they held at one time.
    """

    code: int
    cpu_s: float
    peak_mb: float


@dataclass
class _Tree:
    """All processes below one, also those whose parent has ended since."""

    known: set[psutil.Process]
    cpu_s: dict[psutil.Process, float] = field(default_factory=dict)
    peak_bytes: int = 0

    def look(self) -> None:
        held = 0
        for process in list(self.known):
            with suppress(psutil.NoSuchProcess):
                self.known.update(process.children(recursive=True))
        for process in self.known:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # denied: it ends just now
                times = process.cpu_times()
                self.cpu_s[process] = times.user + times.system
                held += process.memory_full_info().pss
        self.peak_bytes = max(self.peak_bytes, held)


def watched(command: Sequence[str], log: Path, environment: Mapping[str, str] = os.environ) -> Ended:
    """Runs a command, with what it says in `log`, and looks at its processes four times a second.

    What a process does after the last look is missed, but for those that are waited for.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        tree = _Tree({psutil.Process(process.pid)})
        ended = 0
        while not ended:
            tree.look()
            time.sleep(_EVERY_S)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for without Popen, which would ask again
    cpu_s = max(sum(tree.cpu_s.values()), used.ru_utime + used.ru_stime)
    return Ended(process.returncode, cpu_s, tree.peak_bytes / 1e6)
