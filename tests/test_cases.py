"""Cases from anywhere: one set of rulings, kept in every layout, is read as the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from model.cases.reading import Unreadable, open_cases
from model.cases.variants import variant
from tests.archives import COLOURS, IMAGES
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
def test_rulings_on_object_storage_are_those_of_this_machine(tmp_path, layout, s3):
    path = layout(tmp_path)
    there = s3.folder(f"cases/{layout.__name__}")
    s3.upload(tmp_path, there)

    here = open_cases(path)
    cases = open_cases(there if path == tmp_path else there / path.name, stores=s3.stores())

    of_here, of_there = list(here.pictures(SIZE)), list(cases.pictures(SIZE))
    assert [(one.hs_code, one.encoded) for one in of_there] == [(one.hs_code, one.encoded) for one in of_here]
    assert (cases.count, cases.digest()) == (here.count, here.digest())


def test_cases_that_are_not_there_are_said_so(s3):
    with pytest.raises(UsageError, match="s3://customs/no-cases does not exist"):
        open_cases(s3.folder("no-cases"), stores=s3.stores())
    with pytest.raises(UsageError, match="cannot be read"):
        open_cases("s3://no-such-bucket/cases", stores=s3.stores())


A, B = noise(1), noise(2)
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FULL, EMPTY = {"bytes": A, "path": "a.png"}, {"bytes": None, "path": "/etc/passwd"}
COLUMNS = {
    "binary": pa.array([A, None, B], pa.binary()),
    "large_binary": pa.array([A, None, B], pa.large_binary()),
    "binary_view": pa.array([A, None, B], pa.binary_view()),
    "dictionary": pa.array([A, None, B]).dictionary_encode(),
    "struct": pa.array([FULL, None, {"bytes": B, "path": ""}], STRUCT),
    "struct without path": pa.array([{"bytes": A}, None, {"bytes": B}], pa.struct([("bytes", pa.large_binary())])),
    "list<binary>": pa.array([[A], None, [B]], pa.list_(pa.binary())),
    "list<binary_view>": pa.array([[A], [], [B]], pa.list_(pa.binary_view())),
    "list<dictionary>": pa.array([[A], [], [B]], pa.list_(pa.dictionary(pa.int32(), pa.binary()))),
    "large_list<binary>": pa.array([[A], None, [B]], pa.large_list(pa.binary())),
    "large_list<struct>": pa.array([[FULL], [], [{"bytes": B, "path": None}]], pa.large_list(STRUCT)),
    "list<struct>": pa.array([[FULL], None, [{"bytes": B, "path": None}]], IMAGES),
}  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS)
def test_pictures_of_cases_are_read_from_every_layout_of_an_archive(tmp_path, column):
    pq.write_table(pa.table({"hs_code": ["87", "39", "73"], "images": COLUMNS[column]}), tmp_path / "cases.parquet")

    cases = open_cases(tmp_path / "cases.parquet")

    read = [(case.hs_code, [(name, encoded()) for name, encoded in case.pictures]) for case in cases]
    name = "a.png" if "path" in str(COLUMNS[column].type) else ""
    assert read == [("87", [(name, A)]), ("39", []), ("73", [("", B)])]


@pytest.mark.parametrize("images", [[FULL, EMPTY], [FULL, None]])
def test_a_picture_without_bytes_is_an_empty_one(tmp_path, images):
    pq.write_table(pa.table({"hs_code": ["87"], "images": pa.array([images], IMAGES)}), tmp_path / "cases.parquet")
    left_out: list[Unreadable] = []

    pictures = list(open_cases(tmp_path / "cases.parquet").pictures(SIZE, left_out))

    assert [picture.encoded for picture in pictures] == [A]
    assert [picture.reason for picture in left_out] == ["empty"]


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


def _table(folder: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), folder / "x.parquet")
    return folder / "x.parquet"


def _twice(folder: Path, name: str, **columns) -> Path:
    table = pa.table(columns)
    pq.write_table(table.append_column(name, table[name]), folder / "x.parquet")
    return folder / "x.parquet"


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
        (lambda folder: _table(folder, a=[1]), "has no column hs_code, images"),
        (lambda folder: _table(folder, hs_code=["87"], images=["a.png"]),
         "column 'images' is string, expected binary, struct<bytes, path>, or a list of either"),
        (lambda folder: _table(folder, hs_code=["87"], images=[[[b""]]]), "column 'images' is list<.*>, expected"),
        (lambda folder: _table(folder, hs_code=pa.array([8708290000.0], pa.float32()), images=[b""]),
         "column 'hs_code' is float, which cannot hold ten digits"),
        (lambda folder: _twice(folder, "images", hs_code=["87"], images=[b""]), "column 'images' stands more than"),
        (lambda folder: _twice(folder, "hs_code", hs_code=["87"], images=[b""]), "'hs_code' stands more than once"),
        (lambda folder: _twice(folder, "case_id", hs_code=["87"], images=[b""], case_id=["1"]), "'case_id' stands"),
        (lambda folder: _twice(folder, "hs_code", hs_code=["87"], file_name=["1.png"]), "'hs_code' stands more"),
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


def write_broken_pages(path: Path) -> None:
    write_cases(path, [("870829", [noise(number, side=200)]) for number in range(20)])
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 50 + data[54:])


UNREADABLE = {
    "cases.parquet": (write_broken_pages, "cases.parquet cannot be read to its end: "),
    "deep/metadata.jsonl": (lambda path: path.write_text("[" * 100_000), "metadata.jsonl is not a readable manifest: "),
    "list/metadata.jsonl": (lambda path: path.write_text("[1]\n"), "metadata.jsonl, line 1: file_name and hs_code"),
    "long/metadata.csv": (
        lambda path: path.write_text(f"file_name,hs_code\n{'x' * 200_000},870829\n"),
        "metadata.csv is not a readable manifest: field larger than field limit",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_cases_that_cannot_be_read_are_told_by_their_file(tmp_path, name):
    write, sentence = UNREADABLE[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path)

    with pytest.raises(UsageError, match=sentence) as told:
        list(open_cases(path).pictures(PictureSize(8, 8)))

    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_picture_that_is_gone_before_it_is_read_is_told_by_its_file(tmp_path):
    folder = tmp_path / "870829"
    folder.mkdir()
    (folder / "a.png").write_bytes(noise(1))
    (folder / "a folder.jpg").mkdir()
    cases = open_cases(tmp_path)
    (folder / "a.png").unlink()

    with pytest.raises(UsageError, match=r"870829/a.png cannot be read: No such file or directory"):
        list(cases.pictures(PictureSize(8, 8)))


@pytest.mark.parametrize("layout", [as_csv, as_json_lines])
def test_a_column_of_a_manifest_has_a_value_for_each_case(tmp_path, layout):
    cases = open_cases(layout(tmp_path))

    codes = cases.column("hs_code")

    assert codes == [code for code, _ in RULINGS]
    with pytest.raises(UsageError, match="has no column 'shop'; known are hs_code"):
        cases.column("shop")


def test_a_column_of_a_table_has_a_value_for_each_case_and_nothing_is_no_value(tmp_path):
    years = [2024, None, 2025, 2026, 2024, 2024]
    path = write_cases(tmp_path / "cases.parquet", [(code, [data]) for code, data in RULINGS], year=years)

    kept = open_cases(path).without({RULINGS[0][0]})

    assert open_cases(path).column("year") == ["2024", None, "2025", "2026", "2024", "2024"]
    assert kept.column("year") == [None, "2025", "2024", "2024"]
    assert (kept.count, len(list(kept)), kept.digest() == open_cases(path).digest()) == (4, 4, False)


def test_a_folder_of_pictures_has_no_columns(tmp_path):
    with pytest.raises(UsageError, match="has no column 'office'"):
        open_cases(as_named_files(tmp_path)).column("office")


def test_cases_without_an_id_in_several_files_are_different_cases(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        path = write_cases(tmp_path / name, [(code, [data]) for code, data in RULINGS[:2]])
        pq.write_table(pq.read_table(path).drop(["case_id"]), path)

    sources = [case.source_case for case in open_cases(tmp_path)]

    assert len(set(sources)) == 4


def test_a_variant_of_another_size_shows_the_same_part_of_the_picture():
    ramp = np.linspace(60, 250, 40).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (40, 1)), np.tile(ramp[:, None], (1, 40)), np.full((40, 40), 90, np.uint8)], 2)

    own, half = (variant(pixels, np.random.default_rng(3), side) for side in (None, 20))

    assert (own.shape, half.shape) == ((40, 40, 3), (20, 20, 3))
    shrunk = own.reshape(20, 2, 20, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half[3:-3, 3:-3], shrunk[3:-3, 3:-3], atol=6)
