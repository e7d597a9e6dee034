"""Pages of pictures that are too large to be held are read piece by piece, and what is read is what Arrow reads."""

import io
import json
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archive.row_groups import read_pictures, read_row_group
from pipeline.archive.stand_in import StandIn
from pipeline.archive.stored_pictures import StoredPictures
from pipeline.archive.unpacking import Body, packed, unpacked
from pipeline.values import ColumnNames, DeadLetter, Declarations, Layout, RowGroup
from tests.archives import IMAGES

LAYOUT = Layout(ColumnNames(), (), ())
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CODECS = ["UNCOMPRESSED", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"]
POOL = [random.Random(n).randbytes(600) for n in range(4)]  # of those that come again

picture = st.one_of(
    st.none(),
    st.just(b""),
    st.sampled_from(POOL),
    st.integers(0, 500).map(bytes),
    st.integers(0, 99).map(lambda seed: random.Random(seed).randbytes(300 + seed)),
)
struct = st.none() | st.fixed_dictionaries({"bytes": picture, "path": st.sampled_from([None, "a", "b.jpg"])})
LAYOUTS = {
    pa.binary(): picture,
    pa.large_binary(): picture,
    pa.binary_view(): picture,
    pa.dictionary(pa.int32(), pa.binary()): picture,
    STRUCT: struct,
    pa.list_(pa.binary()): st.none() | st.lists(picture, max_size=4),
    pa.large_list(pa.binary_view()): st.none() | st.lists(picture, max_size=4),
    pa.list_(pa.dictionary(pa.int32(), pa.binary())): st.lists(picture, max_size=4),
    pa.list_(pa.binary(), 2): st.lists(picture, min_size=2, max_size=2),
    IMAGES: st.none() | st.lists(struct, max_size=4),
}


def written(path: Path, images: pa.Array, **options: object) -> RowGroup:
    rows = len(images)
    table = pa.table({"declaration_id": [str(row) for row in range(rows)], "declared_hs_code": ["87"] * rows})
    pq.write_table(table.append_column("images", images), path, **options)
    return RowGroup(str(path), 0, rows)


def read(source: RowGroup, monkeypatch: pytest.MonkeyPatch, large_bytes: int) -> tuple[list, bool]:
    """Ids and pictures of all rows, or the dead letter, and whether anything stood in for the file."""
    stood_in = []
    opened = StandIn.open
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.archive.row_groups.LARGE_PAGE_BYTES", large_bytes)
        patch.setattr(StandIn, "open", lambda self, metadata: stood_in.append(self) or opened(self, metadata))
        parts = list(read_row_group(source, LAYOUT))
    rows = []
    for part in parts:
        if isinstance(part, DeadLetter):
            rows.append((part.reason, part.first_row, part.rows))
            continue
        ends = np.cumsum(part.picture_counts)
        for row, (count, end) in enumerate(zip(part.picture_counts.tolist(), ends.tolist(), strict=True)):
            declaration_id = part.columns.column("declaration_id")[row].as_py()
            rows.append((declaration_id, part.first_row + row, part.pictures[end - count : end].to_pylist()))
    return rows, bool(stood_in)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_read_piece_by_piece_is_what_arrow_reads(tmp_path, monkeypatch, data):
    type_ = data.draw(st.sampled_from(list(LAYOUTS)))
    values = data.draw(st.lists(LAYOUTS[type_], min_size=1, max_size=60))
    images = (
        pa.array(values, pa.binary()).dictionary_encode() if pa.types.is_dictionary(type_) else pa.array(values, type_)
    )
    source = written(
        tmp_path / "a.parquet",
        images,
        compression=data.draw(st.sampled_from(["none", "snappy", "gzip", "brotli", "zstd", "lz4"])),
        data_page_version=data.draw(st.sampled_from(["1.0", "2.0"])),
        use_dictionary=data.draw(st.booleans()),
        dictionary_pagesize_limit=data.draw(st.sampled_from([500, 1 << 20])),
        write_batch_size=data.draw(st.sampled_from([3, 1024])),
        data_page_size=data.draw(st.sampled_from([500, 1 << 20])),
        write_page_checksum=data.draw(st.booleans()),
    )

    by_arrow, _ = read(source, monkeypatch, 1 << 40)
    in_pieces, _ = read(source, monkeypatch, 0)

    assert in_pieces == by_arrow


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("type_", [pa.binary(), STRUCT, IMAGES, pa.list_(pa.binary())], ids=str)
def test_every_layout_codec_and_version_of_pages_is_read_piece_by_piece(
    tmp_path, monkeypatch, type_, compression, version, dictionary
):
    photos = [random.Random(n % 40).randbytes(5000 + n) for n in range(50)]
    of_row = {
        pa.binary(): lambda data: data,
        STRUCT: lambda data: {"bytes": data, "path": "a.jpg"},
        IMAGES: lambda data: [{"bytes": data, "path": "a"}, None, {"bytes": None, "path": "b"}],
        pa.list_(pa.binary()): lambda data: [data, data, None],
    }[type_]
    images = pa.array([None if n % 7 == 3 else of_row(data) for n, data in enumerate(photos)], type_)
    source = written(
        tmp_path / "a.parquet", images, compression=compression, data_page_version=version, use_dictionary=dictionary,
        write_page_checksum=True, write_batch_size=16,
    )  # fmt: skip

    by_arrow, stood_in_for_arrow = read(source, monkeypatch, 1 << 40)
    in_pieces, stood_in = read(source, monkeypatch, 20_000)

    assert (stood_in_for_arrow, stood_in) == (False, True)
    assert in_pieces == by_arrow
    assert len(in_pieces) == 50


def test_encodings_that_only_arrow_reads_are_read_by_arrow(tmp_path, monkeypatch):
    images = pa.array([random.Random(n).randbytes(3000) for n in range(40)])
    source = written(
        tmp_path / "a.parquet", images, use_dictionary=False, column_encoding={"images": "DELTA_LENGTH_BYTE_ARRAY"}
    )

    rows, stood_in = read(source, monkeypatch, 1000)

    assert not stood_in
    assert [pictures for _, _, pictures in rows] == [[data] for data in images.to_pylist()]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_damaged_page_costs_its_rows_and_those_after_it(tmp_path, monkeypatch, compression, checksum):
    photos = [random.Random(n).randbytes(5000) for n in range(48)]
    source = written(
        tmp_path / "a.parquet", pa.array(photos), compression=compression, use_dictionary=False, write_batch_size=16,
        data_page_size=1, write_page_checksum=checksum,
    )  # fmt: skip
    content = bytearray(Path(source.file).read_bytes())
    place = content.find(photos[17][:100]) - 4  # noise stands in all of these as it is
    content[place : place + 4] = b"\xff" * 4  # the length of the picture
    Path(source.file).write_bytes(content)
    first = 16 if checksum or compression == "gzip" else 17  # of what no sum is over, the values before are good

    rows, stood_in = read(source, monkeypatch, 20_000)

    assert stood_in
    assert [pictures for _, _, pictures in rows[:first]] == [[data] for data in photos[:first]]
    assert rows[first:] == [("bad_page", first, 48 - first)]


def test_a_row_with_more_pictures_than_the_bound_is_a_dead_letter_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.row_groups._MOST_ROW_BYTES", 50_000)
    monkeypatch.setattr("pipeline.archive.row_groups._BATCH_BYTES", 40_000)
    rows = [[random.Random(row * 9 + n).randbytes(9_000) for n in range(9 if row == 2 else 3)] for row in range(5)]
    source = written(tmp_path / "a.parquet", pa.array(rows, pa.list_(pa.binary())))

    for large_bytes in (1 << 40, 1):
        found, _ = read(source, monkeypatch, large_bytes)

        assert [row[:2] for row in found] == [("0", 0), ("1", 1), ("too_large", 2), ("3", 3), ("4", 4)]


def test_no_room_for_a_page_costs_its_rows_and_says_where(tmp_path, monkeypatch):
    source = written(tmp_path / "a.parquet", pa.array([random.Random(n).randbytes(9000) for n in range(9)]))

    class Full(io.BytesIO):
        def write(self, data) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile", lambda *_, **__: Full())
    monkeypatch.setattr("pipeline.archive.row_groups.LARGE_PAGE_BYTES", 1)

    (letter,) = read_row_group(source, LAYOUT)

    assert (letter.reason, letter.first_row, letter.rows) == ("too_large", 0, 9)
    assert "(TMPDIR)" in letter.detail


def test_pictures_in_pages_are_those_themselves_for_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.row_groups.LARGE_PAGE_BYTES", 1)
    photos = [random.Random(n).randbytes(5000) if n % 3 else None for n in range(9)]
    source = written(tmp_path / "a.parquet", pa.array([photos], pa.list_(pa.binary())))
    (declarations,) = read_row_group(source, LAYOUT)
    assert isinstance(declarations, Declarations)

    travelled = pickle.loads(pickle.dumps(declarations))

    assert isinstance(declarations.pictures, StoredPictures)
    assert travelled.pictures.to_pylist() == photos


def test_pictures_are_read_again_as_many_and_as_large_as_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.row_groups.LARGE_PAGE_BYTES", 1)
    rows = [[random.Random(row * 9 + n).randbytes(4000 * (n + 1)) for n in range(5)] for row in range(3)]
    source = written(tmp_path / "a.parquet", pa.array(rows, pa.list_(pa.binary())))

    shown = dict(read_pictures(source, {0, 2}, "images", most=3, most_bytes=9000))

    assert shown == {row: [*rows[row][:2], b""] for row in (0, 2)}


def mixed(seed: int, size: int) -> bytes:
    """Noise, zeros, text and what was there before, in turns."""
    random_ = random.Random(seed)
    parts = [random_.randbytes(70), b" ".join(str(random_.randrange(999)).encode() for _ in range(300))]
    while sum(map(len, parts)) < size:
        parts.append(random_.choice([
            random_.randbytes(random_.randrange(1, 9000)), bytes(random_.randrange(1, 200_000)),
            random_.choice(parts)[:3000], parts[-1][-9:] * 50,
        ]))  # fmt: skip
    return b"".join(parts)[:size]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 17, 4096, 70_000, 4_000_000])
def test_what_was_packed_is_unpacked_in_pieces(codec, size):
    for plain in (mixed(size, size), bytes(size), random.Random(size).randbytes(size)):
        compressed = packed(plain, codec)
        stream = io.BytesIO(b"before" + compressed + b"after")

        pieces = list(unpacked(Body(stream, 6, 6 + len(compressed)), codec))

        assert b"".join(pieces) == plain
        assert max(map(len, pieces), default=0) <= (2 << 20) + (1 << 16)


@pytest.mark.parametrize("codec", ["SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"])
def test_what_is_no_such_block_ends_in_an_error_or_in_other_bytes(codec):
    plain = mixed(1, 300_000)
    compressed = packed(plain, codec)
    random_ = random.Random(2)
    for _ in range(60):
        broken = bytearray(compressed)
        at = random_.randrange(len(broken))
        broken[at : at + 3] = random_.randbytes(3)
        del broken[random_.choice([len(broken), random_.randrange(len(broken))]) :]

        try:
            size = sum(map(len, unpacked(Body(io.BytesIO(broken), 0, len(broken)), codec)))
        except (pa.ArrowException, OSError, ValueError):
            continue

        assert size < 100 * len(plain)


PROBE = """
import json, sys
from pathlib import Path
from pipeline.archive.footers import inspect
from pipeline.archive.row_groups import read_row_group
from pipeline.job.memory import give_back_freed_memory
from pipeline.values import ColumnNames, Declarations, Layout
def status_mb(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1000
give_back_freed_memory()
before, size, rows = status_mb("VmRSS"), 0, 0
for pointer in inspect(Path(sys.argv[1]), ColumnNames()).pointers():
    for part in read_row_group(pointer, Layout(ColumnNames(), (), ())):
        rows += part.rows
        size += sum(len(memoryview(picture.as_buffer())) for picture in part.pictures)
print(json.dumps({"rows": rows, "bytes": size, "mb": status_mb("VmHWM") - before}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_pages_of_300_to_1500_megabytes_cost_less_than_100(tmp_path, rows):
    photo = np.random.default_rng(0).bytes(300_000)
    in_row = 1 if rows == 1024 else 1667
    images = [[b"%d" % (row * in_row + n) + photo for n in range(in_row)] for row in range(rows)]
    source = written(tmp_path / "a.parquet", pa.array(images, pa.list_(pa.binary())), compression="snappy")

    done = subprocess.run([sys.executable, "-c", PROBE, source.file], capture_output=True, text=True, check=True)

    measured = json.loads(done.stdout)
    assert (measured["rows"], measured["bytes"]) == (rows, sum(len(data) for row in images for data in row))
    assert measured["mb"] < 100
