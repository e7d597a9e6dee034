"""What an attempt leaves behind, whatever becomes of it."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import pytest

from hs_audit.cli import main
from hs_audit.logs import native_output
from tests.archives import RED, picture, row, write_archive

RUN_DATE = "2026-11-21"


@pytest.fixture
def run(tmp_path, colour_server):
    config = tmp_path / "config.yaml"
    config.write_text("server: {model: hs, batch_size: 16, in_flight: 2}\nlog_format: json\n")
    write_archive(tmp_path / "archive" / "a.parquet", [row("A1", RED, picture(RED)), row("A2", RED, picture(RED))])

    def run(*flags: str) -> int:
        given = [f"--config={config}", f"--run-date={RUN_DATE}", f"--output={tmp_path / 'audits'}"]
        usual = [f"--server={colour_server}", f"--input={tmp_path / 'archive'}/*.parquet"]
        return main(["run", *given, *usual, *flags])

    return run


def left(tmp_path: Path, suffix: str) -> Path:
    (path,) = (tmp_path / "audits" / "_logs").glob(f"run_date={RUN_DATE}.*{suffix}")
    return path


def record(tmp_path: Path) -> dict:
    return json.loads(left(tmp_path, ".json").read_text())


def test_a_published_attempt_says_so(run, tmp_path):
    assert run() == 0

    said = record(tmp_path)
    assert (said["status"], said["exit_code"]) == ("published", 0)
    assert said["sentence"] == f"published {tmp_path / 'audits' / f'run_date={RUN_DATE}'}"
    assert said["counts"].items() >= {"declarations": 2, "of": 2, "pictures": 2, "requests": 1}.items()
    manifest = json.loads((tmp_path / "audits" / f"run_date={RUN_DATE}" / "manifest.json").read_text())
    assert (said["run_id"], said["attempt_id"]) == (manifest["run_id"], manifest["attempt_id"])
    assert datetime.fromisoformat(said["started_at"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (["--input=nowhere/*.parquet"], 7, "no file matches the input nowhere/*.parquet"),
        (["--version=9"], 6, "has no available version 9"),
    ],
)
def test_an_attempt_that_failed_says_why(run, tmp_path, capsys, flags, code, sentence):
    assert run(*flags) == code

    said = record(tmp_path)
    assert (said["status"], said["exit_code"]) == ("not published", code)
    assert sentence in said["sentence"]
    assert said["sentence"] in capsys.readouterr().err


def test_a_system_that_fails_is_a_sentence_and_no_bug(run, tmp_path, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "worklist.csv")

    monkeypatch.setattr("pipeline.night.write_worklist", full)

    assert run() == 4

    assert record(tmp_path)["sentence"] == "No space left on device (worklist.csv); nothing was published"
    assert "No space left on device" in capsys.readouterr().err


def test_a_bug_is_recorded_as_one(run, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.night.write_worklist", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run()

    assert (record(tmp_path)["status"], record(tmp_path)["exit_code"]) == ("bug", 1)


def test_every_line_of_a_json_log_is_json_and_the_last_one_is_the_sentence(run, tmp_path):
    run("--input=nowhere/*.parquet")

    lines = [json.loads(line) for line in left(tmp_path, ".log").read_text().splitlines()]
    assert {line["attempt_id"] for line in lines} == {record(tmp_path)["attempt_id"]}
    assert {line["run_id"] for line in lines} == {None}  # a run without inputs and a model has none
    assert all(datetime.fromisoformat(line["time"]).utcoffset() is not None for line in lines)
    assert lines[-1]["message"] == record(tmp_path)["sentence"]


def test_a_failed_attempt_and_the_lines_of_its_log_have_the_runs_id_once_it_is_known(run, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    assert run() == 0
    published = record(tmp_path)["run_id"]
    left(tmp_path, ".json").unlink()
    left(tmp_path, ".log").unlink()
    monkeypatch.setattr("pipeline.night.write_worklist", full)

    assert run() == 4

    said = record(tmp_path)
    lines = [json.loads(line) for line in left(tmp_path, ".log").read_text().splitlines()]
    assert said["run_id"] == published
    assert [line["run_id"] for line in lines if "verifying" in line["message"]] == [published]
    assert (lines[0]["run_id"], lines[-1]["run_id"]) == (None, published)


def test_what_libraries_write_from_c_reaches_no_terminal(tmp_path, capfd):
    with native_output(tmp_path / "native.log"):
        os.write(2, b"libtiff: Warning, unknown field\n")
        print("ours", file=sys.stderr)

    assert capfd.readouterr().err == "ours\n"
    assert (tmp_path / "native.log").read_bytes() == b"libtiff: Warning, unknown field\n"


def test_libraries_that_write_much_fill_no_disk_and_those_that_write_nothing_leave_no_file(tmp_path, capfd):
    with native_output(tmp_path / "much.log"):
        for _ in range(40):
            os.write(2, b"x" * 100_000)
    with native_output(tmp_path / "nothing.log"):
        pass

    assert (tmp_path / "much.log").stat().st_size == 1_000_000
    assert not (tmp_path / "nothing.log").exists()


def test_a_record_that_cannot_be_written_changes_nothing_of_the_night(run, tmp_path, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.runs.attempts.write_whole", full)

    assert run() == 0
    assert (tmp_path / "audits" / f"run_date={RUN_DATE}" / "_SUCCESS").exists()
