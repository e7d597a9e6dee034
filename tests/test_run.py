"""`hs-audit run` from archive to published findings, against a real server."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.declared_codes import parse_declared_code
from hs.pictures.decoding import PictureLimits, decode
from hs.verdicts import Evidence, Judge
from hs_audit.cli import main
from pipeline.config import load_config
from pipeline.runs.manifest import describe_configuration
from serving.client.client import Client
from serving.client.connection import Connection
from serving.fake import FakeServer, plain_model
from tests.archives import BLUE, GREEN, RED, findings_of, grey_picture, picture, row, write_archive
from tests.hostile import jpeg_of_scans

RUN_DATE = "2026-11-21"

ROWS = [
    row("A1", "8708.29-0000", picture(RED)),
    row("A2", " 392690 ", picture(GREEN), picture(GREEN, shade=20)),
    row("A3", "870829", picture(BLUE)),
    row("A4", "870829", picture(RED), picture(GREEN)),
    row("A5", "870829"),
    row("A6", "870829", b"", b"%PDF-1.4 hello"),
    row("A7", "870829", picture(RED)[:60], picture(RED, image_format="JPEG")),
    row("A8", "8708.3", picture(RED)),
    row("A9", "999999", picture(RED)),
    row("A10", "610910", picture(RED)),
    row("A11", "870829", grey_picture()),
    row(None, None, picture(BLUE), None),
    row("A1", "808100000", picture(BLUE)),
]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("server: {model: hs, batch_size: 4, in_flight: 2}\nworklist: {budget: 3}\n")
    return path


@pytest.fixture
def run(config: Path, colour_server: str, tmp_path: Path):
    """Runs the audit of the archive in `tmp_path` and returns its exit code."""

    def run(*flags: str, pattern: str = "archive/*.parquet") -> int:
        return main(
            ["run", f"--config={config}", f"--run-date={RUN_DATE}", f"--server={colour_server}",
             f"--input={tmp_path / pattern}", f"--output={tmp_path / 'audits'}", *flags]
        )  # fmt: skip

    return run


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "audits" / f"run_date={RUN_DATE}"


def test_every_declaration_gets_its_finding_with_a_reason(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS, row_group_size=5)

    assert run() == 0

    found = [(finding["declaration_id"], finding["reason"]) for finding in findings_of(published)]
    assert found == [
        ("A1", "agrees"),
        ("A2", "agrees"),
        ("A3", "differs"),
        ("A4", "pictures_disagree"),
        ("A5", "no_picture"),
        ("A6", "unreadable"),
        ("A7", "agrees"),
        ("A8", "code_malformed"),
        ("A9", "code_unknown"),
        ("A10", "sure_of_others"),
        ("A11", "unknown_goods"),
        (None, "code_malformed"),
        ("A1", "sure_of_others"),
    ]


def test_the_findings_are_those_of_a_plain_loop_over_the_same_rows(run, tmp_path, published, colour_server):
    paths = [
        write_archive(tmp_path / "archive" / "a.parquet", ROWS * 5, row_group_size=7),
        write_archive(tmp_path / "archive" / "b.parquet", ROWS[::-1], row_group_size=100),
    ]

    assert run() == 0

    expected = [finding for path in paths for finding in plain_loop(path, colour_server)]
    for finding, plain in zip(findings_of(published), expected, strict=True):
        risk = plain.pop("risk")
        assert {name: finding[name] for name in plain} == plain
        assert finding["risk"] == (None if risk is None else pytest.approx(risk, abs=1e-5))


def plain_loop(path: Path, address: str) -> list[dict]:
    """The audit of one file, one declaration and one picture at a time."""
    client = Client(Connection(address))
    model = client.resolve("hs")
    judge = Judge(model.table, model.card.thresholds)
    findings = []
    for declared in pq.read_table(path).to_pylist():
        decoded = [
            decode(image["bytes"] or b"", model.picture_size, PictureLimits()) for image in declared["images"] or ()
        ]
        distinct = {p.pixels.tobytes(): p.pixels for p in decoded if p.pixels is not None}
        answers = [client.classify(model, pixels[np.newaxis]).probabilities for pixels in distinct.values()]
        rows = np.concatenate(answers) if answers else np.zeros((0, len(model.table)), np.float32)
        parsed = parse_declared_code(declared["declared_hs_code"])
        judgement = judge(parsed, Evidence(len(decoded), len(answers), rows))
        findings.append(
            {
                "declaration_id": declared["declaration_id"],
                "declared_hs_code": declared["declared_hs_code"],
                "code_repair": parsed.repair,
                "verdict": judgement.verdict.value,
                "reason": judgement.reason.value,
                "mismatch": judgement.verdict.value == "differs",
                "differs_at": judgement.differs_at,
                "risk": judgement.risk,
                "images_total": len(decoded),
            }
        )
    client.close()
    return findings


def test_the_same_night_again_gives_the_same_findings_and_replaces_the_run(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS, row_group_size=5)
    run()
    first, first_manifest = findings_of(published), json.loads((published / "manifest.json").read_text())

    assert run() == 0

    again = json.loads((published / "manifest.json").read_text())
    assert findings_of(published) == first
    assert again["run_id"] == first_manifest["run_id"]
    assert again["attempt_id"] != first_manifest["attempt_id"]
    assert sorted(path.name for path in published.parent.iterdir()) == ["_logs", "_staging", published.name]


def test_a_published_run_has_everything_and_its_manifest_adds_up(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)

    run()

    manifest = json.loads((published / "manifest.json").read_text())
    names = sorted(path.name for path in published.iterdir())
    assert names == [
        "_SUCCESS",
        "dead_letters",
        "findings",
        "manifest.json",
        "metrics.prom",
        "report.html",
        "worklist.csv",
        "worklist.parquet",
        "worklist.xlsx",
    ]
    assert manifest["rows"]["in_footers"] == manifest["rows"]["findings"] == sum(manifest["verdicts"].values()) == 13
    assert sum(manifest["reasons"].values()) == 13
    assert sum(manifest["pictures"].values()) == sum(len(declared["images"]) for declared in ROWS)
    assert manifest["declaration_ids"] == {"repeated": 2, "missing": 1}
    assert manifest["nulled_values"] == {}
    assert manifest["model"]["version"] == 1
    assert manifest["thresholds"]["from"] == "model"
    digests = {path["path"]: path["sha256"] for path in manifest["outputs"]}
    (part,) = (published / "findings").iterdir()
    assert part.name.endswith(f"-{manifest['attempt_id']}.parquet")
    assert sorted(digests) == [
        f"dead_letters/part-00000-{manifest['attempt_id']}.parquet",
        f"findings/{part.name}",
        "metrics.prom",
        "report.html",
        "worklist.csv",
        "worklist.parquet",
        "worklist.xlsx",
    ]
    assert digests["worklist.csv"] == hashlib.sha256((published / "worklist.csv").read_bytes()).hexdigest()


def test_who_listed_the_files_of_a_run_that_is_done_again_reads_none_of_the_new_one(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    run()
    listed = [*(published / "findings").iterdir(), *(published / "dead_letters").iterdir()]

    run()

    assert len(listed) == 2
    assert not [path for path in listed if path.exists()]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("verdict: {look_alikes: missing.csv}", "missing.csv cannot be read: No such file"),
        ("worklist: {rates: missing.csv}", "missing.csv cannot be read: No such file"),
        ("worklist: {per_office: true}", "a worklist per office needs the column office"),
        ("worklist: {by: revenue}", "a worklist by revenue needs the column value"),
        ("keep: [chosen_by]", "'chosen_by' is already a column of the findings or the worklist"),
    ],
)
def test_a_worklist_that_cannot_be_made_is_told_before_the_night(
    run, config, tmp_path, published, capsys, settings, sentence
):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    config.write_text(f"server: {{model: hs}}\n{settings}\n")

    assert run() == 2
    assert sentence in capsys.readouterr().err
    assert not published.exists()


def test_look_alikes_keep_a_verdict_unsure(run, config, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    (tmp_path / "alike.csv").write_text("hs_code,looks_like\n8708.29,3926.90\n8708.29,7326.90\n3926.90,7326.90\n")
    config.write_text(f"server: {{model: hs}}\nverdict: {{look_alikes: {tmp_path / 'alike.csv'}}}\n")

    assert run() == 0
    reasons = {finding["reason"] for finding in findings_of(published)}
    assert "look_alike" in reasons
    assert "differs" not in reasons


def test_readers_use_the_findings_as_one_table(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)

    run()

    counted = duckdb.sql(
        f"select verdict, count(*) from read_parquet('{published.parent}/run_date=*/findings/*.parquet') "
        "group by verdict order by verdict"
    ).fetchall()
    assert counted == [("agrees", 3), ("cannot_judge", 8), ("differs", 1), ("unsure", 1)]


def test_the_worklist_has_the_budget_and_the_riskiest_first(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)

    run()

    lines = (published / "worklist.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 1 + 3
    assert lines[1].startswith('"1","1","risk","","","","A3",')


def test_one_bad_file_costs_that_files_unread_rows_only(run, tmp_path, published):
    good = write_archive(tmp_path / "archive" / "a.parquet", ROWS * 8)
    damaged = write_archive(tmp_path / "archive" / "b.parquet", ROWS, row_group_size=4)
    overwrite_pictures(damaged, row_group=1)
    (tmp_path / "archive" / "c.parquet").write_bytes(b"")
    (tmp_path / "archive" / "d.parquet").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "archive" / "e.parquet").write_bytes(b"not a parquet file at all")

    assert run("--run-date=2026-11-20") == 4
    code = run_with_limit(run, tmp_path)

    letters = pq.read_table(published / "dead_letters").to_pylist()
    assert code == 3
    assert [(Path(letter["file"]).name, letter["reason"], letter["rows"]) for letter in letters] == [
        ("b.parquet", "bad_page", 4),
        ("c.parquet", "empty_file", None),
        ("d.parquet", "truncated", None),
        ("e.parquet", "not_parquet", None),
    ]
    assert len(findings_of(published)) == 13 * 8 + 9


def overwrite_pictures(path: Path, row_group: int) -> None:
    """Overwrites bytes in the middle of a row group's pictures, as a bad disk would."""
    metadata = pq.ParquetFile(path).metadata.row_group(row_group)
    chunk = next(
        metadata.column(i) for i in range(metadata.num_columns) if metadata.column(i).path_in_schema.endswith("bytes")
    )
    content = bytearray(path.read_bytes())
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    content[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(content)


def run_with_limit(run, tmp_path: Path) -> int:
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text("limits: {max_unscored_share: 1.0}\n")
    return run(f"--config={lenient}")


def test_a_run_that_fails_leaves_the_earlier_one_untouched(run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    run()
    before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    (tmp_path / "archive" / "b.parquet").write_bytes(b"")

    assert run() == 4

    assert {path: path.read_bytes() for path in published.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("limit", "exit_code"), [("20%", 4), ("100%", 3)])
def test_what_the_server_said_of_most_pictures_without_an_answer_is_told(tmp_path, capsys, limit, exit_code):
    archive = write_archive(tmp_path / "a.parquet", ROWS)
    config = tmp_path / "c.yaml"
    config.write_text(f"server: {{model: hs, batch_size: 4}}\nlimits: {{max_unscored_share: {limit}}}\n")
    busy = FakeServer(plain_model("392690", "870829"))
    late = (grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
    busy.spoil = lambda request, response: late if "images" in getattr(request, "inputs", {}) else None

    with busy.listening() as address:
        flags = [f"--config={config}", f"--server={address}", f"--input={archive}", f"--output={tmp_path / 'audits'}"]
        assert main(["run", f"--run-date={RUN_DATE}", *flags]) == exit_code

    said = capsys.readouterr().err
    assert "; 13 of 13 pictures without an answer: DEADLINE_EXCEEDED: too slow" in said


WITH_SMALL_FILES = """
import resource, sys
from hs_audit.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(sys.argv[1:]))
"""


def test_findings_that_the_disk_does_not_take_are_one_sentence(config, tmp_path, published, colour_server):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS * 100, row_group_size=50)
    flags = [f"--config={config}", f"--run-date={RUN_DATE}", f"--server={colour_server}",
             f"--input={tmp_path / 'archive' / '*.parquet'}", f"--output={tmp_path / 'audits'}"]  # fmt: skip

    ended = subprocess.run([sys.executable, "-c", WITH_SMALL_FILES, "run", *flags], capture_output=True, text=True)

    assert ended.returncode == 4, ended.stderr
    assert "the findings cannot be written to" in ended.stderr.splitlines()[-1]
    assert "File too large; nothing was published" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not published.exists()
    assert not list(tmp_path.glob("audits/_staging/*/findings/*"))  # nothing that is cut short


def test_reports_of_workers_that_the_disk_does_not_take_are_one_sentence(run, tmp_path, published, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    monkeypatch.setattr("hs.storage.stores.Stores.write_bytes", full)

    assert run() == 4

    assert "the reports of the workers cannot be written to" in capsys.readouterr().err.splitlines()[-1]
    assert not published.exists()


def test_columns_of_other_names_and_kept_ones_pass_through(config, run, tmp_path, published):
    table = pa.table(
        {
            "id": ["x"],
            "code": [8708290000],
            "photo": pa.array([picture(RED)], pa.binary()),
            "who": pa.array(["Acme"]).dictionary_encode(),
            "kg": [2.5],
        }
    )
    (tmp_path / "archive").mkdir()
    pq.write_table(table, tmp_path / "archive" / "a.parquet")
    config.write_text(
        "columns: {declaration_id: id, declared_hs_code: code, images: photo, importer: who}\nkeep: [kg]\n"
    )

    assert run() == 0

    (finding,) = findings_of(published)
    assert (finding["declaration_id"], finding["item_no"], finding["declared_hs_code"]) == ("x", None, "8708290000")
    assert (finding["importer"], finding["kg"], finding["reason"]) == ("Acme", 2.5, "agrees")


def test_values_that_do_not_fit_the_type_of_the_first_file_are_null_and_the_manifest_counts_them(
    config, run, tmp_path, published
):
    config.write_text("keep: [kg]\n")
    archive = tmp_path / "archive"
    write_archive(archive / "a.parquet", [row("A", "870829", office=7, kg="x")], office=pa.int64(), kg=pa.string())
    rows = [row(f"B{n}", "870829", office="?" if n % 10 == 3 else str(n), kg=1.5) for n in range(200)]
    table = pq.read_table(write_archive(archive / "b.parquet", rows, office=pa.string(), kg=pa.float64()))
    items = pa.array([1, *[1 << 63] * 199], pa.uint64())
    pq.write_table(table.set_column(1, "item_no", items), archive / "b.parquet", row_group_size=30)

    assert run() == 0

    found = findings_of(published)
    assert [finding["office"] for finding in found] == [7, *(None if n % 10 == 3 else n for n in range(200))]
    assert {finding["kg"] for finding in found[1:]} == {"1.5"}
    assert json.loads((published / "manifest.json").read_text())["nulled_values"] == {"item_no": 199, "office": 20}


@pytest.mark.parametrize("name", ["office", "kg"])
def test_a_file_in_which_a_passed_through_column_stands_twice_is_a_dead_letter(config, run, tmp_path, published, name):
    config.write_text("keep: [kg]\nlimits: {max_unscored_share: 1}\n")
    rows = [row("A1", "870829", picture(RED), office="Busan", kg=2.5)]
    good = write_archive(tmp_path / "archive" / "b.parquet", rows, office=pa.string(), kg=pa.float64())
    table = pq.read_table(good)
    pq.write_table(table.append_column(name, table[name]), tmp_path / "archive" / "a.parquet")

    assert run() == 3

    (finding,) = findings_of(published)
    (letter,) = pq.read_table(published / "dead_letters").to_pylist()
    assert (finding["source_file"], finding["office"], finding["kg"]) == (str(good), "Busan", 2.5)
    assert (letter["file"], letter["reason"]) == (str(tmp_path / "archive" / "a.parquet"), "duplicate_column")
    assert letter["rows"] == 1


def test_times_to_the_nanosecond_pass_through_to_the_microsecond(config, run, tmp_path, published):
    nanoseconds = pa.array([1_700_000_000_000_000_123], pa.timestamp("ns"))
    table = pa.table(
        {"declaration_id": ["x"], "declared_hs_code": ["8708"], "images": [picture(BLUE)], "at": nanoseconds}
    )
    (tmp_path / "archive").mkdir()
    pq.write_table(table, tmp_path / "archive" / "a.parquet")
    config.write_text("keep: [at]\n")

    assert run() == 0

    (finding,) = findings_of(published)
    assert finding["at"].isoformat() == "2023-11-14T22:13:20"


def test_a_model_from_elsewhere_works_when_the_configuration_describes_it(config, run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    (tmp_path / "codes.txt").write_text("870829\n392690\n73*\n")
    config.write_text(
        "foreign_model: {input: images, output: probabilities, height: 32, width: 32, "
        f"classes: {tmp_path / 'codes.txt'}}}\n"
        "verdict: {thresholds: {differs_below: 0.05, agrees_above: 0.4, unknown_above: 0.9}}\n"
    )

    assert run() == 0

    found = {finding["declaration_id"]: finding["reason"] for finding in findings_of(published)}
    assert (found["A2"], found["A3"], found["A11"]) == ("agrees", "differs", "unknown_goods")


@pytest.mark.parametrize("runner", ["DirectRunner", "FnApiRunner"])
def test_both_names_of_the_local_runner_work(run, tmp_path, published, runner):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)

    assert run(f"--runner={runner}") == 0

    assert len(findings_of(published)) == 13


def test_a_night_of_fewer_rows_than_expected_is_not_published(config, run, tmp_path, published, capsys):
    write_archive(tmp_path / "archive" / "a.parquet", [])

    assert run() == 4

    assert "the input has 0 rows, fewer than the 1 of limits.min_rows; nothing was published" in capsys.readouterr().err
    assert not published.exists()


def test_a_night_without_rows_is_published_empty_where_that_is_allowed(config, run, tmp_path, published):
    config.write_text("limits: {min_rows: 0}\n")
    write_archive(tmp_path / "archive" / "a.parquet", [])

    assert run() == 0

    assert findings_of(published) == []


def test_a_picture_that_needs_more_memory_than_there_is_gets_its_status(config, run, tmp_path, published):
    config.write_text("pictures: {max_decoding_bytes: 4000}\n")
    write_archive(tmp_path / "archive" / "a.parquet", [row("A1", RED, picture(RED), picture(RED, size=(8, 8)))])

    run()

    (finding,) = findings_of(published)
    assert [picture["status"] for picture in finding["pictures"]] == ["too_costly", "ok"]
    assert finding["pictures"][0]["detail"] == "0 MB of memory to decode"


def test_a_picture_that_takes_too_long_is_given_up_once_and_the_night_goes_on(config, run, tmp_path, published, capsys):
    config.write_text("pictures: {max_decoding_s: 0.05}\n")
    slow = jpeg_of_scans(90, 4000, 3000)
    rows = [row(f"A{number}", RED, slow, picture(RED, shade=number)) for number in range(40)]
    write_archive(tmp_path / "archive" / "a.parquet", rows)

    assert run() == 0

    pictures = [[picture["status"] for picture in finding["pictures"]] for finding in findings_of(published)]
    assert pictures == [["too_costly", "ok"]] * 40
    assert findings_of(published)[39]["pictures"][0]["detail"] == "more than 0.05 s of processor time"
    assert findings_of(published)[39]["pictures"][0]["sha256"] == hashlib.sha256(slow).hexdigest()


def test_pictures_that_take_too_long_and_cannot_be_ended_end_the_night(config, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.job.decoding_threads._MOST_GIVEN_UP", 1)
    config.write_text("pictures: {max_decoding_s: 0.05}\n")
    slow = [jpeg_of_scans(90 + number, 4000, 3000) for number in range(3)]
    rows = [row("A1", RED, picture(RED)), row("A2", RED, *slow)]
    path = write_archive(tmp_path / "archive" / "a.parquet", rows)

    assert run() == 4

    said = " ".join(capsys.readouterr().err.split())
    assert "2 pictures took more than 0.05 s each to decode (pictures.max_decoding_s) and cannot be ended" in said
    assert f"the latest: a picture in {path}, row group 0, rows 0 to 1; nothing was published" in said


def test_thresholds_of_the_configuration_win_over_the_models(config, run, tmp_path, published):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    config.write_text("verdict: {thresholds: {differs_below: 0, agrees_above: 0, unknown_above: 1}}\n")

    run()

    manifest = json.loads((published / "manifest.json").read_text())
    assert manifest["thresholds"]["from"] == "configuration"
    assert "differs" not in manifest["verdicts"]


def test_the_models_thresholds_are_those_for_the_mistakes_of_the_configuration(
    config, run, tmp_path, published, capsys
):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    config.write_text("verdict: {mistakes: within_chapter}\n")
    code = run()

    config.write_text("verdict: {mistakes: within_heading}\n")
    refused = run()

    manifest = json.loads((published / "manifest.json").read_text())
    assert (code, refused) == (0, 6)
    assert (manifest["thresholds"]["from"], manifest["thresholds"]["differs_below"]) == ("model", 0.01)
    assert "has no thresholds for mistakes within_heading" in " ".join(capsys.readouterr().err.split())


MISTAKES = [
    (2, ["--input={tmp}/archive/*.parquet", "--config={tmp}/none.yaml"], "none.yaml cannot be read"),
    (2, ["--nonsense=3"], "neither hs-audit nor Beam knows the flag --nonsense=3"),
    (2, ["--output=ftp://host/audits"], "no storage ftp:// is built in"),
    (5, ["--server=localhost:1", "--config={tmp}/impatient.yaml"], "no model server answers at localhost:1"),
    (6, ["--version=9"], "no available version 9; available: [1]"),
    (6, ["--config={tmp}/other_model.yaml"], "no available version; available: none"),
    (7, ["--input={tmp}/archive/*.csv"], "no file matches the input"),
    (7, ["--input={tmp}/broken/*.parquet"], "can be read"),
    (2, ["--input={tmp}/wrong/missing.parquet"], "no column 'images' for images; the file has"),
    (2, ["--input={tmp}/wrong/float32.parquet"], "cannot hold the ten digits"),
    (2, ["--input={tmp}/wrong/twice.parquet"], "stands more than once"),
    (2, ["--config={tmp}/keep.yaml"], "'verdict' is already a column of the findings"),
    (2, ["--config={tmp}/keep_missing.yaml"], "no input file has a column 'colour'"),
]


@pytest.mark.parametrize(("code", "flags", "sentence"), MISTAKES, ids=[sentence for _, _, sentence in MISTAKES])
def test_a_mistake_is_one_sentence_and_its_exit_code(run, tmp_path, capsys, code, flags, sentence):
    write_archive(tmp_path / "archive" / "a.parquet", ROWS)
    write_mistakes(tmp_path)

    assert run(*(flag.format(tmp=tmp_path) for flag in flags)) == code

    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("hs-audit run: ")
    assert sentence in said
    assert not (tmp_path / "audits" / f"run_date={RUN_DATE}").exists()


def test_names_from_the_archive_cannot_command_the_terminal(run, tmp_path, capsys):
    (tmp_path / "archive").mkdir()
    pq.write_table(pa.table({"\x1b[2J": [1]}), tmp_path / "archive" / "a.parquet")

    assert run() == 2

    assert "\x1b" not in capsys.readouterr().err


def write_mistakes(folder: Path) -> None:
    (folder / "impatient.yaml").write_text("server: {connect_budget_s: 0.2}\n")
    (folder / "other_model.yaml").write_text("server: {model: cars}\n")
    (folder / "keep.yaml").write_text("keep: [verdict]\n")
    (folder / "keep_missing.yaml").write_text("keep: [colour]\n")
    (folder / "broken").mkdir()
    (folder / "broken" / "a.parquet").write_bytes(b"")
    (folder / "wrong").mkdir()
    good = pq.read_table(folder / "archive" / "a.parquet")
    float32 = pa.array([8708290000.0] * len(good), pa.float32())
    position = good.schema.get_field_index("declared_hs_code")
    pq.write_table(good.drop(["images"]), folder / "wrong" / "missing.parquet")
    pq.write_table(good.set_column(position, "declared_hs_code", float32), folder / "wrong" / "float32.parquet")
    pq.write_table(good.append_column("images", good["images"]), folder / "wrong" / "twice.parquet")


def test_the_manifest_does_not_say_where_the_key_lies(tmp_path, config):
    config.write_text("server: {tls: {ca: ca.pem, certificate: c.pem, key: /etc/keys/secret.pem}}\n")

    assert "secret" not in json.dumps(describe_configuration(load_config(config)))
