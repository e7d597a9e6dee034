"""Files of some kilobytes that unpack to gigabytes, and footers that lie: they cost their rows, not the night."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.archive.footers import ArchiveFile, inspect
from pipeline.archive.inputs import find_inputs
from pipeline.archive.row_groups import read_row_group
from pipeline.values import ColumnNames, DeadLetter, Declarations
from tests.hostile import PICTURE, ROWS, UNPACKS, archive, with_row_counts


@pytest.mark.parametrize(
    ("written", "times", "said"),
    [
        pytest.param(b"\x80\x80\x00", -1, "the footer says no rows, and", id="no rows anywhere"),
        pytest.param(b"\x80\x80\x00", 1, "the footer says 0 rows, its row groups 12345", id="no rows in the file"),
        pytest.param(b"\x81\x80\x00", -1, "the footer says -1 rows", id="less than none"),
        pytest.param(b"\xf2\xc0\x02", 2, "", id="twice as many"),
    ],
)
def test_a_footer_whose_counts_do_not_agree_is_a_file_of_unknown_length(tmp_path, written, times, said):
    path = with_row_counts(archive(tmp_path / "a.parquet", ROWS), written, times)

    letter = inspect(path, ColumnNames())

    assert isinstance(letter, DeadLetter), letter
    assert (letter.rows, letter.reason) == (None, "bad_footer")
    assert said in letter.detail


@pytest.mark.parametrize("written", [b"\xf0\xc0\x01", b"\x82\x80\x00"], ids=["one less", "one at all"])
def test_a_footer_whose_counts_agree_on_too_few_rows_costs_its_row_group(tmp_path, written):
    path = with_row_counts(archive(tmp_path / "a.parquet", ROWS), written)
    assert isinstance(inspect(path, ColumnNames()), ArchiveFile)

    (letter,) = read(path)

    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.first_row) == ("bad_footer", 0)
    assert f"its pages {ROWS}" in letter.detail


def test_a_footer_at_which_arrow_would_end_the_process_is_a_dead_letter(tmp_path):
    path = archive(tmp_path / "a.parquet", 20)
    optional, required = b"\x25\x02\x18\x0edeclaration_id", b"\x25\x00\x18\x0edeclaration_id"
    content = path.read_bytes()
    assert optional in content  # one bit, and the histogram of its levels has a number too many
    path.write_bytes(content.replace(optional, required))

    letter = inspect(path, ColumnNames())

    assert isinstance(letter, DeadLetter)
    assert letter.reason == "bad_footer"


def test_an_empty_file_and_an_empty_row_group_are_no_lies(tmp_path):
    empty = archive(tmp_path / "empty.parquet", 0)

    assert isinstance(inspect(empty, ColumnNames()), ArchiveFile)


def read(path: Path) -> Iterator[Declarations | DeadLetter]:
    inputs = find_inputs(str(path), date(2026, 11, 21), ColumnNames(office="office"))
    for pointer in inputs.pointers():
        yield from read_row_group(pointer, inputs.layout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNPACKS)
def test_a_file_that_unpacks_to_gigabytes_takes_less_than_one(tmp_path, kind):
    path = archive(tmp_path / "a.parquet", 300, **UNPACKS[kind](300))
    assert path.stat().st_size < 200_000
    program = f"""
import sys; from pathlib import Path
from tests.test_hostile_archives import read
rows = 0
for part in read(Path({str(path)!r})):
    rows += part.rows
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, peak)
"""

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path.cwd())

    rows, peak_kb = map(int, done.stdout.split())
    assert rows == 300
    assert peak_kb < 1_000_000


def test_rows_that_hold_too_much_beside_their_pictures_are_dead_letters_and_the_others_go_on(tmp_path):
    offices = ["Busan"] * 100
    offices[37] = "x" * 2_000_000

    parts = list(read(archive(tmp_path / "a.parquet", 100, office=pa.array(offices))))

    letters = [part for part in parts if isinstance(part, DeadLetter)]
    assert [(letter.reason, letter.first_row, letter.rows) for letter in letters] == [("too_large", 37, 1)]
    read_rows = [part.first_row + row for part in parts if isinstance(part, Declarations) for row in range(part.rows)]
    assert read_rows == [row for row in range(100) if row != 37]
    for part in parts:
        if isinstance(part, Declarations):
            first = int(part.columns.column("declaration_id")[0].as_py()[1:])
            assert first == part.first_row
            assert len(part.pictures) == part.picture_counts.sum() == part.rows


def test_a_page_beyond_the_bound_costs_its_row_group_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.row_groups._MOST_PAGE_BYTES", 100_000)
    images = pa.array([PICTURE] * 10 + [b"\0" * 200_000] + [PICTURE] * 9)

    parts = list(read(archive(tmp_path / "a.parquet", 20, row_group_size=10, images=images)))

    assert [
        (type(part), part.source.index if isinstance(part, Declarations) else part.row_group) for part in parts
    ] == [
        (Declarations, 0),
        (DeadLetter, 1),
    ]
    assert parts[1].reason == "too_large"
    assert "more than 100000" in parts[1].detail


def test_the_footer_is_read_once_for_all_row_groups(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.parquet", 60, row_group_size=2)
    inputs = find_inputs(str(path), date(2026, 11, 21), ColumnNames())
    footers = []
    parse = pq.read_metadata
    monkeypatch.setattr(pq, "read_metadata", lambda path: footers.append(path) or parse(path))

    rows = sum(part.rows for pointer in inputs.pointers() for part in read_row_group(pointer, inputs.layout))

    assert rows == 60
    assert len(footers) <= 1
