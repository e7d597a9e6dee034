"""What officers decided on a night comes back: checked line by line, filed whole, and of use to the nights to come."""

import csv
import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs.spreadsheets import neutralised
from hs_audit.cli import main
from model.cases.reading import open_cases
from pipeline.feedback.chances import chances_of
from pipeline.feedback.written import COLUMNS
from pipeline.findings.evidence import pictures_again
from pipeline.findings.finding import SourceRow
from pipeline.findings.worklist import ADDED
from pipeline.runs.published import published_run, read_findings
from tests.archives import BLUE, COLOURS, GREEN, RED, findings_of, row, write_archive
from tests.decided import as_row, decision, decisions_file, written
from tests.disks import full_disk
from tests.findings import SCHEMA, finding
from tests.rulings import noise

RUN_DATE = "2026-11-21"
FORMULA = "=1+1"


def goods(code: str, seed: int) -> bytes:
    return noise(seed, COLOURS[code], side=48)


def night(importer: str = "I1", *rows: dict) -> list[dict]:
    return [row(name, declared, *pictures, importer_id=importer) for name, declared, *pictures in rows]


ROWS = night(
    "I1",
    ("W1", "8708.29-0000", goods(BLUE, 1)),
    ("R1", RED, goods(BLUE, 2), goods(BLUE, 3)),
    ("C1", RED, goods(BLUE, 4)),
    ("A1", GREEN, goods(GREEN, 5)),
    (FORMULA, GREEN, goods(BLUE, 6)),
    ("N1", "n/a", goods(BLUE, 7)),
    ("N1", "n/a", goods(BLUE, 7)),
)


@pytest.fixture(scope="module")
def audit(colour_server: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Audits rows of a night and returns the run."""
    folder = tmp_path_factory.mktemp("nights")

    def audit(rows: list[dict], run_date: str = RUN_DATE, settled: object = None, name: str = "a") -> Path:
        archive = write_archive(folder / name / f"{run_date}.parquet", rows, importer_id=pa.string())
        config = folder / "config.yaml"
        config.write_text(f"server: {{model: hs}}\nworklist: {{budget: 100%, settled: {settled or 'null'}}}\n")
        flags = [f"--config={config}", f"--run-date={run_date}", f"--server={colour_server}"]
        assert main(["run", *flags, f"--input={archive}", f"--output={folder / name / 'audits'}"]) == 0
        return folder / name / "audits" / f"run_date={run_date}"

    return audit


@pytest.fixture(scope="module")
def run(audit) -> Path:
    return audit(ROWS)


@pytest.fixture
def found(run: Path) -> dict[str, dict]:
    return {finding["declaration_id"]: finding for finding in reversed(findings_of(run))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "filed"


@pytest.fixture
def file_them(run: Path, folder: Path, tmp_path: Path) -> Callable[..., int]:
    """Files decisions on the run, each argument a file of them; returns the exit code."""

    def file_them(*files: list, **more) -> int:
        paths = [decisions_file(tmp_path / f"{n}.json", run, each, **more) for n, each in enumerate(files)]
        return main(["feedback", str(run), *map(str, paths), f"--output={folder}"])

    return file_them


def filed(folder: Path) -> list[dict]:
    return pq.ParquetFile(folder / "decisions" / f"run_date={RUN_DATE}" / "decisions.parquet").read().to_pylist()


def files_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def usual(found: dict[str, dict]) -> list[dict]:
    return [
        decision(found["W1"], "wrong", "732690", note="steel, see picture"),
        decision(found["R1"], "right"),
        decision(found["C1"], "cannot_tell"),
        decision(found["A1"], "right"),
        decision(found[FORMULA], "wrong"),
    ]


def test_decisions_become_truth_cases_and_settled_matters(run, found, folder, file_them, capsys):
    before = files_in(run)

    assert file_them(usual(found)) == 0

    said = capsys.readouterr().out
    assert "5 decisions on the night of 2026-11-21: 5 new" in said
    assert "3 cases for training" in said
    assert "2 matters settled" in said
    assert {record["declaration_id"]: record["decision"] for record in filed(folder)} == {
        "W1": "wrong", "R1": "right", "C1": "cannot_tell", "A1": "right", FORMULA: "wrong",
    }  # fmt: skip
    record = filed(folder)[0]
    assert (record["officer"], record["note"], record["correct_code"]) == ("desk 7", "steel, see picture", "732690")
    assert record["decided_at"].isoformat() == "2026-11-22T00:30:00+00:00"
    assert (record["verdict"], record["model_name"], record["model_version"]) == ("differs", "hs", 1)
    assert (record["chosen_by"], record["inclusion_probability"]) == ("risk", 1.0)
    assert record["picture_digests"] == [picture["sha256"] for picture in found["W1"]["pictures"]]
    assert record["attempt_id"] == json.loads((run / "manifest.json").read_text())["attempt_id"]
    assert files_in(run) == before


@pytest.mark.parametrize("officer", ["", " "])
def test_decisions_without_a_name_are_filed_and_told(found, folder, file_them, capsys, officer: str):
    assert file_them([decision(found["R1"], "right"), decision(found["C1"], "cannot_tell")], officer=officer) == 0

    assert "2 decisions without an officer's name: nobody can say later who decided" in capsys.readouterr().out
    assert [record["officer"] for record in filed(folder)] == [officer] * 2


def test_training_reads_the_new_cases_as_they_are(found, folder, file_them):
    file_them(usual(found))

    cases = {case.hs_code: [read() for _, read in case.pictures] for case in open_cases(folder / "cases")}

    assert cases == {BLUE: [goods(BLUE, 1)], RED: [goods(BLUE, 2), goods(BLUE, 3)], GREEN: [goods(GREEN, 5)]}
    assert open_cases(folder / "cases").column("officer") == ["desk 7"] * 3


def test_score_reads_the_truth_and_no_cell_of_it_is_a_formula(run, found, folder, file_them, capsys):
    file_them(usual(found))
    told = capsys.readouterr().out
    truth = folder / "truth" / f"run_date={RUN_DATE}" / "truth.csv"

    assert main(["score", str(run), f"--truth={truth}"]) == 0

    assert "1 decision not in it" in told
    assert FORMULA not in truth.read_text(encoding="utf-8-sig")
    said = capsys.readouterr().out
    assert "3 findings counted; declared under a wrong code: 1 of 3" in said
    assert "flag: precision 1 of 2" in said


def test_the_same_file_again_changes_nothing(found, folder, file_them, capsys):
    file_them(usual(found))
    before = files_in(folder)

    assert file_them(usual(found)) == 0

    assert files_in(folder) == before
    assert "5 filed before" in (said := capsys.readouterr().out)
    assert "nothing has changed" in said


def test_decisions_that_an_earlier_version_filed_stay_beside_new_ones(found, folder, file_them, capsys):
    file_them([decision(found["W1"], "wrong", "732690")])
    file = folder / "decisions" / f"run_date={RUN_DATE}" / "decisions.parquet"
    pq.write_table(pq.ParquetFile(file).read().drop_columns(["picture_digests"]), file)

    assert file_them([decision(found["R1"], "right")]) == 0

    earlier, new = (record["picture_digests"] for record in filed(folder))
    assert earlier is None
    assert new == [picture["sha256"] for picture in found["R1"]["pictures"]]


def test_a_later_decision_by_anybody_replaces_and_an_earlier_one_does_not(found, folder, file_them, capsys):
    file_them(usual(found))
    later = decision(found["R1"], "wrong", "392690", decided_at="2026-11-23T08:00:00Z")
    earlier = decision(found["W1"], "right", decided_at="2026-11-21T08:00:00Z")

    assert file_them([later, earlier], officer="desk 9") == 0

    decided = {record["declaration_id"]: (record["officer"], record["decision"]) for record in filed(folder)}
    assert (decided["R1"], decided["W1"]) == (("desk 9", "wrong"), ("desk 7", "wrong"))
    assert sorted(open_cases(folder / "cases").codes()) == [GREEN, GREEN, BLUE]
    assert "1 in place of earlier ones, 1 older than what is filed, which stands" in capsys.readouterr().out


def test_files_that_contradict_each_other_are_refused_with_a_list(found, folder, file_them, capsys):
    one = [decision(found["W1"], "wrong", "732690"), decision(found["A1"], "right")]
    other = [decision(found["W1"], "right"), decision(found["A1"], "right", decided_at="2026-11-23T08:00:00Z")]

    assert file_them(one, other) == 2

    said = capsys.readouterr().err
    assert "0.json, decision 0 says wrong, 7326.90" in said
    assert "1.json, decision 0 says right" in said
    assert "contradict each other on 1 finding, so nothing was filed" in said
    assert not folder.exists()


WRONG_LINES = [
    ({"decision": "rihgt"}, "there is no decision 'rihgt'; did you mean right?"),
    ({"decision": ["wrong"]}, "there is no decision 1 value; known are wrong, right, cannot_tell"),
    ({"correct_code": "80830"}, "correct_code must be six digits or nothing, got '80830'"),
    ({"correct_code": "７３２６９０"}, "correct_code must be six digits or nothing"),
    ({"correct_code": 732690}, "correct_code must be six digits or nothing, got 732690"),
    ({"correct_code": "999999"}, "correct_code 999999 is not in the nomenclature"),
    ({"correct_code": RED}, "8708.29 correct, which is what was declared"),
    ({"decision": "right"}, "has a correct_code, which only a declared code that is wrong can have"),
    ({"source_row": 10**30}, "source_row must be a whole number"),
    ({"source_row": True}, "source_row must be a whole number, got True"),
    ({"source_row": 999}, "the run has no finding of row 999 of row group 0"),
    ({"source_file": "../../etc/passwd"}, "the run has no finding of row 0 of row group 0 of ../../etc/passwd"),
    ({"declaration_id": "A1"}, "declaration_id is 'A1', and the finding's is 'W1'"),
    ({"item_no": 7}, "item_no is 7, and the finding's is 1"),
    ({"note": "x" * 1_000_000}, "note has 1,000,000 characters, more than 10,000"),
    ({"note": None}, "note must be a text, got None"),
    ({"note": "\ud800"}, "note has half of a character"),
    ({"decided_at": "2026-11-22T09:30:00"}, "decided_at must be a time with its zone"),
    ({"decided_at": "0001-01-01T00:00:00+23:00"}, "decided_at must be a time with its zone"),
    ({"decided_at": "2099-01-01T00:00:00Z"}, "decided_at is in the future"),
    ({"shown": []}, "shown must be an object, got 0 values"),
    ({"shown": {"verdict": "agrees", "reason": "agrees", "recommended": []}}, "agrees (agrees) was shown"),
    (
        {"shown": {"verdict": "differs", "reason": "differs", "recommended": [{"hs_code": "1", "probability": 1.0}]}},
        "other codes were shown than the finding recommends, which are 732690",
    ),
    (
        {"shown": {"verdict": "differs", "reason": "differs", "recommended": [{"hs_code": "1", "probability": 9}]}},
        "shown.recommended must have codes, each with its probability",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "sentence"), WRONG_LINES)
def test_a_wrong_line_is_one_sentence_and_keeps_all_from_being_filed(
    found, folder, file_them, capsys, changed, sentence
):
    wrong = decision(found["W1"], "wrong", "732690") | changed

    assert file_them([decision(found["A1"], "right"), wrong]) == 2

    first, last = capsys.readouterr().err.splitlines()
    assert "0.json, decision 1: " in first
    assert sentence in first
    assert "1 of 2 decisions cannot be filed, so nothing was" in last
    assert not folder.exists()


def test_every_wrong_line_is_told_and_two_on_one_finding_are(found, file_them, capsys):
    twice = [decision(found["A1"], "right"), decision(found["A1"], "right"), "\x1b[31m", {"decision": "\u202ex"}]

    assert file_them(twice) == 2

    said = capsys.readouterr().err
    assert "decision 1: is on the same finding as decision 0" in said
    assert "decision 2: is no object of names and values" in said
    assert "decision 3: there is no decision '\\u202ex'" in said
    assert "3 of 4 decisions cannot be filed" in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b'{"format": "other"}', "its format must be 'hs-audit decisions'"),
        (b"[1, 2]", "its format must be 'hs-audit decisions'"),
        (b'{"format": "hs-audit decisions", "version": 2}', "is of version 2; this hs-audit reads version 1"),
        (b'{"format": "hs-audit decisions", "version": 1, "decisions": {}}', "has no list of decisions"),
        (b'{"format": "hs-audit decisions", "format": "x"}', "has the name 'format' twice"),
        (b'{"format": NaN}', "has NaN, which is no number of JSON"),
        (b'{"format": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"format', "is not JSON"),
        (b"", "as CSV it has no column run_id"),
        (b"a,b\r\n1,2\r\n", "as CSV it has no column run_id"),
        (b'"' + b"x" * 200_000, "is not CSV"),
    ],
)
def test_a_file_that_is_no_decisions_file_is_one_sentence(run, folder, tmp_path, capsys, content, sentence):
    (tmp_path / "d.json").write_bytes(content)

    assert main(["feedback", str(run), str(tmp_path / "d.json"), f"--output={folder}"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert not folder.exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"run_id": "0123"}, "is of run '0123', and"),
        ({"model": {"name": "hs", "version": 7}}, "was decided on findings of model 2 values"),
        ({"officer": 7}, "officer must be a text, got 7"),
    ],
)
def test_decisions_on_another_run_are_refused(found, file_them, capsys, more, sentence):
    assert file_them([decision(found["A1"], "right")], **more) == 2
    assert sentence in capsys.readouterr().err


def as_csv(run: Path, decisions: list[dict]) -> bytes:
    """As the page exports them: every cell quoted and fit for a spreadsheet."""
    manifest = json.loads((run / "manifest.json").read_text())
    of_file = {name: manifest[name] for name in ("run_id", "attempt_id", "run_date")} | {"officer": "=desk 7"}
    lines = ([(of_file | each)[name] for name in COLUMNS] for each in decisions)
    rows = [[neutralised("" if value is None else str(value)) for value in line] for line in lines]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([COLUMNS, *rows])
    return out.getvalue().encode("utf-8-sig")


def test_a_csv_file_says_the_same_as_json_and_formulas_come_back_as_they_were(run, found, folder, file_them, tmp_path):
    decisions = [decision(found[FORMULA], "wrong", "732690", note="=HYPERLINK()"), decision(found["A1"], "right")]
    file_them(decisions, officer="=desk 7")
    of_json = filed(folder)
    (tmp_path / "d.csv").write_bytes(as_csv(run, decisions))

    assert main(["feedback", str(run), str(tmp_path / "d.csv"), f"--output={tmp_path / 'other'}"]) == 0

    assert filed(tmp_path / "other") == of_json
    assert {record["note"] for record in of_json} == {"=HYPERLINK()", ""}


def test_a_wrong_line_of_a_csv_file_is_told_by_its_number(run, found, folder, tmp_path, capsys):
    line = decision(found["W1"], "wrong", "80830", source_row="x")
    (tmp_path / "d.csv").write_bytes(as_csv(run, [line]))

    assert main(["feedback", str(run), str(tmp_path / "d.csv"), f"--output={folder}"]) == 2
    assert "d.csv, line 2: source_row must be a whole number, got 'x'" in capsys.readouterr().err


def test_without_the_archive_decisions_are_filed_and_their_cases_once_it_is_back(audit, tmp_path, capsys):
    run = audit(ROWS, name="moved")
    archive, away = Path(findings_of(run)[0]["source_file"]), tmp_path / "away.parquet"
    path = decisions_file(tmp_path / "d.json", run, [decision(findings_of(run)[0], "wrong", "732690")])
    command = ["feedback", str(run), str(path), f"--output={tmp_path / 'filed'}"]
    archive.rename(away)

    assert main(command) == 0
    without = capsys.readouterr().out
    away.rename(archive)
    assert main(command) == 0

    assert "0 cases for training" in without
    assert "1 decision without pictures to learn from: The archive file is no longer there." in without
    assert "1 case for training" in capsys.readouterr().out
    assert [case.hs_code for case in open_cases(tmp_path / "filed" / "cases")] == [BLUE]


def test_decisions_are_filed_beside_the_run_by_default_and_never_into_it(audit, tmp_path, capsys):
    run = audit(ROWS, name="beside")
    path = decisions_file(tmp_path / "d.json", run, [decision(findings_of(run)[3], "right")])

    assert main(["feedback", str(run), str(path), f"--output={run / 'feedback'}"]) == 2
    assert main(["feedback", str(run), str(path)]) == 0

    assert "nothing is written into a published run" in capsys.readouterr().err
    assert (run.parent / "_feedback" / "decisions" / run.name / "decisions.parquet").is_file()


def saved_again(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((40, 40)).save(out, "JPEG", quality=80)
    return out.getvalue()


def ranked(run: Path) -> set[str]:
    return set(pq.ParquetFile(run / "worklist.parquet").read()["declaration_id"].to_pylist())


def test_the_next_night_does_not_raise_what_was_found_right_unless_the_evidence_has_changed(
    audit, found, folder, file_them, capsys
):
    file_them(usual(found))
    rows = night(
        "I1",
        ("same", RED, goods(BLUE, 2), goods(BLUE, 3)),
        ("one of them", RED, goods(BLUE, 3)),
        ("saved again", RED, saved_again(goods(BLUE, 2))),
        ("another picture", RED, goods(BLUE, 2), goods(BLUE, 33)),
        ("another code", GREEN, goods(BLUE, 2)),
        ("found wrong", "8708290000", goods(BLUE, 1)),
        ("nobody could tell", RED, goods(BLUE, 4)),
    ) + night("I2", ("another importer", RED, goods(BLUE, 2)))

    run = audit(rows, "2026-11-22", folder, "next")
    said = capsys.readouterr().err

    quiet = {"same", "one of them", "saved again"}
    assert ranked(run) == {each["declaration_id"] for each in rows} - quiet
    assert json.loads((run / "manifest.json").read_text())["settled"] == 3
    assert len(findings_of(run)) == len(rows)
    assert "3 findings not raised again" in said


@pytest.mark.parametrize(("night", "quiet"), [(RUN_DATE, set()), ("2026-11-22", {"R1", "A1"})])
def test_a_night_knows_what_was_settled_on_nights_before_it_alone(audit, found, folder, file_them, night, quiet):
    file_them(usual(found))

    without = audit(ROWS, night, None, "twice")
    raised, identity = ranked(without), findings_of(without)[0]["run_id"]
    knowing = audit(ROWS, night, folder, "twice")

    assert raised - ranked(knowing) == quiet
    assert (identity == findings_of(knowing)[0]["run_id"]) == (not quiet)  # what it knows is part of the run's id


def test_a_worklist_that_is_chosen_anew_leaves_settled_matters_out_too(
    audit, found, folder, file_them, tmp_path, capsys
):
    file_them(usual(found))
    run = audit(ROWS, "2026-11-22", None, "anew")

    chosen = ["worklist", str(run), "--budget=100%", f"--settled={folder}", f"--output={tmp_path}"]
    assert main(chosen) == 0

    assert ranked(run) - ranked(tmp_path) == {"R1", "A1"}
    assert "2 findings left out, as their matter is settled" in capsys.readouterr().out


def test_what_is_drawn_at_random_may_be_settled_so_that_its_hit_rate_is_that_of_the_night(
    audit, found, folder, file_them, tmp_path
):
    file_them(usual(found))
    run = audit(ROWS, "2026-11-22", None, "drawn")
    chosen = ["worklist", str(run), "--budget=100%", "--random-share=100%", f"--settled={folder}"]

    assert main([*chosen, f"--output={tmp_path}"]) == 0

    assert {"R1", "A1"} <= ranked(tmp_path)


@pytest.mark.parametrize("limit_bytes", [6_000, 20_000])  # as decisions are written, and as their cases are
def test_a_full_disk_is_one_sentence_and_the_same_command_files_the_rest(found, folder, file_them, capsys, limit_bytes):
    with full_disk(limit_bytes):
        code = file_them(usual(found))
    (line,) = capsys.readouterr().err.splitlines()

    assert code == 2
    assert f"{folder} cannot be written: " in line
    assert "File too large" in line
    assert file_them(usual(found)) == 0
    assert len(filed(folder)) == 5
    assert sorted(open_cases(folder / "cases").codes()) == [GREEN, BLUE, RED]
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".parquet", ".csv")]


def test_an_interrupted_feedback_is_a_sentence_and_the_same_command_files_the_rest(
    found, folder, file_them, capsys, monkeypatch
):
    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        return pictures_again(*args)

    monkeypatch.setattr("pipeline.feedback.filing.pictures_again", interrupted)
    code = file_them(usual(found))
    monkeypatch.undo()
    (line,) = capsys.readouterr().err.splitlines()

    assert code == 130
    assert "interrupted" in line
    assert file_them(usual(found)) == 0
    assert len(filed(folder)) == 5
    assert sorted(open_cases(folder / "cases").codes()) == [GREEN, BLUE, RED]


def test_decisions_on_a_run_that_was_not_published_are_refused(run, found, folder, tmp_path, capsys):
    path = decisions_file(tmp_path / "d.json", run, usual(found))
    staged = tmp_path / "_staging" / "20261121T000000-0"
    staged.mkdir(parents=True)
    (staged / "manifest.json").write_bytes((run / "manifest.json").read_bytes())

    assert main(["feedback", str(staged), str(path), f"--output={folder}"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "is no published run: it has no _SUCCESS" in line
    assert not folder.exists()


@pytest.mark.parametrize("name", ["nowhere.json", "."])
def test_a_file_that_is_not_there_and_a_folder_in_its_place_are_a_sentence(run, folder, tmp_path, capsys, name):
    assert main(["feedback", str(run), str(tmp_path / name), f"--output={folder}"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be read" in line
    assert not folder.exists()


def test_a_file_without_decisions_is_told(file_them, folder, capsys):
    assert file_them([]) == 2
    assert "there is no decision in" in capsys.readouterr().err
    assert not folder.exists()


def test_on_object_storage_the_same_is_filed_beside_the_run(colour_server, s3, tmp_path, capsys):
    output, archive = s3.folder("runs/feedback"), write_archive(tmp_path / "a.parquet", ROWS, importer_id=pa.string())
    config = tmp_path / "config.yaml"
    config.write_text(f"server: {{model: hs}}\nstorage: {{endpoint: '{s3.endpoint}', region: us-east-1}}\n")
    usual_flags = [f"--config={config}", f"--run-date={RUN_DATE}", f"--server={colour_server}", f"--input={archive}"]
    assert main(["run", *usual_flags, f"--output={output}"]) == 0
    run = published_run((output / f"run_date={RUN_DATE}").text, s3.stores())
    finding = next(iter(read_findings(run, ["W1"])))
    line = decision(as_row(finding), "wrong", "732690")
    decisions = written(tmp_path / "d.json", run.manifest, [line])
    command = ["feedback", run.name, str(decisions), f"--config={config}"]

    assert main([*command, f"--output={output / f'run_date={RUN_DATE}' / 'x'}"]) == 2
    assert main(command) == main(command) == 0

    filed_there = sorted(
        each.location.relative_to(output / "_feedback") for each in s3.stores().files(output / "_feedback")
    )
    assert filed_there == [
        f"cases/{RUN_DATE}.parquet",
        f"decisions/run_date={RUN_DATE}/decisions.parquet",
        f"settled/run_date={RUN_DATE}/settled.parquet",
        f"truth/run_date={RUN_DATE}/truth.csv",
    ]
    assert [case.hs_code for case in open_cases(output / "_feedback" / "cases", stores=s3.stores())] == [BLUE]


def test_another_code_recommended_with_more_raises_a_settled_matter_again(audit, found, folder, file_them):
    file_them([decision(found["R1"], "right")])
    settled = folder / "settled" / f"run_date={RUN_DATE}" / "settled.parquet"
    table = pq.ParquetFile(settled).read()
    weaker = pa.array(["392690"]), pa.array([0.4])
    for name, values in zip(("best_hs_code", "best_probability"), weaker, strict=True):
        table = table.set_column(table.column_names.index(name), table.schema.field(name), values)
    pq.write_table(table, settled)

    assert "R1" in ranked(audit(ROWS, "2026-11-22", folder, "stronger"))


def test_what_is_ranked_or_would_be_is_there_for_certain_and_the_rest_by_the_draw():
    lines = [
        finding(0, 0.9, "differs") | {"chosen_by": "risk", "draw_probability": None},
        finding(1, 0.8, "differs") | {"chosen_by": "random", "draw_probability": 0.1},
        finding(2, 0.7, "differs") | {"chosen_by": "risk", "draw_probability": None},
        finding(3, 0.6, "differs") | {"chosen_by": "random", "draw_probability": 0.1},
        finding(4, None, "no_picture") | {"chosen_by": "random", "draw_probability": 0.1},
    ]
    worklist = pa.Table.from_pylist([line | {"case": 1} for line in lines], pa.schema([*SCHEMA, *ADDED]))

    chances = chances_of(worklist)

    assert [chances[SourceRow("a.parquet", 0, row)] for row in range(5)] == [
        ("risk", 1.0), ("random", 1.0), ("risk", 1.0), ("random", 0.1), ("random", 0.1),
    ]  # fmt: skip
