"""Cases from anywhere: one set of rulings, kept in every layout, is read as the same."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from model.cases.reading import Unreadable, open_cases
from tests.archives import COLOURS
from tests.rulings import noise, write_cases

SIZE = PictureSize(16, 16)
RULINGS = [(code, noise(number)) for number, code in enumerate([*COLOURS, *COLOURS])]


def as_table(folder: Path) -> Path:
    return write_cases(folder / "cases.parquet", [(code, [data]) for code, data in RULINGS])


def as_folder_of_tables(folder: Path) -> Path:
    write_cases(folder / "a.parquet", [(code, [data]) for code, data in RULINGS[:4]])
    write_cases(folder / "b.parquet", [(code, [data]) for code, data in RULINGS[4:]])
    return folder


def as_folder_per_code(folder: Path) -> Path:
    for number, (code, data) in enumerate(RULINGS):
        (folder / code).mkdir(exist_ok=True)
        (folder / code / f"{number}.png").write_bytes(data)
    return folder


def as_named_files(folder: Path) -> Path:
    for number, (code, data) in enumerate(RULINGS):
        (folder / f"{code}_{number}.png").write_bytes(data)
    return folder


def _files(folder: Path) -> list[dict]:
    for number, (_, data) in enumerate(RULINGS):
        (folder / f"{number}.png").write_bytes(data)
    return [{"file_name": f"{number}.png", "hs_code": code} for number, (code, _) in enumerate(RULINGS)]


def as_csv(folder: Path) -> Path:
    lines = _files(folder)
    with open(folder / "metadata.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return folder


def as_json_lines(folder: Path) -> Path:
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _files(folder)))
    return folder


def as_parquet_manifest(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(_files(folder)), folder / "named.parquet")
    return folder / "named.parquet"


LAYOUTS = [
    as_table, as_folder_of_tables, as_folder_per_code, as_named_files, as_csv, as_json_lines, as_parquet_manifest,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rulings_are_read_from_every_layout(tmp_path, layout):
    cases = open_cases(layout(tmp_path))

    pictures = list(cases.pictures(SIZE))

    assert cases.count == len(RULINGS)
    assert sorted((picture.hs_code, picture.encoded) for picture in pictures) == sorted(RULINGS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_digest_changes_with_a_picture(tmp_path, layout):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    before = open_cases(layout(tmp_path / "one")).digest()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.test_cases.RULINGS", [*RULINGS[:-1], (RULINGS[-1][0], noise(99))])
        after = open_cases(layout(tmp_path / "two")).digest()

    assert before != after


def test_of_several_pictures_the_first_readable_one_or_all_are_taken(tmp_path):
    path = write_cases(tmp_path / "cases.parquet", [("870829", [b"", noise(1), noise(2)])])

    first = [picture.encoded for picture in open_cases(path, all_pictures=False).pictures(SIZE)]
    every = [picture.encoded for picture in open_cases(path).pictures(SIZE)]

    assert first == [noise(1)]
    assert every == [noise(1), noise(2)]


def test_unreadable_pictures_are_listed_with_their_reason(tmp_path):
    path = write_cases(tmp_path / "cases.parquet", [("870829", [noise(1), b"%PDF-1.4", b""])])
    left_out: list[Unreadable] = []

    list(open_cases(path).pictures(SIZE, left_out))

    assert left_out == [Unreadable("case-0", "1.png", "not_a_picture"), Unreadable("case-0", "2.png", "empty")]


def test_files_of_one_case_in_a_manifest_are_one_case(tmp_path):
    lines = [line | {"case_id": "A" if number < 4 else f"B{number}", "hs_code": "870829"}
             for number, line in enumerate(_files(tmp_path))]  # fmt: skip
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    cases = list(open_cases(tmp_path))

    assert [len(case.pictures) for case in cases] == [4, 1, 1]


def test_the_rest_of_a_prefix_is_a_class(tmp_path):
    path = write_cases(tmp_path / "cases.parquet", [("87*", [noise(1)])])

    assert [case.hs_code for case in open_cases(path)] == ["87*"]


def _manifest(folder: Path, text: str) -> Path:
    (folder / "metadata.csv").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda folder: folder / "none", "does not exist"),
        (lambda folder: folder, "holds no cases"),
        (lambda folder: _manifest(folder, "file_name,hs_code\n"), "names no picture"),
        (lambda folder: _manifest(folder, "file_name,hs_code\na.png,870829\n"), "names 1 files that do not exist"),
        (lambda folder: _manifest(folder, "file,hs_code\na.png,870829\n"), "line 1: file_name and hs_code are needed"),
        (lambda folder: _manifest(folder, "file_name,hs_code\na.png,cat\n"), "line 1: hs_code 'cat' is not an HS code"),
        (lambda folder: (folder / "x.jsonl").write_text("{") and folder / "x.jsonl", "is not a readable manifest"),
        (lambda folder: (folder / "cat_1.jpg").write_bytes(b"") or folder, "hs_code 'cat' is not an HS code"),
        (lambda folder: (folder / "x.parquet").write_bytes(b"PAR1") and folder / "x.parquet", "not a readable Parquet"),
        (lambda folder: pq.write_table(pa.table({"a": [1]}), folder / "x.parquet") or folder, "has no column hs_code"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_cases_is_one_sentence(tmp_path, write, sentence):
    path = write(tmp_path)

    with pytest.raises(UsageError, match=sentence):
        open_cases(path)


def test_a_case_under_two_codes_is_refused(tmp_path):
    lines = [line | {"case_id": "A"} for line in _files(tmp_path)]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(UsageError, match="case A stands under 870829 and under 392690"):
        open_cases(tmp_path)
