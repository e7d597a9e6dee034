"""A Delta log over published findings: its readers see one run before, during and after a night is done again."""

import os
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from hs_audit.cli import main
from pipeline.runs import delta_log
from pipeline.runs.delta_log import DeltaLog
from pipeline.runs.destination import destination
from pipeline.runs.objects import Objects
from tests.archives import GREEN, RED, findings_of, picture, row, write_archive
from tests.findings import SCHEMA, finding
from tests.object_storage import CREDENTIALS, ObjectStorage

RUN_DATE = date(2026, 11, 21)


@pytest.fixture
def audit(tmp_path: Path, colour_server: str):
    """Audits some rows to a folder with a Delta log."""
    config = tmp_path / "config.yaml"
    config.write_text("server: {model: hs}\npublish: {delta: true}\n")

    def audit(*rows: dict, night: str = RUN_DATE.isoformat(), **columns: pa.DataType) -> int:
        archive = write_archive(tmp_path / "archive" / night / "a.parquet", rows, **columns)
        flags = [f"--config={config}", f"--run-date={night}", f"--server={colour_server}", f"--input={archive}"]
        return main(["run", *flags, f"--output={tmp_path / 'audits'}"])

    return audit


def ids(table: pl.DataFrame) -> list[str]:
    return sorted(table["declaration_id"].to_list())


def test_readers_of_the_log_see_the_run_that_stands_and_those_of_an_older_version_the_one_before(audit, tmp_path):
    audits = str(tmp_path / "audits")
    assert audit(row("A1", RED, picture(RED)), row("A2", RED, picture(RED))) == 0
    assert audit(row("B1", RED, picture(RED), customs_value=2.5), night="2026-11-22", customs_value=pa.float64()) == 0
    begun = DeltaTable(audits)  # a reader that has begun: its files are named, and nothing is read yet

    assert audit(row("C1", GREEN, picture(RED))) == 0

    assert ids(pl.read_delta(begun)) == ["A1", "A2", "B1"]
    assert ids(pl.read_delta(audits)) == ["B1", "C1"]
    assert ids(pl.read_delta(audits, version=0)) == ["A1", "A2"]
    assert pl.read_delta(audits).sort("declaration_id")["value"].to_list() == [2.5, None]
    published = tmp_path / "audits" / "run_date=2026-11-21"
    assert [found["declaration_id"] for found in findings_of(published)] == ["C1"]


def test_a_log_that_was_not_written_is_mended_by_the_next_start(audit, tmp_path, monkeypatch, caplog):
    audits = tmp_path / "audits"
    assert audit(row("A1", RED, picture(RED))) == 0
    with monkeypatch.context() as broken:
        broken.setattr(
            delta_log, "_described", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        assert audit(row("B1", RED, picture(RED))) == 0
    assert "does not have 2026-11-21 yet" in caplog.text
    assert ids(pl.read_delta(str(audits))) == ["A1"]

    assert audit(row("C1", RED, picture(RED)), night="2026-11-22") == 0

    assert ids(pl.read_delta(str(audits))) == ["B1", "C1"]


def test_the_files_of_a_replaced_run_go_after_the_grace_time(audit, tmp_path):
    parts = tmp_path / "audits" / "_parts" / "run_date=2026-11-21"
    assert audit(row("A1", RED, picture(RED))) == 0
    (first,) = parts.iterdir()
    assert audit(row("B1", RED, picture(RED))) == 0
    (second,) = set(parts.iterdir()) - {first}
    old = time.time() - 2 * 86400
    for folder in (first, second):
        os.utime(folder, (old, old))

    assert audit(row("C1", RED, picture(RED)), night="2026-11-22") == 0

    assert list(parts.iterdir()) == [second]
    assert ids(pl.read_delta(str(tmp_path / "audits"))) == ["B1", "C1"]


def test_a_vacuum_of_the_table_removes_nothing_of_a_run(audit, tmp_path):
    assert audit(row("A1", RED, picture(RED))) == 0
    before = {path for path in (tmp_path / "audits").rglob("*") if path.is_file()}

    DeltaTable(str(tmp_path / "audits")).vacuum(dry_run=False, full=True)

    assert before <= {path for path in (tmp_path / "audits").rglob("*") if path.is_file()}


def test_a_type_that_delta_has_not_is_a_warning_and_the_night_is_published(audit, tmp_path, caplog):
    assert audit(row("A1", RED, picture(RED), office=timedelta(seconds=1)), office=pa.duration("s")) == 0

    assert "does not have 2026-11-21 yet" in caplog.text
    assert len(findings_of(tmp_path / "audits" / "run_date=2026-11-21")) == 1


def test_a_missing_extra_is_one_sentence_before_anything_is_made(audit, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "deltalake", None)

    assert audit(row("A1", RED, picture(RED))) == 2

    assert "publish.delta needs the extra `delta`: pip install 'hs-audit[delta]'" in capsys.readouterr().err
    assert not (tmp_path / "audits").exists()


def published(place: Objects, attempt_id: str, *rows: dict) -> None:
    part = f"findings/part-0-{attempt_id}.parquet"
    with place.locked(attempt_id) as before:
        with place.draft(attempt_id) as folder:
            (folder / "findings").mkdir()
            pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), folder / part)
            (folder / "manifest.json").write_text(f'{{"schema_version": 1, "outputs": [{{"path": "{part}"}}]}}')
            (folder / "_SUCCESS").touch()
        place.publish(attempt_id, before, 0o640)


def test_on_object_storage_the_log_names_the_files_where_they_are(s3: ObjectStorage):
    output = s3.folder("delta")
    place = destination(output.text, RUN_DATE, s3.stores(), 1, delta=True)
    options = {"endpoint": s3.endpoint, "allow_http": "true", "region": "us-east-1"} | {
        name.lower(): CREDENTIALS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }

    def read() -> list[str]:
        return ids(pl.read_delta(output.text, storage_options=options))

    published(place, "a1", finding(1, 0.5), finding(2, 0.5))
    first = read()
    unlogged = Objects(output, RUN_DATE, s3.stores(), 1)
    published(unlogged, "a2", finding(3, 0.5))
    between = read()
    s3.stores().write_bytes(
        output / "_delta_due" / "run_date=2026-11-21.json", b'{"why": "", "since": "2026-11-22T00:00:00+00:00"}'
    )
    place.restore()

    assert (first, between, read()) == (["D1", "D2"], ["D1", "D2"], ["D3"])
    assert s3.stores().files(output / "_delta_due") == []
    assert DeltaLog(output, s3.settings()).names() == {"run_date=2026-11-21/attempt-a2/findings/part-0-a2.parquet"}
