"""`hs-audit check archive` on archives with one kind of trouble each; what it prints is what is tested."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from pipeline.archive.survey import CodeOutcome, outcome_of_code
from tests.archives import row, write_archive
from tests.editions import edition, nomenclature_of

PICTURE = b"\xff\xd8 a picture " * 100


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Checks the Parquet files in `tmp_path` and returns what was printed."""

    def check(*flags: str, pattern: str = "*.parquet", code: int = 0) -> str:
        assert main(["check", "archive", str(tmp_path / pattern), *flags]) == code
        printed = capsys.readouterr()
        return printed.out or printed.err

    return check


def words(text: str) -> list[str]:
    """Lines with runs of spaces as one."""
    return [" ".join(line.split()) for line in text.splitlines()]


def good_rows(count: int = 40, first: int = 0) -> list[dict]:
    return [row(f"A{number}", "870829", PICTURE, PICTURE) for number in range(first, first + count)]


def without(rows: list[dict], *names: str) -> pa.Table:
    return pa.Table.from_pylist(rows).drop_columns(list(names))


def test_a_good_archive_has_nothing_to_mend(check, tmp_path):
    write_archive(tmp_path / "a.parquet", good_rows(), row_group_size=15)
    write_archive(tmp_path / "b.parquet", good_rows(20, first=40))

    lines = words(check())

    assert lines[0] == "files"
    assert lines[1].startswith("2 files, 60 rows, 4 row groups, ")
    assert "images images list<struct<bytes, path>>: any number of pictures a declaration" in lines
    assert "as they should be 60 100.0%" in lines
    assert "all there, none repeated" in lines
    assert "several pictures 60 100.0%" in lines
    assert lines[-1] == "nothing to mend"
    assert not [line for line in lines if line.startswith("!")]


def test_unreadable_files_are_named_and_weighed(check, tmp_path):
    good = write_archive(tmp_path / "good.parquet", good_rows())
    (tmp_path / "cut.parquet").write_bytes(good.read_bytes()[:900])
    pq.write_table(without(good_rows(40), "images"), tmp_path / "no_images.parquet")

    lines = words(check(code=4))

    assert any(line.startswith(f"! {tmp_path}/cut.parquet: truncated: ") for line in lines)
    assert any(line.startswith(f"! {tmp_path}/no_images.parquet: column_missing: no column 'images'") for line in lines)
    assert "! about 66.7% of the rows will be dead letters" in lines
    assert lines[-2:] == [
        "see the lines marked with ! under files",
        "a run would end with 4: 66.7% of the rows cannot be read, more than limits.max_unscored_share",
    ]


def test_a_small_loss_is_told_without_alarm(check, tmp_path):
    write_archive(tmp_path / "good.parquet", good_rows(90))
    pq.write_table(without(good_rows(10), "images"), tmp_path / "no_images.parquet")

    lines = words(check(code=3))

    assert "! 10.0% of the rows will be dead letters" in lines
    assert lines[-1] == "a run would end with 3: 10.0% of the rows cannot be read"


def test_a_night_with_fewer_rows_than_there_must_be_would_not_be_published(check, tmp_path):
    write_archive(tmp_path / "a.parquet", [])

    assert words(check(code=4))[-1] == "a run would end with 4: 0 rows, fewer than limits.min_rows (1)"


def test_many_unreadable_files_are_not_all_listed(check, tmp_path):
    write_archive(tmp_path / "good.parquet", good_rows())
    for number in range(12):
        (tmp_path / f"empty{number}.parquet").touch()

    lines = words(check(code=4))

    assert sum("empty_file" in line for line in lines) == 10
    assert "! and 2 more unreadable files" in lines


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (without(good_rows(), "images"), "no column 'images' for images"),
        (
            pa.table({"declaration_id": ["A"], "declared_hs_code": ["87"], "images": ["a.jpg"]}),
            "column 'images' is string",
        ),
    ],
)
def test_a_required_column_that_is_wrong_everywhere_is_a_usage_error(check, tmp_path, table, sentence):
    pq.write_table(table, tmp_path / "a.parquet")

    assert sentence in check(code=2)


def test_where_nothing_matches_or_can_be_read_the_exit_code_says_so(check, tmp_path):
    assert "no file matches" in check(code=7)

    (tmp_path / "a.parquet").write_bytes(b"hello, world")

    assert "the file begins with b'hell'" in check(code=7)


def test_codes_are_counted_by_edition_and_repaired_tables_are_named(check, tmp_path):
    dated = [("870829", date(2026, 3, 1)), ("870829", date(2019, 3, 1)), ("870822", date(2019, 3, 1)), ("031419", None)]
    rows = [row(f"A{place}", code, PICTURE, declared_on=day) for place, (code, day) in enumerate(dated)]
    write_archive(tmp_path / "a.parquet", rows, declared_on=pa.date32())
    (tmp_path / "config.yaml").write_text(nomenclature_of(tmp_path / "tables"))
    edition(tmp_path / "tables" / "hs2012.csv", ("870829", "870899", "10121", "031419"))

    lines = words(check(f"--config={tmp_path / 'config.yaml'}"))

    section = lines[lines.index("editions") + 1 :]
    assert section[:4] == [
        "HS 2012 1 25.0% not in force then",
        "HS 2017 1 25.0% in force on the date of the declaration",
        "HS 2022 1 25.0% in force on the date of the declaration",
        "HS 2022 1 25.0% not in force then",
    ]
    assert "HS 2017: from 2017-01-01 to 2021-12-31" in section
    assert "1 declaration without a date: that of the run counts" in section
    assert any(line.startswith("! ") and "the lost leading zero of 1 code was put back" in line for line in section)
    assert "as they should be 4 100.0%" in lines


def test_a_bad_table_ends_a_check_before_any_work(check, tmp_path):
    write_archive(tmp_path / "a.parquet", good_rows())
    (tmp_path / "config.yaml").write_text(nomenclature_of(tmp_path / "tables"))
    edition(tmp_path / "tables" / "hs2017.csv", ("870829", "870829"))

    printed = check(f"--config={tmp_path / 'config.yaml'}", code=2)

    assert printed.strip().endswith("hs2017.csv, line 3: code 870829 stands there twice")


def test_columns_are_named_by_the_configuration(check, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "columns: {declaration_id: number, declared_hs_code: hs, images: photos, office: post}\nkeep: [mass]\n"
    )
    rows = [{"number": "A", "hs": "870829", "photos": PICTURE, "post": "x", "mass": 1.5, "colour": "red"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")

    lines = words(check(f"--config={config}"))

    assert "declared_hs_code hs string" in lines
    assert "images photos binary: at most one picture a declaration" in lines
    assert "office post string" in lines
    assert "mass mass double" in lines
    assert "not read; name under `keep` what the findings should pass on: colour (string)" in lines
    assert any(
        line.startswith("not in the archive, so null in the findings: item_no, declared_on (date)") for line in lines
    )


def test_a_kept_column_that_no_file_has_is_found_before_the_night(check, tmp_path):
    (tmp_path / "config.yaml").write_text("keep: [mas]\n")
    write_archive(tmp_path / "a.parquet", good_rows())

    assert "no input file has a column 'mas'" in check(f"--config={tmp_path / 'config.yaml'}", code=2)


@pytest.mark.parametrize("name", ["post", "mass"])
def test_a_passed_through_column_that_stands_twice_is_told_with_its_file(check, tmp_path, name):
    (tmp_path / "config.yaml").write_text("columns: {office: post}\nkeep: [mass]\n")
    good = pa.Table.from_pylist([row("A", "870829", PICTURE, post="x", mass=1.5)])
    pq.write_table(good, tmp_path / "good.parquet")
    pq.write_table(good.append_column(name, good[name]), tmp_path / "a.parquet")

    lines = words(check(f"--config={tmp_path / 'config.yaml'}", code=4))

    sentence = f"duplicate_column: column '{name}' stands more than once"
    assert f"! {tmp_path}/a.parquet: {sentence}" in lines
    assert "office post string" in lines


def test_files_that_differ_are_told_by_column(check, tmp_path):
    for name, office in (("a", "x"), ("b", 7), ("c", 8)):
        write_archive(tmp_path / f"{name}.parquet", [row(name, "870829", PICTURE, office=office)],
                      office=pa.string() if name == "a" else pa.int64())  # fmt: skip
    pq.write_table(without(good_rows(5), "item_no"), tmp_path / "d.parquet")

    lines = words(check())

    assert (
        "! office differs between files: string in a.parquet, int64 in 2 files such as b.parquet, absent in d.parquet; "
        "absent and unfitting values become null"
    ) in lines
    assert "item_no differs between files: int32 in 3 files such as a.parquet, absent in d.parquet" in lines
    assert lines[-1] == "see the lines marked with ! under columns"


def test_large_pages_are_named_with_what_they_cost_and_how_to_write_them(check, tmp_path):
    table = pa.table({
        "declaration_id": [f"A{number}" for number in range(1000)],
        "declared_hs_code": ["870829"] * 1000,
        "images": [bytes(40_000)] * 1000,
    })  # fmt: skip
    pq.write_table(table, tmp_path / "large.parquet", compression="zstd", use_dictionary=False)
    pq.write_table(table, tmp_path / "small.parquet", compression="zstd", use_dictionary=False, write_batch_size=16)

    printed = check()

    assert f"!  {tmp_path}/large.parquet: a page of 40 MB needs 240 MB" in printed
    assert "pyarrow.parquet.write_table(..., write_batch_size=16)" in printed
    assert f"{tmp_path}/small.parquet" not in printed


def test_large_pages_that_are_read_piece_by_piece_are_a_note(check, tmp_path):
    noise = np.random.default_rng(0)
    table = pa.table({
        "declaration_id": [f"A{number}" for number in range(100)],
        "declared_hs_code": ["870829"] * 100,
        "images": [noise.bytes(400_000) for _ in range(100)],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "large.parquet")

    printed = " ".join(check().split())

    assert "pages over 32 MB in 1 file: a worker unpacks one at a time to TMPDIR" in printed
    assert "a worker needs about 212 MB to read them" in printed
    assert "a page of" not in printed


def test_missing_page_checksums_are_a_note(check, tmp_path):
    write_archive(tmp_path / "summed.parquet", good_rows())
    pq.write_table(pa.Table.from_pylist(good_rows(5, first=40)), tmp_path / "unsummed.parquet")

    lines = words(check())

    assert any(line.startswith("no page checksums in 1 of 2 files: overwritten bytes") for line in lines)
    assert lines[-1] == "nothing to mend"


def test_damaged_page_headers_are_told(check, tmp_path):
    path = write_archive(tmp_path / "a.parquet", good_rows())
    chunk = pq.read_metadata(path).row_group(0).column(3)
    with open(path, "r+b") as file:
        file.seek(chunk.dictionary_page_offset)
        file.write(b"\xff" * 8)

    assert f"!  {path}: the pages of images are damaged: no page header at byte" in check()


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ("8708.29-0000", (CodeOutcome.GOOD, None)),
        ("808100000", (CodeOutcome.REPAIRED, "leading_zero")),
        (8708290000.0, (CodeOutcome.REPAIRED, "decimal_dropped")),
        ("8.7083E+9", (CodeOutcome.REPAIRED, "digits_lost")),
        ("8708.3", (CodeOutcome.MALFORMED, "trailing_zero_lost")),
        ("car", (CodeOutcome.MALFORMED, None)),
        ("999999", (CodeOutcome.UNKNOWN, None)),
        ("9999990.0", (CodeOutcome.MALFORMED, "decimal_dropped")),
        (" ", (CodeOutcome.MISSING, None)),
        (None, (CodeOutcome.MISSING, None)),
    ],
)
def test_a_declared_code_has_one_outcome(written, outcome):
    assert outcome_of_code(written) == outcome


def test_codes_are_counted_by_outcome_with_three_examples_that_differ(check, tmp_path):
    codes = (
        ["870829"] * 90
        + ["808100000", "808100000", "709600000", "403200000", "804300000"]
        + ["8708.3", "car", "999999"]
    )
    rows = [row(f"A{number}", code, PICTURE) for number, code in enumerate([*codes, None, ""])]
    write_archive(tmp_path / "a.parquet", rows, row_group_size=30)

    lines = words(check())

    counted = lines[lines.index("declared codes") + 1 : lines.index("ids") - 1]
    assert counted == [
        "as they should be 90 90.0%",
        "repaired: leading_zero 5 5.0% '808100000', '709600000', '403200000'",
        "malformed: trailing_zero_lost 1 1.0% '8708.3'",
        "malformed 1 1.0% 'car'",
        "not in HS 2022 1 1.0% '999999'",
        "no code 2 2.0%",
        "! 1 code lost digits, as in a spreadsheet: export the codes as text",
    ]


def test_a_column_of_something_else_is_suspected(check, tmp_path):
    write_archive(tmp_path / "a.parquet", [row(f"A{number}", f"car {number}", PICTURE) for number in range(20)])

    sentence = "! 100.0% of the declarations have no code that HS 2022 knows: is declared_hs_code the right column?"
    assert sentence in words(check())


@pytest.mark.parametrize(
    "codes",
    [
        pa.array([8708290000, 808100000]),
        pa.array([8708290000.0, 808100000.0]),
        pa.array(["8708290000", "808100000"], pa.large_string()),
        pa.array(["8708290000", "808100000"], pa.string_view()),
        pa.array(["8708290000", "808100000"]).dictionary_encode(),
    ],
    ids=lambda codes: str(codes.type),
)
def test_codes_are_read_from_every_type_that_the_audit_reads(check, tmp_path, codes):
    table = pa.table({"declaration_id": ["A", "B"], "declared_hs_code": codes, "images": [PICTURE] * 2})
    pq.write_table(table, tmp_path / "a.parquet")

    printed = check()

    assert "leading_zero" in printed
    assert "malformed" not in printed


def test_ids_that_are_missing_or_repeated_are_told_with_examples(check, tmp_path):
    write_archive(tmp_path / "a.parquet", good_rows(5))
    write_archive(tmp_path / "b.parquet", [*good_rows(2), row(None, "870829", PICTURE), row(None, "870829", PICTURE)])

    lines = words(check())

    assert "! 2 rows without an id, the first in b.parquet, row group 0" in lines
    assert "! 2 rows with the id and item of an earlier row: 'A0#1', 'A1#1'" in lines


def test_an_id_may_stand_on_several_items(check, tmp_path):
    items = [row("A", "870829", PICTURE) | {"item_no": number} for number in range(3)]
    write_archive(tmp_path / "a.parquet", items)

    assert "all there, none repeated" in check()


def test_item_numbers_that_are_too_large_are_told(check, tmp_path):
    path = write_archive(tmp_path / "a.parquet", good_rows(3))
    items = pa.array([1, 1 << 63, 1 << 63], pa.uint64())
    pq.write_table(pq.read_table(path).set_column(1, "item_no", items), path)

    assert "! 2 item numbers are too large for int64 and become null" in words(check())


STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
BARE = pa.struct([("bytes", pa.binary())])
ONE = {"bytes": PICTURE, "path": None}
THUMBED = pa.struct([("bytes", pa.binary()), ("thumb", BARE)])
THUMB = {"bytes": PICTURE, "thumb": {"bytes": PICTURE}}


@pytest.mark.parametrize(
    ("type_", "images", "is_sample"),
    [
        (pa.list_(STRUCT), [None, [], [ONE], [None], [ONE, None]], False),
        (pa.large_list(STRUCT), [None, [], [ONE], [None], [ONE, None]], False),
        (pa.list_(pa.binary()), [None, [], [PICTURE], [None], [PICTURE, None]], True),
        (pa.list_(BARE), [None, [], [{"bytes": PICTURE}], [None], [{"bytes": PICTURE}] * 3], True),
        (STRUCT, [None, None, ONE, {"bytes": None, "path": "a"}, None], False),
        (pa.binary(), [None, None, PICTURE, b"", None], True),
        (pa.dictionary(pa.int32(), pa.binary()), [None, None, PICTURE, PICTURE, None], True),
        (pa.list_(THUMBED), [None, [], [THUMB], [None], [THUMB, None]], True),
        (pa.list_(pa.struct([*THUMBED, ("path", pa.string())])), [None, [], [THUMB], [None], [THUMB] * 2], False),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
def test_pictures_are_counted_in_every_layout(check, tmp_path, type_, images, is_sample):
    names = pa.table({"declaration_id": list("ABCDE"), "declared_hs_code": ["870829"] * 5})
    pq.write_table(names.append_column("images", pa.array(images, type_)), tmp_path / "a.parquet")

    lines = words(check())

    several = 1 if "list" in str(type_) else 0
    assert f"no picture {3 - several} {60 - 20 * several}.0%" in lines
    assert "one picture 2 40.0%" in lines
    assert ("several pictures 1 20.0%" in lines) == bool(several)
    assert any(line.startswith("a sample, the first 64 rows of 1 file") for line in lines) == is_sample
    assert f"! {60 - 20 * several}.0% of the declarations have no picture to be judged by" in lines


def test_pictures_with_names_are_counted_without_being_read(check, tmp_path):
    path = write_archive(tmp_path / "a.parquet", good_rows(20))
    chunk = pq.read_metadata(path).row_group(0).column(3)
    with open(path, "r+b") as file:  # with checksums in the file, reading these bytes would fail
        file.seek(chunk.dictionary_page_offset + chunk.total_compressed_size // 2)
        file.write(bytes(20))

    lines = words(check())

    assert "several pictures 20 100.0%" in lines
    assert lines[-1] == "nothing to mend"


def test_damaged_rows_are_told_and_the_others_counted(check, tmp_path):
    path = write_archive(tmp_path / "a.parquet", good_rows(60), row_group_size=20)
    codes = pq.read_metadata(path).row_group(1).column(2)
    with open(path, "r+b") as file:
        file.seek(codes.data_page_offset)
        file.write(b"\xff" * 30)

    lines = words(check(code=4))

    assert any(line.startswith(f"! {path}, row group 1, from row 0: ") for line in lines)
    assert "as they should be 40 100.0%" in lines
    assert lines[-2] == "see the lines marked with ! under rows"


HOSTILE = "\x1b]0;owned\x07[bold red]:smile:[/x]\u202e\r\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_text_from_the_archive_cannot_command_the_terminal(check, tmp_path, monkeypatch, terminal):
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "400")
    rows = [row(HOSTILE, HOSTILE, PICTURE, **{HOSTILE: 1}), row(HOSTILE, HOSTILE, PICTURE, **{HOSTILE: 1})]
    write_archive(tmp_path / f"{HOSTILE.replace('/', '')}.parquet", rows, **{HOSTILE: pa.int64()})
    (tmp_path / "\x1b]0;empty.parquet").touch()

    printed = check(code=4)

    assert not {"\x07", "\u202e", "\r"} & set(printed)
    assert "\x1b]" not in printed
    assert ("\x1b[" in printed) == terminal
    assert r"'\x1b]0;owned\x07[bold red]:smile:[/x]\u202e\r\n'" in printed


def test_long_text_is_cut_and_broken_text_replaced(check, tmp_path):
    codes = pa.array([b"9" * 5000, b"87\xff08"]).view(pa.string())
    table = pa.table({"declaration_id": ["A", "B"], "declared_hs_code": codes, "images": [PICTURE] * 2})
    pq.write_table(table, tmp_path / "a.parquet")

    assert f"malformed 2 100.0% '{'9' * 40}'…, '87\ufffd08'" in words(check())


def test_an_archive_without_rows_is_told(check, tmp_path):
    write_archive(tmp_path / "a.parquet", [])

    assert "! there is no row to audit" in words(check(code=4))


def test_the_run_date_in_the_glob_is_yesterday(check, tmp_path):
    assert "{run_date}" not in check(pattern="{run_date}/*.parquet", code=7)


@pytest.mark.parametrize("arguments", [[], ["archives", "x"]])
def test_what_to_check_must_be_said(arguments, capsys):
    assert main(["check", *arguments]) == 2

    said = capsys.readouterr().err
    assert f"there is no command '{' '.join(['check', *arguments[:1]])}'" in said
    assert "check archive" in said
    assert "train" not in said


def test_which_archive_to_check_must_be_said(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["check", "archive"])

    assert stopped.value.code == 2
    assert "usage: hs-audit check archive" in capsys.readouterr().err
