"""A night published to object storage is the one that a disk gets, and the commands after a run read it there."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hs.storage.location import Location
from hs_audit.cli import main
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.object_storage import BUCKET, CREDENTIALS, NO_ANSWER, ObjectStorage

RUN_DATE = "2026-11-21"
ROWS = [
    row(f"D{number}", (RED, GREEN, BLUE)[number % 5 % 3], picture((RED, GREEN, BLUE)[number % 3], shade=number % 40))
    for number in range(60)
] + [row("N1", "n/a"), row("N2", RED, b"%PDF-1.7")]


@pytest.fixture
def config(tmp_path: Path, s3: ObjectStorage) -> Path:
    path = tmp_path / "config.yaml"
    storage = f"storage: {{endpoint: '{s3.endpoint}', region: us-east-1, outage_budget_s: 20}}"
    path.write_text(f"server: {{model: hs, batch_size: 8, in_flight: 2}}\n{storage}\n")
    return path


@pytest.fixture
def audit(config: Path, tmp_path: Path, colour_server: str):
    """Audits the same archive to an output, and returns the exit code."""
    archive = write_archive(tmp_path / "archive" / "a.parquet", ROWS, row_group_size=20)
    usual = [f"--config={config}", f"--run-date={RUN_DATE}", f"--server={colour_server}", f"--input={archive}"]
    return lambda output, *flags: main(["run", *usual, f"--output={output}", *flags])


@pytest.fixture
def output(s3: ObjectStorage, request: pytest.FixtureRequest) -> Location:
    return s3.folder(f"runs/{request.node.name.partition('[')[0]}")


def files_of(output: Location, config: Path, capsys, *flags: str) -> list[str]:
    capsys.readouterr()
    assert main(["files", str(output), f"--run-date={RUN_DATE}", f"--config={config}", *flags]) == 0
    return capsys.readouterr().out.split()


def read(s3: ObjectStorage, files: list[str]) -> list[dict]:
    """All findings in the order of the archive, but for what names the run."""
    rows = []
    for file in files:
        with s3.stores().open_input(Location.parse(file)) as stream:
            rows += pq.ParquetFile(stream).read().to_pylist()
    return sorted(
        rows, key=lambda finding: (finding["source_file"], finding["source_row_group"], finding["source_row"])
    )


def test_a_night_on_object_storage_equals_the_one_on_a_disk_and_so_does_what_is_said_of_it(
    audit, s3, config, output, tmp_path, capsys
):
    assert audit(tmp_path / "audits") == 0
    assert audit(output) == 0

    run, local = output / f"run_date={RUN_DATE}", tmp_path / "audits" / f"run_date={RUN_DATE}"
    assert read(s3, files_of(output, config, capsys)) == findings_of(local)
    everything = [file.rsplit("/", 1)[1] for file in files_of(output, config, capsys, "--what=all")]
    assert {name for name in everything if not name.startswith("part-")} == {
        path.name for path in local.iterdir() if path.is_file()
    }
    manifest = json.loads(s3.stores().read_bytes(Location.parse(files_of(output, config, capsys, "--what=all")[-2])))
    for part in manifest["outputs"]:
        assert part["sha256"] == s3.stores().sha256(run / f"attempt-{manifest['attempt_id']}" / part["path"])
    for command in (["worklist", "--budget=10", "--random-share=20%"], ["report"], ["explain", "D3"]):
        there = said(command, run.text, tmp_path / "there", capsys, f"--config={config}")
        assert there == said(command, str(local), tmp_path / "here", capsys)
    truth = tmp_path / "truth.csv"
    truth.write_text("declaration_id,kind,true_hs_code\nD3,wrong,870829\nD0,right,870829\n")
    scored = said(["score", f"--truth={truth}", "--json"], run.text, None, capsys, f"--config={config}")
    assert scored == said(["score", f"--truth={truth}", "--json"], str(local), None, capsys)


def said(command: list[str], run: str, output: Path | None, capsys, *flags: str) -> tuple[str, dict[str, bytes]]:
    """What a command prints and writes, but for what is another in each run."""
    name, *more = command
    capsys.readouterr()
    where = [f"--output={output}"] if output and name != "explain" else []
    assert main([name, run, *more, *where, *flags]) == 0
    written = {path.name: path.read_bytes() for path in output.iterdir()} if where else {}
    written.pop("worklist.xlsx", None)  # has the time in it
    if "report.html" in written:
        written = {
            "report.html": b"".join(line for line in written["report.html"].splitlines() if b"timing" not in line)
        }
    return capsys.readouterr().out.replace(str(output), "OUT"), {} if name == "report" else written


def test_nothing_but_the_run_is_left_in_the_output(audit, s3, output):
    assert audit(output) == 0
    assert audit(output) == 0

    left = [facts.location.relative_to(output) for facts in s3.stores().files(output)]
    tops = {name.split("/")[0] for name in left}
    assert tops == {"_logs", "_staging", f"run_date={RUN_DATE}"}
    assert len([name for name in left if name.endswith("_SUCCESS")]) == 2  # the replaced one has its grace
    assert len([name for name in left if name.startswith("_staging/")]) == 1
    logs = [name for name in left if name.startswith("_logs/")]
    assert sorted(name.rsplit(".", 1)[1] for name in logs) == ["json", "json", "log", "log"]
    assert not any(name.endswith("reports.json") for name in left)


def test_a_run_that_fails_leaves_the_earlier_one_standing_and_its_record(audit, s3, config, output, tmp_path, capsys):
    assert audit(output) == 0
    before = files_of(output, config, capsys)
    (tmp_path / "archive" / "b.parquet").write_bytes(b"")

    assert audit(output, f"--input={tmp_path}/archive/*.parquet") == 4

    assert files_of(output, config, capsys) == before
    records = [facts.location for facts in s3.stores().files(output / "_logs") if facts.location.suffix == ".json"]
    assert sorted(json.loads(s3.stores().read_bytes(file))["exit_code"] for file in records) == [0, 4]


def test_a_night_without_rows_has_one_empty_file(audit, s3, config, output, tmp_path, capsys):
    empty = write_archive(tmp_path / "empty.parquet", [])
    config.write_text(config.read_text() + "limits: {min_rows: 0}\n")

    assert audit(output, f"--input={empty}") == 0

    assert read(s3, files_of(output, config, capsys)) == []


def test_a_storage_that_goes_away_while_findings_are_sent_is_waited_for(audit, s3, config, output, capsys):
    failing = []

    def fault(method: str, path: str):
        if method == "PUT" and "/findings/part-" in path and len(failing) < 4:
            failing.append(path)
            return NO_ANSWER
        return None

    s3.fault = fault
    assert audit(output) == 0

    assert len(failing) == 4
    assert len(read(s3, files_of(output, config, capsys))) == len(ROWS)


def test_a_storage_that_stays_away_ends_the_run_with_one_sentence_and_nothing_published(
    audit, s3, config, output, capsys
):
    config.write_text(config.read_text().replace("outage_budget_s: 20", "outage_budget_s: 0.5"))
    s3.fault = lambda method, path: NO_ANSWER if "/findings/part-" in path else None

    assert audit(output) == 8

    said = capsys.readouterr().err
    assert "was away for more than 0.5 s" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not s3.stores().exists(output / f"run_date={RUN_DATE}" / "_CURRENT")


@pytest.mark.parametrize(
    ("output", "variables", "sentence"),
    [
        ("s3://not-there/audits", {}, "the output s3://not-there/audits cannot be written"),
        ("s3://not-there", {}, "the output s3://not-there cannot be written"),
        ("abfs://x/audits", {}, "no storage abfs:// is built in; did you mean abfss?"),
    ],
)
def test_an_output_that_cannot_be_is_one_sentence(audit, capsys, monkeypatch, output, variables, sentence):
    assert audit(output) == 2

    said = capsys.readouterr().err
    assert sentence in said.splitlines()[-1]
    assert "Traceback" not in said


def test_no_credential_is_written_anywhere(audit, s3, output):
    assert audit(output) == 0

    for facts in s3.stores().files(output):
        content = s3.stores().read_bytes(facts.location)
        assert not [name for name, value in CREDENTIALS.items() if len(value) > 8 and value.encode() in content]


def test_files_of_a_local_run_are_listed_too(audit, config, tmp_path, capsys):
    assert audit(tmp_path / "audits") == 0
    capsys.readouterr()

    assert main(["files", str(tmp_path / "audits" / f"run_date={RUN_DATE}")]) == 0
    (part,) = capsys.readouterr().out.split()
    assert Path(part).parent == tmp_path / "audits" / f"run_date={RUN_DATE}" / "findings"
    assert main(["files", str(tmp_path / "audits")]) == 2
    assert "give one, or the night with --run-date" in capsys.readouterr().err
    assert main(["files", str(tmp_path / "audits"), "--run-date=2026-01-01"]) == 2
    assert main(["files", f"s3://{BUCKET}/nothing", "--run-date=2026-01-01", f"--config={config}"]) == 2
