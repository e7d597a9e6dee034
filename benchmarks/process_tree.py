"""What a command and all that it starts take together: their CPU, and their memory with shared pages counted once."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil


class Look(NamedTuple):
    """What the processes held at a time, and had used until then.

    Attributes:
        at: seconds, by the clock of `time.time`.
        cpu_s: user and system time of all of them.
        launcher_mb: of the command itself.
        others_mb: of all that it has started.
    """

    at: float
    cpu_s: float
    launcher_mb: float
    others_mb: float


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit status.
        cpu_s: user and system time of it and its descendants.
        peak_mb: the most that they held at one time.
        looks: at their memory, in the order of time.
    """

    code: int
    cpu_s: float
    peak_mb: float
    looks: tuple[Look, ...] = ()


@dataclass
class _Tree:
    """All processes below one, also those whose parent has ended since."""

    known: set[psutil.Process]
    cpu_s: dict[psutil.Process, float] = field(default_factory=dict)
    held: dict[psutil.Process, int] = field(default_factory=dict)

    def look(self) -> float:
        """Notes what each has used, and holds now, in bytes; returns the seconds of CPU of all of them."""
        self.held.clear()
        for process in list(self.known):
            with suppress(psutil.NoSuchProcess):
                self.known.update(process.children(recursive=True))
        for process in self.known:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # denied: it ends just now
                times = process.cpu_times()
                self.cpu_s[process] = times.user + times.system
                self.held[process] = process.memory_full_info().pss
        return sum(self.cpu_s.values())


def watched(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] = os.environ,
    beside: Sequence[int] = (),
    every_s: float = 0.25,
) -> Ended:
    """Runs a command, with what it says in `log`, and looks at its processes again and again.

    What a process does after the last look is missed, but for those that are waited for.

    Args:
        command: to run.
        log: a file.
        environment: of the command.
        beside: processes that run already and work for it, as an engine's: what they and theirs use from now on counts.
        every_s: between two looks; each takes some 3 ms for a process, more for one that holds much.
    """
    tree, looks = _Tree({psutil.Process(process) for process in beside}), list[Look]()
    before_s = used_s = tree.look()
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        launcher = psutil.Process(process.pid)
        tree.known.add(launcher)
        ended = 0
        try:
            while not ended:
                used_s = tree.look()
                held_mb = tree.held.pop(launcher, 0) / 1e6
                looks.append(Look(time.time(), used_s - before_s, held_mb, sum(tree.held.values()) / 1e6))
                time.sleep(every_s)
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
        finally:
            if not ended:
                process.terminate()  # whoever interrupts a measurement is not to find it running
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for without Popen, which would ask again
    cpu_s = max(used_s - before_s, used.ru_utime + used.ru_stime)
    peak_mb = max(look.launcher_mb + look.others_mb for look in looks)
    return Ended(process.returncode, cpu_s, peak_mb, tuple(looks))
