"""The renames of a publication, and what is left when one of them fails or never comes."""

import errno
import fcntl
import threading
from datetime import date
from pathlib import Path

import pytest

from pipeline.runs import publishing
from pipeline.runs.publishing import publish, restore
from pipeline.runs.staging import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "audits", date(2026, 11, 21))
    made.prepare()
    return made


@pytest.fixture(params=[True, False], ids=["exchange", "set aside"])
def kernel(request, monkeypatch) -> bool:
    """Whether the kernel can exchange two folders; the other way must do as well."""
    if not request.param:
        monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    return request.param


def run(folder: Path, content: str) -> Path:
    (folder / "findings").mkdir(parents=True)
    (folder / "findings" / "part.txt").write_text(content)
    (folder / "_SUCCESS").touch()
    return folder


def content(folder: Path) -> str:
    return (folder / "findings" / "part.txt").read_text()


def left_in(place: Place) -> list[str]:
    return sorted(path.name for path in place.staging.iterdir() if path.suffix != ".lock")


def test_a_run_takes_the_place_of_the_earlier_one_and_leaves_nothing(place, kernel):
    run(place.published, "old")

    publish(place, run(place.attempt("a2"), "new"), 0o640)

    assert content(place.published) == "new"
    assert left_in(place) == []


def test_readers_see_one_of_both_runs_at_every_moment(place):
    run(place.published, "0")
    over, seen = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            seen.append((place.published / "_SUCCESS").exists())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        publish(place, run(place.attempt(f"a{number}"), str(number)), 0o640)
    over.set()
    reader.join()

    assert seen
    assert all(seen)


def test_a_second_rename_that_fails_puts_the_earlier_run_back(place, monkeypatch):
    monkeypatch.setattr(publishing, "_exchange", lambda one, other: False)
    run(place.published, "old")
    attempt = run(place.attempt("a2"), "new")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self == attempt:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="No space left"):
        publish(place, attempt, 0o640)

    assert content(place.published) == "old"
    assert left_in(place) == ["a2"]


def test_a_run_that_is_published_stays_so_where_the_earlier_one_cannot_be_removed(place, kernel, monkeypatch, caplog):
    def denied(folder: Path, staging: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    run(place.published, "old")
    monkeypatch.setattr(publishing, "_remove", denied)

    publish(place, run(place.attempt("a2"), "new"), 0o640)

    assert content(place.published) == "new"
    assert "cannot be removed yet: Permission denied" in caplog.text


def test_any_start_restores_the_runs_of_all_nights(place):
    other = Place(place.output, date(2026, 11, 20))
    run(place.replaced, "one")
    run(other.replaced, "other")

    assert restore(place.staging) == ["run_date=2026-11-20", "run_date=2026-11-21"]
    assert (content(place.published), content(other.published)) == ("one", "other")


def test_what_is_set_aside_beside_its_successor_goes(place):
    run(place.published, "new")
    run(place.replaced, "old")

    assert restore(place.staging) == []
    assert content(place.published) == "new"
    assert left_in(place) == []


def test_half_a_run_is_not_restored(place):
    (run(place.replaced, "half") / "_SUCCESS").unlink()

    assert restore(place.staging) == []
    assert not place.published.exists()


def test_a_night_that_somebody_works_on_is_left_alone(place):
    run(place.replaced, "old")

    with open(place.staging / f"{place.published.name}.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert restore(place.staging) == []

    assert not place.published.exists()


def test_a_file_system_that_cannot_exchange_says_so_and_an_error_is_one(tmp_path, monkeypatch):
    run(tmp_path / "a", "a")

    with pytest.raises(FileNotFoundError):
        publishing._exchange(tmp_path / "a", tmp_path / "nowhere")
    monkeypatch.setattr(publishing, "_CANNOT", (errno.ENOENT,))
    assert not publishing._exchange(tmp_path / "a", tmp_path / "nowhere")


def test_published_files_are_for_those_whom_the_mode_names(place):
    publish(place, run(place.attempt("a1"), "new"), 0o640)

    modes = {path.name: path.stat().st_mode & 0o777 for path in [place.published, *place.published.rglob("*")]}
    assert modes == {place.published.name: 0o750, "findings": 0o750, "part.txt": 0o640, "_SUCCESS": 0o640}
