"""A row group that several workers share is read as by one: each row once, and no page of another worker's pictures."""

import dataclasses
import random
from datetime import date
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.pictures.decoding import PictureLimits
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.verdicts import Judge
from pipeline.archive.inputs import find_inputs
from pipeline.archive.ranges import LEAST_ROWS, most_workers, shared
from pipeline.archive.row_groups import read_row_group
from pipeline.archive.stored_pages import StoredPage
from pipeline.findings.ledger import draw_up
from pipeline.job.classify import CLASSIFIED, Classify
from pipeline.job.engine import beam_options, workers_of
from pipeline.job.judge import FINDINGS, FindingsTable, JudgeDeclarations
from pipeline.job.read import DECLARATIONS, ReadArchive
from pipeline.job.write import WriteFindings
from pipeline.values import ColumnNames, DeadLetter, Layout, RowGroup
from serving.client.connection import Connection
from serving.fake import FakeServer, plain_model
from tests.archives import GREEN, IMAGES, RED, picture, row, write_archive

LAYOUT = Layout(ColumnNames(), (), ())
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ROWS = 300


def written(path: Path, type_: pa.DataType, **options: object) -> RowGroup:
    def cell(row: int) -> object:
        data = random.Random(row % 250).randbytes(300 + row)
        if row % 11 == 3:
            return None
        if type_ == pa.binary():
            return data
        if type_ == STRUCT:
            return {"bytes": data, "path": "a"}
        return [{"bytes": data, "path": "a"}, None][: row % 3]

    columns = {"declaration_id": [str(row) for row in range(ROWS)], "declared_hs_code": ["87"] * ROWS}
    table = pa.table(columns | {"images": pa.array([cell(row) for row in range(ROWS)], type_)})
    pq.write_table(table, path, write_batch_size=16, data_page_size=20_000, **options)
    return RowGroup(str(path), 0, ROWS)


def read(pointers: list[RowGroup]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for pointer in pointers:
        for part in read_row_group(pointer, LAYOUT):
            if isinstance(part, DeadLetter):
                rows.append((part.reason, part.first_row, part.rows))
                continue
            at = 0
            for number, count in enumerate(part.picture_counts.tolist()):
                name = part.columns.column("declaration_id")[number].as_py()
                rows.append((name, part.first_row + number, part.pictures[at : at + count].to_pylist()))
                at += count
    return rows


def split(pointer: RowGroup, *bounds: int) -> list[RowGroup]:
    ends = zip((0, *bounds), (*bounds, pointer.rows), strict=True)
    return [dataclasses.replace(pointer, first_row=first, end_row=end) for first, end in ends]


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("type_", [pa.binary(), STRUCT, IMAGES], ids=str)
def test_ranges_of_a_row_group_together_are_the_row_group(tmp_path, type_, compression, version, dictionary):
    whole = written(
        tmp_path / "a.parquet", type_, compression=compression, data_page_version=version, use_dictionary=dictionary
    )

    assert read(split(whole, 1, 100, 163, 299)) == read([whole])


def test_what_only_arrow_reads_is_read_through(tmp_path):
    encoding = {"column_encoding": {"images": "DELTA_BYTE_ARRAY"}, "use_dictionary": False}
    whole = written(tmp_path / "a.parquet", pa.binary(), **encoding)

    assert read(split(whole, 64, 200)) == read([whole])


def test_no_page_before_the_range_is_unpacked(tmp_path, monkeypatch):
    whole = written(tmp_path / "a.parquet", IMAGES, use_dictionary=False)
    unpacked = []
    original = StoredPage._unpack
    monkeypatch.setattr(StoredPage, "_unpack", lambda self: unpacked.append(self) or original(self))

    rows = read(split(whole, 250)[1:])

    assert len(rows) == 50
    assert 0 < len(unpacked) <= 8


def test_a_file_that_was_changed_costs_each_range_its_rows(tmp_path):
    whole = written(tmp_path / "a.parquet", pa.binary())
    ranges = split(dataclasses.replace(whole, rows=400), 100, 250)

    assert read(ranges) == [("changed", 0, 100), ("changed", 100, 150), ("changed", 250, 150)]


@pytest.mark.parametrize(
    ("rows", "workers", "ranges"),
    [
        ([1_000_000], 1, 1),
        ([1_000_000], 8, 16),
        ([1_000_000] * 8, 8, 8),
        ([1_000_000, 10, 10], 4, 10),
        ([LEAST_ROWS * 3], 100, 3),
        ([LEAST_ROWS], 100, 1),
    ],
)
def test_row_groups_are_shared_where_workers_would_wait(rows, workers, ranges):
    groups = [RowGroup("/a.parquet", index, count) for index, count in enumerate(rows)]

    parts = shared(groups, workers)

    assert len(parts) == ranges
    assert most_workers(groups) >= len(parts)
    for group in groups:
        mine = [part for part in parts if part.index == group.index]
        assert [part.first_row for part in mine] == [0, *(part.end for part in mine[:-1])]
        assert mine[-1].end == group.rows


def test_a_row_group_elsewhere_is_not_shared():
    assert len(shared([RowGroup("s3://customs/a.parquet", 0, 1_000_000)], 8)) == 1


def test_several_workers_find_what_one_does_and_each_row_is_in_the_ledger_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.ranges.LEAST_ROWS", 20)
    rows = [row(f"A{n}", "870829", picture(RED, shade=n % 30), picture(GREEN, shade=n % 7)) for n in range(200)]
    archive = write_archive(tmp_path / "a.parquet", rows, row_group_size=200)
    inputs = find_inputs(str(archive), date(2026, 11, 21), ColumnNames())
    model = plain_model("392690", "870829", height=8, width=9)
    table = FindingsTable("r", date(2026, 11, 21), "hs", 1, Judge(model.table, model.card.thresholds))
    several = ["--direct_running_mode=multi_threading", "--direct_num_workers=3"]
    found = []

    with FakeServer(model, probabilities=(0.25, 0.75)).listening() as address:
        for name, flags in (("one", []), ("several", several)):
            options = beam_options({}, flags)
            pointers = shared(inputs.pointers(), workers_of(options) or 1)
            folder = tmp_path / name
            folder.mkdir()
            with beam.Pipeline(options=options) as pipeline:
                read_rows = pipeline | beam.Create(pointers) | ReadArchive(inputs.layout)
                classify = Classify(model, Connection(address), PictureLimits(), batch_size=8)
                classified = read_rows[DECLARATIONS] | classify
                write = WriteFindings(table.schema, Location.parse(folder), "a1", Stores())
                _ = (classified[CLASSIFIED] | JudgeDeclarations(table))[FINDINGS] | write
            parts = sorted(folder.iterdir())
            assert sum(draw_up(inputs, [], parts).findings.values()) == 200  # and none twice
            found.append(pa.concat_tables([pq.read_table(part) for part in parts]).sort_by("source_row").to_pylist())

    assert len(pointers) == 7
    assert found[0] == found[1]
