"""Every layout of pictures, and everything that a file can be instead of an archive."""

import random
from collections import Counter
from datetime import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.archive.columns import cast
from pipeline.archive.footers import ArchiveFile, inspect
from pipeline.archive.row_groups import read_pictures, read_row_group
from pipeline.values import ColumnNames, DeadLetter, Layout, RowGroup
from tests.archives import IMAGES, RED, picture, row, write_archive

NAMES = ColumnNames()
LAYOUT = Layout(NAMES, (), ())
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

LAYOUTS = {
    "binary": (pa.array([b"a", None, b""], pa.binary()), [[b"a"], [], [b""]]),
    "large_binary": (pa.array([b"a", None, b"b"], pa.large_binary()), [[b"a"], [], [b"b"]]),
    "binary_view": (pa.array([b"a", None, b"b"], pa.binary_view()), [[b"a"], [], [b"b"]]),
    "dictionary": (pa.array([b"a", None, b"a"]).dictionary_encode(), [[b"a"], [], [b"a"]]),
    "list<binary>": (pa.array([[b"a", b"b"], None, []], pa.list_(pa.binary())), [[b"a", b"b"], [], []]),
    "large_list<binary>": (pa.array([[b"a", None], None, []], pa.large_list(pa.binary())), [[b"a", b""], [], []]),
    "fixed_size_list": (pa.array([[b"a", b"b"], [None, b"c"], [b"", b"d"]], pa.list_(pa.binary(), 2)),
                        [[b"a", b"b"], [b"", b"c"], [b"", b"d"]]),
    "list<dictionary>": (pa.array([[b"a", b"a"], None, []], pa.list_(pa.dictionary(pa.int32(), pa.binary()))),
                         [[b"a", b"a"], [], []]),
    "list<binary_view>": (pa.array([[b"a", None], None, []], pa.list_(pa.binary_view())), [[b"a", b""], [], []]),
    "struct": (pa.array([{"bytes": b"a", "path": "x"}, None, {"bytes": None, "path": "/etc/passwd"}], STRUCT),
               [[b"a"], [], [b""]]),
    "list<struct>": (pa.array([[{"bytes": b"a", "path": None}, None], [], None], IMAGES), [[b"a", b""], [], []]),
}  # fmt: skip


def read(path, layout=LAYOUT, rows=None):
    file = inspect(path, layout.names)
    assert isinstance(file, ArchiveFile), file
    return [batch for pointer in file.pointers() for batch in read_row_group(pointer, layout)]


LIMIT = 4 << 20
LARGE, SMALL = random.Random(0).randbytes(700) * 1000, b"small"


def images_of(pictures, type_):
    """One picture a row, in any layout."""
    if pa.types.is_dictionary(type_):
        return pa.array(pictures).dictionary_encode()
    if pa.types.is_struct(type_) or pa.types.is_list(type_):
        structs = [{"bytes": data, "path": "a"} for data in pictures]
        return pa.array(structs if pa.types.is_struct(type_) else [[one] for one in structs], type_)
    return pa.array(pictures, type_)


@pytest.mark.parametrize("type_", [pa.binary(), pa.dictionary(pa.int32(), pa.binary()), STRUCT, IMAGES], ids=str)
@pytest.mark.parametrize(
    ("name", "pictures", "dictionary"),
    [
        ("scan.photo", [LARGE] * 100, False),
        ("images", [LARGE] * 100, True),
        ("images", [LARGE * 7] * 10, True),
        ("images", [*[SMALL] * 300, *[LARGE] * 50, *[SMALL] * 300], True),
        ("images", [LARGE, *[SMALL] * 20] * 10, True),
        ("images", [*[SMALL] * 1000, *[LARGE] * 60], False),
    ],
    ids=["a dot in the name", "repeated", "each above the limit", "repeated in the middle", "mixed", "large at last"],
)
def test_a_batch_takes_4_MiB_of_decoded_pictures_or_is_one_declaration(tmp_path, type_, name, pictures, dictionary):
    names = ColumnNames(images=name)
    columns = {"declaration_id": [str(n) for n in range(len(pictures))], "declared_hs_code": ["87"] * len(pictures)}
    table = pa.table(columns | {name: images_of(pictures, type_)})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=dictionary, compression="zstd", write_batch_size=16)

    batches = read(tmp_path / "a.parquet", Layout(names, (), ()))

    assert max(batch.rows for batch in batches) <= 64
    assert all(decoded_bytes(batch) <= LIMIT or batch.rows == 1 for batch in batches)
    assert [batch.first_row for batch in batches] == [0, *np.cumsum([batch.rows for batch in batches])[:-1]]
    assert [data for batch in batches for data in batch.pictures.to_pylist()] == pictures
    assert [one for batch in batches for one in batch.columns["declaration_id"].to_pylist()] == [
        str(n) for n in range(len(pictures))
    ]


@pytest.mark.parametrize(
    ("values", "type_", "fitting", "nulled"),
    [
        (pa.array(["7", "x", None, "9"]), pa.int64(), [7, None, None, 9], 1),
        (pa.array(["7", "x", None, "x"]).dictionary_encode(), pa.int64(), [7, None, None, None], 2),
        (pa.array([1, 1 << 40, 3]), pa.int32(), [1, None, 3], 1),
        (pa.array([1.0, 2.5, float("nan"), 3.0]), pa.int64(), [1, None, None, 3], 2),
        (pa.array([b"caf\xe9", b"tea"]), pa.string(), [None, "tea"], 1),
        (pa.array([0, 1 << 62]).cast(pa.timestamp("s")), pa.timestamp("us"), [datetime(1970, 1, 1), None], 1),
        (pa.array([1500]).cast(pa.timestamp("ms")), pa.timestamp("s"), [datetime(1970, 1, 1, 0, 0, 1)], 0),
        (pa.array([Decimal("1.50"), Decimal("1.25")]), pa.decimal128(5, 1), [Decimal("1.5"), None], 1),
        (pa.array([["7"], ["x"], None]), pa.list_(pa.int64()), [[7], None, None], 1),
        (pa.array([["x"], ["7"]])[1:], pa.list_(pa.int64()), [[7]], 0),
        (pa.array([{"a": 1}, None]), pa.int64(), [None, None], 1),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), pa.list_(pa.int64()), [None, None], 1),
        (pa.nulls(2), pa.int64(), [None, None], 0),
        (pa.array([1, 2]), pa.int64(), [1, 2], 0),
    ],
    ids=lambda value: str(value.type if isinstance(value, pa.Array) else value),
)
def test_only_what_does_not_fit_the_type_becomes_null_and_is_counted(values, type_, fitting, nulled):
    found, count = cast(values, type_)

    assert (found.type, found.to_pylist(), count) == (type_, fitting, nulled)


@pytest.mark.parametrize("picture_bytes", [10, 100_000, 5_000_000])
def test_unfitting_values_are_counted_alike_wherever_batches_are_cut(tmp_path, picture_bytes):
    layout = Layout(NAMES, (("office", "office"),), (("office", pa.int64()),))
    rows = [row(str(n), "87", bytes(picture_bytes), office="x" if n % 7 == 3 else str(n)) for n in range(100)]
    items = pa.array([1 << 63 if n % 10 == 0 else n for n in range(100)], pa.uint64())
    path = write_archive(tmp_path / "a.parquet", rows, office=pa.string())
    pq.write_table(pq.read_table(path).set_column(1, "item_no", items), path)

    batches = read(path, layout)

    offices = [office for batch in batches for office in batch.columns["office"].to_pylist()]
    assert offices == [None if n % 7 == 3 else n for n in range(100)]
    assert sum((Counter(batch.nulled) for batch in batches), Counter()) == {"office": 14, "item_no": 10}


def decoded_bytes(batch):
    return sum(len(data) for data in batch.pictures.to_pylist())


def test_reading_a_picture_that_is_repeated_takes_no_more_than_one_batch(tmp_path):
    rows = [row(str(n), "87", LARGE * 10) for n in range(64)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    before = pa.total_allocated_bytes()

    most = max(pa.total_allocated_bytes() - before for _ in read_row_group(RowGroup(str(path), 0, 64), LAYOUT))

    assert path.stat().st_size < 50_000
    assert most < 5 * len(LARGE * 10)


def test_batches_of_small_pictures_are_full(tmp_path):
    path = write_archive(tmp_path / "a.parquet", [row(str(n), "87", b"small%d" % n) for n in range(2000)], 2000)

    batches = read(path)

    assert len(batches) <= 2000 // 64 + 8


@pytest.mark.parametrize("name", LAYOUTS)
def test_pictures_are_found_in_every_layout(tmp_path, name):
    images, expected = LAYOUTS[name]
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"declaration_id": ["1", "2", "3"], "declared_hs_code": ["87"] * 3, "images": images}), path
    )

    (batch,) = read(path)

    assert batch.picture_counts.tolist() == [len(pictures) for pictures in expected]
    assert [data or b"" for data in batch.pictures.to_pylist()] == [data for row in expected for data in row]
    shown = dict(read_pictures(batch.source, {0, 2}, "images"))
    assert shown == {0: expected[0], 2: expected[2]}


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("declared_hs_code", pa.array(["8708.29"]).dictionary_encode(), "8708.29"),
        ("declared_hs_code", pa.array(["8708.29"], pa.large_string()), "8708.29"),
        ("declared_hs_code", pa.array([8708290000], pa.int64()), 8708290000),
        ("declared_hs_code", pa.array([8708.29], pa.float64()), 8708.29),
        ("declared_hs_code", pa.nulls(1), None),
        ("declaration_id", pa.array([17], pa.int32()), "17"),
        ("declaration_id", pa.array([b"caf\xe9"], pa.binary()).view(pa.string()), "caf\ufffd"),
        ("item_no", pa.array([3], pa.uint8()), 3),
    ],
)
def test_columns_of_any_fitting_type_are_read(tmp_path, column, values, expected):
    path = tmp_path / "a.parquet"
    columns = {"declaration_id": ["1"], "declared_hs_code": ["87"], "images": pa.array([b"a"])} | {column: values}
    pq.write_table(pa.table(columns), path)

    (batch,) = read(path)

    assert batch.columns.column(column).to_pylist() == [expected]


def test_batches_are_cut_by_bytes_and_know_their_rows(tmp_path):
    rows = [row(str(n), "87", random.Random(n).randbytes(300_000)) for n in range(100)]
    path = write_archive(tmp_path / "a.parquet", rows, row_group_size=60)

    batches = read(path)

    assert max(batch.rows for batch in batches) <= 14
    assert [(batch.source.index, batch.first_row) for batch in batches][:2] == [(0, 0), (0, batches[0].rows)]
    assert sum(batch.rows for batch in batches) == 100


def test_pictures_are_read_again_beside_a_nested_column_of_the_same_path(tmp_path):
    seen = pa.array([{"side": b"no picture"}])
    columns = {"declaration_id": ["1"], "declared_hs_code": ["87"], "left": seen, "left.side": [b"a"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")

    shown = dict(read_pictures(RowGroup(str(tmp_path / "a.parquet"), 0, 1), {0}, "left.side"))

    assert shown == {0: [b"a"]}


def good(folder):
    return write_archive(folder / "good.parquet", [row("1", "87", picture(RED))] * 50, row_group_size=10).read_bytes()


@pytest.mark.parametrize(
    ("reason", "damage"),
    [
        ("empty_file", lambda data: b""),
        ("not_parquet", lambda data: b"id,code\n1,2\n"),
        ("not_parquet", lambda data: b"XXXX" + data[4:]),
        ("truncated", lambda data: data[: len(data) // 2]),
        ("truncated", lambda data: data[:4]),
        ("encrypted", lambda data: data[:-4] + b"PARE"),
        ("bad_footer", lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
        ("bad_footer", lambda data: data[:-200] + bytes(192) + data[-8:]),
    ],
)
def test_a_file_that_is_no_archive_is_a_dead_letter_with_its_reason(tmp_path, reason, damage):
    path = tmp_path / "a.parquet"
    path.write_bytes(damage(good(tmp_path)))

    letter = inspect(path, NAMES)

    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.rows) == (reason, None)


def test_a_file_that_vanishes_or_changes_during_the_run_is_a_dead_letter(tmp_path):
    path = write_archive(tmp_path / "a.parquet", [row("1", "87")] * 5)
    before = RowGroup(str(path), 0, 5)
    write_archive(path, [row("1", "87")] * 3)

    (changed,) = read_row_group(before, LAYOUT)
    path.unlink()
    (gone,) = read_row_group(before, LAYOUT)

    assert (changed.reason, changed.first_row, changed.rows) == ("changed", 0, 5)
    assert (gone.reason, gone.first_row, gone.rows) == ("file_missing", 0, 5)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda table: table.drop(["images"]), "no column 'images' for images"),
        (lambda table: table.append_column("office", table["office"]), "column 'office' stands more than once"),
    ],
    ids=["a required one is gone", "a passed-through one stands twice"],
)
def test_a_file_whose_columns_change_during_the_run_is_a_dead_letter(tmp_path, change, detail):
    layout = Layout(NAMES, (("office", "office"),), (("office", pa.string()),))
    path = write_archive(tmp_path / "a.parquet", [row("1", "87", office="x")] * 5, office=pa.string())
    table = pq.read_table(path)
    pq.write_table(change(table), path)

    (changed,) = read_row_group(RowGroup(str(path), 0, 5), layout)

    assert (changed.reason, changed.first_row, changed.rows) == ("changed", 0, 5)
    assert detail in changed.detail
