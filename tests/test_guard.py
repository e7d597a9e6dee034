"""What a launcher started ends with it, however that ended, also where it was handed on to another parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from pipeline.job.guard import guarded, marked

# Starts a shell which leaves a process behind, and then waits.
LAUNCHER = """
import subprocess, sys, time
from pipeline.job.guard import guarded
with guarded(sys.argv[1]):
    subprocess.run(["sh", "-c", "trap '' TERM; sleep 600 & echo started"])
    time.sleep(600)
"""


def wait_until_gone(attempt_id: str) -> None:
    since = time.monotonic()
    while marked(attempt_id):
        assert time.monotonic() - since < 30
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_launcher_that_is_killed_leaves_nothing_behind(number):
    name = f"launcher-{os.getpid()}-{number}"
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER, name], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout
    assert launcher.stdout.readline() == "started\n"
    assert marked(name)

    launcher.send_signal(number)

    launcher.wait()
    wait_until_gone(name)
    launcher.stdout.close()


def test_what_was_started_before_or_after_is_left_alone():
    name = f"launcher-{os.getpid()}"
    before = subprocess.Popen(["sleep", "600"])

    with guarded(name):
        within = subprocess.Popen(["sleep", "600"])
        assert marked(name) == {within.pid}
    after = subprocess.Popen(["sleep", "600"])

    assert within.wait(timeout=30) == -signal.SIGTERM
    for process in (before, after):
        assert process.poll() is None
        process.kill()
        process.wait()
