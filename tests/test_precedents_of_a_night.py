"""A night by a model that knows rulings: they stand beside what looks wrong, and nothing else changes."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from pipeline.findings.finding import findings_in
from serving.contract import ServedModel
from serving.fake import FakeServer, plain_model
from tests.archives import BLUE, COLOURS, GREEN, RED, findings_of, picture, row, write_archive

RULINGS = (("KR-1", RED), ("KR-2", GREEN), ("KR-3", RED), ('<b onload="x()">\u202e', RED), ("KR-5", RED))
PLAIN = plain_model(*COLOURS)
WITH_RULINGS = replace(PLAIN, card=replace(PLAIN.card, precedents=len(RULINGS)))
NOT_COMPARED = {"run_id", "source_file", "precedents"}  # the card decides on the first


def night(folder: Path, model: ServedModel, remembered: int = 5000) -> Path:
    """Every picture shows red goods: half of sixty declarations, of six files, say green or blue."""
    folder.mkdir()
    declared = (RED, GREEN, RED, BLUE)
    files = [picture(RED, shade=number) for number in range(6)]
    rows = [row(f"D{number}", declared[number % 4], files[number % 6], files[0]) for number in range(60)]
    write_archive(folder / "archive" / "a.parquet", rows, row_group_size=7)
    (folder / "config.yaml").write_text(f"server: {{model: hs, batch_size: 4, remembered: {remembered}}}\n")
    server = FakeServer(model, probabilities=(0.99, 0.005, 0.005), rulings=RULINGS)
    with server.listening() as address:
        flags = [f"--config={folder / 'config.yaml'}", f"--input={folder}/archive/*.parquet", f"--output={folder}/out"]
        assert main(["run", "--run-date=2026-11-21", f"--server={address}", *flags]) == 0
    return folder / "out" / "run_date=2026-11-21"


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


def of_interest(finding: dict) -> dict:
    return {name: value for name, value in finding.items() if name not in NOT_COMPARED}
