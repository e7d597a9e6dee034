"""A finding as people read it: typed, from runs of every schema version so far."""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from hs.codes import HSCode
from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.verdicts import Reason, Verdict
from pipeline.findings.finding import Finding, PictureRecord, Recommendation, SourceRow, findings_in
from pipeline.runs import published
from tests.findings import SCHEMA, finding, written

PICTURE = {"sha256": "ab", "status": "ok", "detail": None, "weight": 1.0}


def table(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(rows, SCHEMA)


def test_a_row_of_findings_becomes_a_value_with_codes_and_passed_through_columns_apart():
    rows = table(finding(3, 0.9, "differs", differs_at=4, declared_probability_4=0.01, pictures=[PICTURE]))

    (read,) = findings_in(rows)

    assert (read.declaration_id, read.item_no, read.run_date) == ("D3", 1, date(2026, 11, 21))
    assert read.source == SourceRow("a.parquet", 0, 3)
    assert (read.declared_hs_code, read.declared) == ("0808.10", HSCode("080810"))
    assert (read.verdict, read.reason, read.mismatch) == (Verdict.DIFFERS, Reason.DIFFERS, True)
    assert read.recommendations == (Recommendation(HSCode("080830"), 0.9, "Pears"),)
    assert read.recommended == [HSCode("080830")]
    assert read.declared_probabilities == {4: 0.01}
    assert read.pictures == (PictureRecord("ab", "ok", None, 1.0),)
    assert read.kept == {"office": "Busan", "importer": "I3", "value": 1000.0, "duty_rate": None}


def test_what_an_older_schema_version_did_not_have_is_none():
    older = table(finding(0, 0.5)).drop_columns(["novelty", "disagreement", "item_no", "declared_probability_10"])

    (read,) = findings_in(older)

    assert (read.novelty, read.disagreement, read.item_no) == (None, None, None)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"declaration_id": "D0"}, "no findings: they have no column run_id, run_date, source_file"),
        (finding(0, 0.5) | {"verdict": "guilty"}, "'guilty' is not a valid Verdict"),
        (finding(0, 0.5) | {"declared_hs_code_normalized": "8"}, "an HS code has 2, 4, 6, 8 or 10 digits, got '8'"),
    ],
)
def test_a_row_that_is_no_finding_is_refused(row, sentence):
    with pytest.raises(ValueError, match=sentence):
        Finding.from_row(row)


def a_run(part: Path) -> published.Run:
    return published.Run("a run", Location.parse(part.parent.parent), {}, Stores())


def test_findings_that_cannot_be_read_are_one_sentence(tmp_path):
    run = a_run(written(tmp_path, [finding(0, 0.5, "low_confidence", verdict="guilty")]))

    with pytest.raises(UsageError, match="cannot be read: 'guilty' is not a valid Verdict"):
        list(published.read_findings(run, ["D0"]))


def test_only_the_findings_that_are_asked_for_are_read(tmp_path):
    rows = [finding(row, 0.5) for row in range(4)] + [finding(4, 0.5, declaration_id=None)]
    run = a_run(written(tmp_path, [*rows, finding(5, 0.5, declaration_id="D1", item_no=2)]))

    read = list(published.read_findings(run, {"D1", "D3", "D9"}))

    assert [(one.declaration_id, one.item_no) for one in read] == [("D1", 1), ("D3", 1), ("D1", 2)]


@pytest.mark.parametrize(("version", "readable"), [(1, True), (2, True), (3, False), (0, False), (None, False)])
def test_runs_of_older_schema_versions_stay_readable(tmp_path, monkeypatch, version, readable):
    monkeypatch.setattr(published, "SCHEMA_VERSION", 2)
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": version}))

    if readable:
        assert published.published_run(tmp_path).manifest["schema_version"] == version
    else:
        with pytest.raises(UsageError, match=f"is of schema_version {version}, expected 1 to 2"):
            published.published_run(tmp_path)
