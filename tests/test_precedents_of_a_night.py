"""A night by a model that knows rulings: they stand beside what looks wrong, and nothing else changes."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from pipeline.findings.finding import findings_in
from tests.archives import BLUE, GREEN, RED, findings_of
from tests.ruled_nights import PLAIN, WITH_RULINGS, night

NOT_COMPARED = {"run_id", "source_file", "precedents"}  # the card decides on the first


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return night(tmp_path_factory.mktemp("precedents") / "night", WITH_RULINGS)


def test_rulings_of_both_codes_stand_beside_what_looks_wrong_and_beside_nothing_else(run):
    found = {(one["declared_hs_code"], one["mismatch"]): one["precedents"] for one in findings_of(run)}

    assert {key: [(one["case_id"], one["hs_code"]) for one in of] for key, of in found.items()} == {
        (RED, False): [],
        (GREEN, True): [("KR-1", RED), ("KR-3", RED), ('<b onload="x()">\\u202e', RED), ("KR-2", GREEN)],
        (BLUE, True): [("KR-1", RED), ("KR-3", RED), ('<b onload="x()">\\u202e', RED)],
    }


def test_the_manifest_says_how_many_were_looked_up(run):
    said = json.loads((run / "manifest.json").read_text())["precedents"]

    assert said["findings"] == 30
    assert 36 <= said["pictures_looked_up"] <= 60  # a file that came before is looked up again where it looks wrong


def test_findings_are_read_with_their_rulings(run):
    part = next((run / "findings").iterdir())

    shown = [finding.precedents for finding in findings_in(pq.ParquetFile(part).read()) if finding.mismatch]

    assert shown
    assert {one.case_id for of in shown for one in of} >= {"KR-1", "KR-2", "KR-3"}


def test_explain_names_them_and_obeys_nothing_in_them(run, capsys):
    assert main(["explain", str(run), "D1"]) == 0

    said = capsys.readouterr().out
    assert f"KR-1: {RED}, similarity 0.90" in said
    assert '<b onload="x()">\\u202e' in said


def test_without_rulings_the_findings_are_the_same_but_for_those(run, tmp_path):
    without = findings_of(night(tmp_path / "night", PLAIN))

    assert all(not finding["precedents"] for finding in without)
    assert [of_interest(finding) for finding in without] == [of_interest(finding) for finding in findings_of(run)]


def test_rulings_are_the_same_whether_or_not_files_are_remembered(run, tmp_path):
    forgetful = findings_of(night(tmp_path / "night", WITH_RULINGS, remembered=0))

    assert [one["precedents"] for one in forgetful] == [one["precedents"] for one in findings_of(run)]


def test_what_is_drawn_at_random_has_its_rulings_too_and_nothing_else_changes(run, tmp_path):
    published = night(tmp_path / "night", WITH_RULINGS, worklist="{budget: 20%, random_share: 0.5}")

    drawn = [
        line for line in pq.ParquetFile(published / "worklist.parquet").read().to_pylist() if line["draw_probability"]
    ]
    assert {line["verdict"] for line in drawn} == {"agrees", "differs"}
    assert all(line["precedents"] for line in drawn)
    found = findings_of(published)
    assert any(not finding["precedents"] for finding in found)
    assert [of_interest(finding) for finding in found] == [of_interest(finding) for finding in findings_of(run)]


def of_interest(finding: dict) -> dict:
    return {name: value for name, value in finding.items() if name not in NOT_COMPARED}
