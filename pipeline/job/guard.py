"""Ends what a launcher started, once it is gone itself, however it ended: Beam's job server, Prism, local workers.

The guard is a process that reads from a pipe, whose other end only the launcher holds. Whatever the launcher started
has its mark in the environment, and so has what those processes started: they are found by it, also where they were
handed on to another parent. That needs Linux' /proc; elsewhere nothing is found.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARK = "HS_AUDIT_ATTEMPT"
_SECONDS_TO_END = 3.0


@contextmanager
def guarded(attempt_id: str) -> Iterator[None]:
    """What is started while the context lasts ends with it, or with this process."""
    # Neither our packages nor those of the site: it starts in 20 ms, and takes 8 MB.
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, attempt_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is the launcher's to handle
    )
    os.environ[_MARK] = attempt_id
    try:
        yield
    finally:
        del os.environ[_MARK]
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()


def end_all(attempt_id: str) -> None:
    """Ends the marked processes, those that do not go by themselves after some seconds."""
    asked: set[int] = set()
    until = time.monotonic() + _SECONDS_TO_END
    while left := marked(attempt_id):
        for pid in left - asked:
            _send(pid, signal.SIGTERM)
        asked |= left
        if time.monotonic() > until:
            for pid in left:
                _send(pid, signal.SIGKILL)
        time.sleep(0.05)


def marked(attempt_id: str) -> set[int]:
    """The living processes that an attempt started; not this one, nor its parent."""
    mark = f"{_MARK}={attempt_id}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is another user's
            if mark in (folder / "environ").read_bytes().split(b"\0"):  # empty where it waits to be reaped
                found.add(int(folder.name))
    return found - {os.getpid(), os.getppid()}


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_all(sys.argv[1])
