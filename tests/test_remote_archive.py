"""An archive on object storage: read like one of this machine, with few requests, and no fault of it is a damage."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hs.errors import ContractBroken, StorageLost
from hs.storage.models import model_here
from hs_audit.cli import main
from pipeline.archive.footers import ArchiveFile, inspect
from pipeline.archive.page_sizes import page_sizes
from pipeline.archive.row_groups import read_row_group
from pipeline.values import ColumnNames, DeadLetter, Declarations, Layout
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.object_storage import DENIED, NO_ANSWER, SLOW_DOWN, range_bytes

RUN_DATE = "2026-11-21"
NAMES = ColumnNames()
LAYOUT = Layout(NAMES, (("office", "office"),), (("office", pa.string()),))
PIECE = 8 << 20


@pytest.fixture(scope="module")
def large(shared_storage, tmp_path_factory):
    """A file of two row groups of 20 MB each, here and there; no picture in it is one."""
    path = tmp_path_factory.mktemp("large") / "a.parquet"
    rows = [row(f"D{number}", "870829", os.urandom(100_000), office="Busan") for number in range(400)]
    write_archive(path, rows, row_group_size=200, office=pa.string())
    there = shared_storage.folder("large") / "a.parquet"
    shared_storage.stores().write_bytes(there, path.read_bytes())
    return path, there


def read(file: ArchiveFile, stores) -> list[Declarations | DeadLetter]:
    return [batch for pointer in file.pointers() for batch in read_row_group(pointer, LAYOUT, stores)]


def ids_and_pictures(batches: list[Declarations | DeadLetter]) -> tuple[list[str], list[bytes]]:
    ids = [id_ for batch in batches for id_ in batch.columns.column("declaration_id").to_pylist()]
    return ids, [data for batch in batches for data in batch.pictures.to_pylist()]


def test_an_archive_there_is_read_like_one_here_with_a_request_for_each_eight_megabytes(large, s3):
    here, there = large
    stores = s3.stores()

    file = inspect(there, NAMES, stores=stores)
    assert len(s3.gets()) == 2  # its beginning and its end
    s3.requests.clear()
    found = read(file, stores)

    assert ids_and_pictures(found) == ids_and_pictures(read(inspect(here, NAMES), stores))
    fetched = [range_bytes(part) for _, part in s3.gets()]
    assert len(fetched) <= 2 + 2 * -(-file.size_bytes // 2 // PIECE)  # the footer, and three pieces a row group
    assert sum(fetched) < file.size_bytes + PIECE // 8  # nothing twice, page headers included


def test_page_headers_of_large_row_groups_cost_at_most_a_request_for_eight_megabytes(s3, tmp_path):
    there, stores = s3.folder("headers") / "a.parquet", s3.stores()
    write_archive(tmp_path / "a.parquet", [row("D", "870829", os.urandom(100_000)) for _ in range(520)], 1000)
    stores.write_bytes(there, (tmp_path / "a.parquet").read_bytes())
    s3.requests.clear()

    pages = list(page_sizes(str(there), "images", stores))
    headers = len(s3.gets())
    s3.requests.clear()
    found = read(inspect(there, NAMES, stores=stores), stores)

    assert pages == list(page_sizes(str(tmp_path / "a.parquet"), "images"))
    assert len(pages) >= 30
    megabytes = 520 * 0.1
    assert headers <= 4 + megabytes / 8
    assert sum(batch.rows for batch in found) == 520
    assert len(s3.gets()) <= 4 + 2 * megabytes / 8  # more than is kept in memory: read through twice


@pytest.mark.parametrize("how", [SLOW_DOWN, NO_ANSWER])
def test_an_outage_in_the_middle_is_waited_for_and_no_dead_letter(large, s3, how):
    _, there = large
    file, stores = inspect(there, NAMES, stores=s3.stores()), s3.stores()
    pointer = file.pointers()[0]

    reading = read_row_group(pointer, LAYOUT, stores)
    batches = [next(reading)]
    s3.fail(4, how, "GET")
    batches += reading

    assert sum(batch.rows for batch in batches) == 200
    assert not [batch for batch in batches if isinstance(batch, DeadLetter)]


def test_a_storage_that_stays_away_is_no_dead_letter_either(large, s3):
    _, there = large
    file, stores = inspect(there, NAMES, stores=s3.stores()), s3.stores(outage_budget_s=0.1)
    s3.fail(10_000, SLOW_DOWN)

    with pytest.raises(StorageLost, match="was away for more than"):
        read(file, stores)


def test_damaged_bytes_cost_the_same_rows_there_as_here(large, s3, tmp_path):
    here, _ = large
    damaged = bytearray(here.read_bytes())
    damaged[15_000_000:15_000_100] = bytes(100)
    (tmp_path / "a.parquet").write_bytes(damaged)
    there, stores = s3.folder("damaged") / "a.parquet", s3.stores()
    stores.write_bytes(there, bytes(damaged))

    of_here = read(inspect(tmp_path / "a.parquet", NAMES), stores)
    of_there = read(inspect(there, NAMES, stores=stores), stores)

    letters = [[letter for letter in found if isinstance(letter, DeadLetter)] for found in (of_here, of_there)]
    assert [(letter.row_group, letter.first_row, letter.rows, letter.reason) for letter in letters[1]] == [
        (letter.row_group, letter.first_row, letter.rows, letter.reason) for letter in letters[0]
    ]
    assert [letter.reason for letter in letters[1]] == ["bad_page"]


def test_what_became_of_a_file_since_the_start_stands_in_its_dead_letter(s3, tmp_path):
    there, stores = s3.folder("since") / "a.parquet", s3.stores()
    write_archive(tmp_path / "a.parquet", [row("A", "870829", picture(RED), office="Busan")], office=pa.string())
    content = (tmp_path / "a.parquet").read_bytes()
    stores.write_bytes(there, content)
    file = inspect(there, NAMES, stores=stores)

    reasons = []
    for became in ("same", "other", "refused", "gone"):
        if became == "other":
            write_archive(
                tmp_path / "a.parquet", [row("B", "870829", picture(RED), office="Ulsan")], office=pa.string()
            )
            stores.write_bytes(there, (tmp_path / "a.parquet").read_bytes())
        elif became == "refused":
            s3.fail(1, DENIED)
        elif became == "gone":
            stores.delete(there)
        (found,) = read(file, stores)
        reasons.append(found.reason if isinstance(found, DeadLetter) else "read")

    assert reasons == ["read", "changed", "not_permitted", "file_missing"]


def test_a_file_that_is_written_again_while_it_is_read_is_changed_and_not_damaged(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [row(f"D{number}", "870829", np.random.default_rng(number).bytes(100_000)) for number in range(200)]
    write_archive(path, rows, 1000)
    (pointer,) = inspect(path, NAMES).pointers()

    reading = read_row_group(pointer, Layout(NAMES, (), ()))
    first = next(reading)
    with open(path, "r+b") as stream:
        stream.seek(5_000_000)
        stream.write(bytes(10_000_000))
    *_, last = reading

    assert first.rows > 0
    assert (last.reason, last.detail) == ("changed", "it was written again while it was read")


@pytest.fixture
def run(s3, colour_server: str, tmp_path: Path):
    """Runs the audit of an input and returns its exit code."""

    def run(pattern: str, output: str = "audits", outage_budget_s: float = 30) -> int:
        config = tmp_path / "config.yaml"
        storage = f"{{endpoint: '{s3.endpoint}', region: us-east-1, outage_budget_s: {outage_budget_s}}}"
        config.write_text(f"server: {{model: hs, batch_size: 4}}\nworklist: {{budget: 3}}\nstorage: {storage}\n")
        where = (f"--input={pattern}", f"--output={tmp_path / output}")
        return main(["run", f"--config={config}", f"--run-date={RUN_DATE}", f"--server={colour_server}", *where])

    return run


@pytest.fixture
def night(s3, tmp_path: Path) -> str:
    """A small night, here under `archive` and there; returns the pattern of the one there."""
    rows = [row("A1", "870829", picture(RED)), row("A2", "392690", picture(GREEN)), row("A3", "870829", picture(BLUE))]
    write_archive(tmp_path / "archive" / RUN_DATE / "a.parquet", rows * 5, row_group_size=4)
    write_archive(tmp_path / "archive" / RUN_DATE / "more" / "b.parquet", rows, row_group_size=2)
    s3.upload(tmp_path / "archive", s3.folder("archive"))
    return f"{s3.folder('archive')}/{{run_date}}/**/*.parquet"


def test_the_findings_of_a_night_there_are_those_of_the_same_night_here(run, night, tmp_path, s3):
    assert run(f"{tmp_path}/archive/{{run_date}}/**/*.parquet", "here") == 0
    assert run(night, "there") == 0

    found = [findings_of(tmp_path / name / f"run_date={RUN_DATE}") for name in ("here", "there")]
    root = f"s3://customs/archive/{RUN_DATE}"
    assert {finding["source_file"] for finding in found[1]} == {f"{root}/a.parquet", f"{root}/more/b.parquet"}
    differing = {"source_file", "run_id", "risk", "recommendations", "declared_probability"}
    for here, there in zip(*found, strict=True):
        for name in here.keys() - differing:
            assert here[name] == there[name] or name.startswith("p_"), name
    pages = [(tmp_path / name / f"run_date={RUN_DATE}" / "report.html").read_text() for name in ("here", "there")]
    assert pages[0].count("data:image/jpeg") == pages[1].count("data:image/jpeg") > 0


def test_a_storage_that_is_lost_while_it_is_read_ends_the_run_with_a_sentence(run, night, s3, capsys, tmp_path):
    s3.fault = lambda method, path: SLOW_DOWN if method == "GET" and "list-type" not in path and s3.gets()[8:] else None

    assert run(night, outage_budget_s=0.2) == 8

    told = capsys.readouterr().err
    assert "was away for more than 0.2 s" in told
    assert "nothing was published" in told
    assert "Traceback" not in told
    assert not (tmp_path / "audits" / f"run_date={RUN_DATE}").exists()


@pytest.mark.parametrize(
    ("pattern", "exit_code", "sentence"),
    [
        ("s3://no-such-bucket/*.parquet", 7, "there is no such bucket"),
        ("s3://customs/no/such/*.parquet", 7, "no file matches"),
        ("s3a://customs/*.parquet", 2, "no storage s3a:// is built in; did you mean s3"),
        ("s3://AKIA:hunter2@customs/*.parquet", 2, "no credentials"),
    ],
)
def test_an_input_that_cannot_be_is_told_in_a_sentence(run, pattern, exit_code, sentence, capsys, tmp_path):
    assert run(pattern) == exit_code

    told = capsys.readouterr().err
    assert sentence in told
    assert "hunter2" not in told
    assert (tmp_path / "audits").exists() == (exit_code == 7)


def test_wrong_credentials_are_told_in_a_sentence(run, night, s3, capsys):
    s3.fail(10_000, (403, "InvalidAccessKeyId"))

    assert run(night) == 2

    told = capsys.readouterr().err
    assert "cannot be listed; credentials come from the environment" in told
    assert "secret-of-the-tests" not in told


def test_check_archive_looks_at_a_night_there(s3, night, tmp_path, capsys):
    config = tmp_path / "check.yaml"
    config.write_text(f"storage: {{endpoint: '{s3.endpoint}', region: us-east-1}}\n")

    code = main(["check", "archive", night.replace("{run_date}", RUN_DATE), f"--config={config}"])

    assert code == 0
    assert "2 files, 18 rows" in capsys.readouterr().out


def test_a_model_there_is_copied_for_as_long_as_it_is_needed(
    s3, by_the_environment, colour_model, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    s3.upload(colour_model, s3.folder("models/colours"))
    s3.upload(colour_model / "1", s3.folder("models/colours/candidates/9"))  # no version, whatever its number

    with model_here(s3.folder("models/colours"), None, s3.stores()) as here:
        files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(colour_model) for path in colour_model.rglob("*") if path.is_file())

    assert not list(tmp_path.glob("hs-audit-model-*"))
    with (
        pytest.raises(ContractBroken, match="has no version 7; it has 1"),
        model_here(s3.folder("models/colours"), 7, s3.stores()),
    ):
        pass
    assert main(["check", "model", "s3://customs/models/none"]) == 6


@pytest.mark.slow
def test_check_model_looks_at_a_model_there(s3, by_the_environment, colour_model, capsys):
    s3.upload(colour_model, s3.folder("models/checked"))

    assert main(["check", "model", "s3://customs/models/checked"]) == 0

    assert "s3://customs/models/checked/1" in capsys.readouterr().out
