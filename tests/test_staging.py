"""Attempts in staging: those that are over are swept, those that run are not."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from hs.errors import UsageError
from pipeline.runs.publishing import restore
from pipeline.runs.staging import Place

OF_ANOTHER_PROCESS = """
import sys, time
from datetime import date
from pathlib import Path
from pipeline.runs.staging import Place
place = Place(Path(sys.argv[1]), date(2026, 11, 20))
place.prepare()
with place.locked("a1"):
    (place.attempt("a1") / "findings").mkdir()
    print("running", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path, date(2026, 11, 21))
    made.prepare()
    return made


def of_yesterday(place: Place) -> Place:
    return Place(place.output, date(2026, 11, 20))


def left_in(place: Place) -> list[str]:
    return sorted(path.name for path in place.staging.iterdir() if not path.name.startswith("run_date="))


def grown_old(folder: Path, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(folder, (then, then))


def test_an_attempt_that_runs_is_not_swept_however_old_it_is(place):
    yesterday = of_yesterday(place)
    with yesterday.locked("a1"):
        (yesterday.attempt("a1") / "findings").mkdir()
        grown_old(yesterday.attempt("a1"), 30)

        with place.locked("a2"):
            swept = place.sweep(0)

        assert swept == 0
        assert (yesterday.attempt("a1") / "findings").is_dir()


def test_what_a_killed_attempt_left_is_swept(place):
    process = subprocess.Popen([sys.executable, "-c", OF_ANOTHER_PROCESS, str(place.output)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"running\n"
    while_running = place.sweep(0)

    process.send_signal(signal.SIGKILL)
    process.communicate()
    after = place.sweep(0)

    assert (while_running, after) == (0, 1)
    assert left_in(place) == []


def test_what_a_failed_attempt_left_is_swept_when_it_is_old_enough(place):
    for name, days in (("old", 8), ("young", 6)):
        with place.locked(name):
            (place.attempt(name) / "findings").mkdir()
        grown_old(place.attempt(name), days)

    swept = place.sweep(7)

    assert swept == 1
    assert left_in(place) == ["young"]


def test_an_earlier_run_that_waits_for_its_successor_is_not_swept(place):
    place.replaced.mkdir()

    assert place.sweep(0) == 0
    assert place.replaced.is_dir()


def test_an_attempt_that_wrote_nothing_leaves_nothing(place):
    with place.locked("a1"):
        pass

    assert left_in(place) == []


def test_a_second_attempt_at_one_night_is_refused_and_leaves_nothing(place):
    with place.locked("a1"):
        with pytest.raises(UsageError, match="another run of 2026-11-21"), place.locked("a2"):
            pass

        assert left_in(place) == ["a1", "a1.lock"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_an_output_folder_without_locks_is_refused_in_one_sentence(place, monkeypatch, code):
    def no_locks(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    (place.replaced / "findings").mkdir(parents=True)
    monkeypatch.setattr(fcntl, "flock", no_locks)

    with pytest.raises(UsageError, match=f"the file system of {place.output} has no locks"), place.locked("a1"):
        pass
    with pytest.raises(UsageError, match=f"the file system of {place.output} has no locks"):
        restore(place.staging)
