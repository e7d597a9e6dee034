"""Page sizes against what is known from writing.

A value of a plain page or a dictionary takes four bytes and itself; a flat column without nulls has no levels.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.archive.compact import PageHeaderError
from pipeline.archive.page_sizes import PageSize, largest_data_page, page_sizes

PICTURE_BYTES = 100_000
STORED_BYTES = 4 + PICTURE_BYTES
IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def pictures(count: int, size: int = PICTURE_BYTES) -> list[bytes]:
    random = np.random.default_rng(0)
    return [random.bytes(size) for _ in range(count)]


def flat(values: list[bytes]) -> pa.Table:
    return pa.table([pa.array(values)], pa.schema([pa.field("images", pa.binary(), nullable=False)]))


def written(path: Path, table: pa.Table, **options: object) -> str:
    pq.write_table(table, path, **{"use_dictionary": False, "compression": "none", **options})
    return str(path)


def zigzag(number: int) -> bytes:
    number, digits = (number << 1) ^ (number >> 63), b""
    while number > 0x7F:
        digits, number = digits + bytes([number & 0x7F | 0x80]), number >> 7
    return digits + bytes([number])


@pytest.fixture
def forged(tmp_path: Path) -> Callable[[bytes], str]:
    """Puts bytes where a file of one page has its page header."""

    def forged(header: bytes) -> str:
        path = written(tmp_path / "forged.parquet", flat([bytes(1000)]), write_statistics=False)
        with open(path, "r+b") as file:
            file.seek(pq.read_metadata(path).row_group(0).column(0).data_page_offset)
            file.write(header)
        return path

    return forged


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize(("batch", "pages"), [(16, [16, 16, 8]), (1024, [40])])
def test_a_page_is_as_large_as_the_values_that_were_written_to_it(tmp_path, batch, pages, compression, version):
    path = written(
        tmp_path / "a.parquet", flat(pictures(40)), compression=compression, data_page_version=version,
        write_batch_size=batch,
    )  # fmt: skip

    found = list(page_sizes(path, "images"))

    assert [page.uncompressed_bytes for page in found] == [rows * STORED_BYTES for rows in pages]
    assert (found[0].compressed_bytes == found[0].uncompressed_bytes) or compression != "none"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_the_pages_of_nested_pictures_add_up_to_the_sizes_in_the_footer(tmp_path, compression, dictionary, version):
    rows = [[{"bytes": data * 3, "path": "a.jpg"}] * (n % 3) for n, data in enumerate(pictures(50, 9000))]
    table = pa.table({"id": range(50), "images": pa.array(rows, IMAGES), "images2": pictures(50, 50_000)})
    path = written(
        tmp_path / "a.parquet", table, compression=compression, use_dictionary=dictionary, data_page_version=version,
        row_group_size=20, write_batch_size=4, data_page_size=50_000,
    )  # fmt: skip

    found = list(page_sizes(path, "images"))

    footer = pq.read_metadata(path)
    chunks = [footer.row_group(group).column(leaf) for group in range(3) for leaf in (1, 2)]
    in_headers = sum(chunk.total_uncompressed_size for chunk in chunks) - sum(page.uncompressed_bytes for page in found)
    assert 0 < in_headers < 150 * len(found)
    assert in_headers == sum(chunk.total_compressed_size for chunk in chunks) - sum(p.compressed_bytes for p in found)
    assert {page.row_group for page in found} == {0, 1, 2}


def test_a_dictionary_page_counts(tmp_path):
    path = written(tmp_path / "a.parquet", flat(pictures(8) * 10), use_dictionary=True)

    size = 8 * STORED_BYTES
    assert largest_data_page(path, "images") == PageSize(size, size, 0, False, is_dictionary=True)


def test_the_largest_page_is_looked_for_in_all_row_groups_and_only_under_its_column(tmp_path):
    sizes = [10, 10, 10, 10, 5000, 10]
    table = flat([bytes(size) for size in sizes])
    for name in ("images_of_others", "images.small"):
        table = table.append_column(name, pa.array([bytes(90_000)] * 6))
    path = written(tmp_path / "a.parquet", table, row_group_size=2)

    assert largest_data_page(path, "images") == PageSize(5018, 5018, 2, False)
    assert largest_data_page(path, "absent") is None


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("dictionary", [True, False])
def test_a_page_tells_whether_its_checksum_is_stored(tmp_path, stored, dictionary):
    path = written(
        tmp_path / "a.parquet", flat(pictures(3, 100)), write_page_checksum=stored, use_dictionary=dictionary
    )

    assert {page.has_checksum for page in page_sizes(path, "images")} == {stored}


def test_a_file_without_rows_has_no_page_to_speak_of(tmp_path):
    path = written(tmp_path / "a.parquet", flat([]))

    assert largest_data_page(path, "images") is None


def test_only_the_headers_are_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.parquet", flat(pictures(100)), write_batch_size=16)
    read_bytes = []

    class Counted(io.FileIO):
        def readinto(self, buffer) -> int:
            read_bytes.append(super().readinto(buffer))
            return read_bytes[-1]

    monkeypatch.setattr(
        "hs.storage.stores.open",
        lambda name, mode: io.BufferedReader(Counted(name, mode)),
        raising=False,
    )

    found = list(page_sizes(path, "images"))

    assert len(found) == 7
    assert 0 < sum(read_bytes) <= 8 * io.DEFAULT_BUFFER_SIZE


def test_fields_that_came_later_are_passed_over(forged):
    every_type = (
        b"\x15\x02" + b"\x11\x12" + b"\x13\xff" + b"\x14\x02"  # the checksum; true, false, a byte, a short
        + b"\x17" + bytes(8) + b"\x18\x03abc" + b"\x1d" + bytes(16)  # a double, three letters, a UUID
        + b"\x19\x31\1\2\1" + b"\x1a\xf5\x10" + b"\2" * 16  # a list of three booleans, a set of sixteen integers
        + b"\x1b\1\x85\3abc\2" + b"\x1b\0"  # a map from text to an integer, an empty one
        + b"\x1c\x15\2\x1c\x11\0\0" + b"\5\x82\x80\1\2"  # a struct in a struct, an integer far off
    )  # fmt: skip
    sizes = b"\x15\x00" + b"\x15" + zigzag(777) + b"\x15" + zigzag(700)
    path = forged(sizes + every_type + b"\x00")

    assert next(page_sizes(path, "images")) == PageSize(777, 700, 0, True)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (b"\x00", "sizes -1 and -1"),
        (b"\x15\x00\x15\x14\x15" + zigzag(100_000) + b"\x00", "sizes 10 and 100000"),
        (b"\x15\x00\x15\x14\x15" + zigzag(-5) + b"\x00", "sizes 10 and -5"),
        (b"\x15" + b"\xff" * 20, "more than ten bytes"),
        (b"\x1f", "a field of type 15"),
        (b"\x1c" * 400, "nested too deep"),
        (b"\x19\x19" * 400, "nested too deep"),
        (b"\x18\xff\xff\xff\xff\x0f", "no end"),
        (b"\x19\xf3\xff\xff\xff\xff\x0f", "no end"),
        (b"\x19\xf5\xff\xff\xff\xff\x0f", "no end"),
    ],
)
def test_what_is_no_header_is_told_with_its_place(forged, header, complaint):
    path = forged(header)

    with pytest.raises(PageHeaderError, match=f"no page header at byte 4: .*{complaint}"):
        largest_data_page(path, "images")


@pytest.mark.parametrize("keep", [0, 3, 1000, 3000])
def test_a_truncated_file_is_one_kind_of_error(tmp_path, keep):
    path = Path(written(tmp_path / "a.parquet", flat(pictures(3, 1000))))
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(PageHeaderError):
        largest_data_page(str(path), "images")


def test_a_missing_file_is_the_same_kind_of_error(tmp_path):
    with pytest.raises(PageHeaderError):
        largest_data_page(str(tmp_path / "absent.parquet"), "images")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(4, 3000), noise=st.binary(min_size=1, max_size=40))
def test_overwritten_bytes_end_in_sizes_or_in_the_one_error(tmp_path, place, noise):
    path = Path(written(tmp_path / "a.parquet", flat(pictures(30, 100)), data_page_size=300, write_batch_size=2))
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(noise)

    try:
        found = list(page_sizes(str(path), "images"))
    except PageHeaderError:
        return

    assert all(min(page.uncompressed_bytes, page.compressed_bytes) >= 0 for page in found)
