"""Columns that are only passed through: whatever they hold, the night is published, and people see it."""

import csv
import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from pipeline.findings.as_python import values_of
from tests.archives import BLUE, picture, row

DAYS, SECONDS = 3_000_000, 400_000_000_000  # after 1970: in the years 10183 and 14645
TIMES = pa.list_(pa.timestamp("ms"))


def of(number: int, type_: pa.DataType) -> pa.Array:
    return pa.array([number], pa.int32() if type_.bit_width == 32 else pa.int64()).view(type_)


def dated(days: int) -> pa.Array:
    return pa.StructArray.from_arrays([of(days, pa.date32())], ["on"])


BEYOND = {  # what Python cannot hold, and how people see it
    "date32": (of(DAYS, pa.date32()), "10183-09-21"),
    "date64": (of(DAYS * 86_400_000, pa.date64()), "10183-09-21"),
    "before": (of(-900_000, pa.date32()), "-0495-11-20"),
    "outside": (of((1 << 31) - 1, pa.date32()), "<value out of range: 2147483647>"),
    "seconds": (of(SECONDS, pa.timestamp("s")), "14645-06-30 15:06:40"),
    "milliseconds": (of(SECONDS * 1000, pa.timestamp("ms")), "14645-06-30 15:06:40.000"),
    "microseconds": (of(SECONDS * 1_000_000, pa.timestamp("us")), "14645-06-30 15:06:40.000000"),
    "zoned": (of(SECONDS * 1000, pa.timestamp("ms", "Asia/Seoul")), "14645-07-01 00:06:40.000+0900"),
    "nowhere": (of(0, pa.timestamp("us", "Mars/Olympus")), "1970-01-01 00:00:00.000000Z"),
    "duration": (of(1 << 62, pa.duration("s")), "4611686018427387904"),
    "times": (pa.array([[0, SECONDS * 1000]]).cast(TIMES), "[1970-01-01 00:00:00.000,14645-06-30 15:06:40.000]"),
    "dated": (dated(DAYS), "-- is_valid: all not null -- child 0 type: date32[day] [10183-09-21]"),
    "broken": (pa.ListArray.from_arrays([0, 1], pa.array([b"caf\xe9"]).view(pa.string())), '["caf\ufffd"]'),
}
WITHIN = {
    "day": (pa.array([date(2026, 11, 20)]), "2026-11-20"),
    "time": (of(3_600_000, pa.time32("ms")), "01:00:00"),
    "wide": (pa.array([Decimal("1" * 70)], pa.decimal256(76, 3)), "1" * 70 + ".000"),
    "half": (pa.array([1.5], pa.float16()), "1.5"),
    "key": (pa.array([b"x"], pa.binary(1)), "b'x'"),
    "text_view": (pa.array(["x"], pa.string_view()), "x"),
    "text_views": (pa.array([["x"]], pa.list_(pa.string_view())), "['x']"),
    "view_inside": (pa.array([{"a": "x"}], pa.struct([("a", pa.string_view())])), "{'a': 'x'}"),
    "pair": (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), "[1, 2]"),
    "words": (pa.array([["a"]], pa.list_(pa.dictionary(pa.int32(), pa.string()))), "['a']"),
    "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "[('a', 1)]"),
    "flag": (pa.array([True]), "True"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_python_cannot_hold_is_text_for_people(name):
    column, text = BEYOND[name]
    absent = pa.nulls(1, column.type)

    assert values_of(column) == [text]
    assert values_of(pa.chunked_array([column, absent])) == [text, None]


def test_what_python_can_hold_beside_it_stays_what_it_is():
    column = pa.array([0, DAYS, None], pa.int32()).cast(pa.date32())

    assert values_of(column) == [date(1970, 1, 1), "10183-09-21", None]


@pytest.fixture
def run(tmp_path: Path, colour_server: str):
    """Audits a table with a configuration and returns the run's folder."""

    def run(table: pa.Table, config: str) -> Path:
        pq.write_table(table, tmp_path / "a.parquet")
        (tmp_path / "config.yaml").write_text(config)
        flags = [f"--config={tmp_path}/config.yaml", f"--input={tmp_path}/a.parquet", f"--output={tmp_path}"]
        assert main(["run", f"--server={colour_server}", "--run-date=2026-11-21", *flags]) == 0
        return tmp_path / "run_date=2026-11-21"

    return run


def test_columns_of_every_type_pass_through_a_night_as_they_are(run, capsys):
    columns = {name: column for name, column in (BEYOND | WITHIN).items() if name != "seconds"}  # Parquet has none
    table = pa.Table.from_pylist([row("A1", "870829", picture(BLUE))])
    for name, (column, _) in columns.items():
        table = table.append_column(name, column)

    published = run(table, f"keep: {json.dumps(list(columns))}\nworklist: {{budget: 100%}}\n")

    findings = pq.ParquetFile(next((published / "findings").iterdir())).read()
    (line,) = csv.DictReader((published / "worklist.csv").open())
    page = (published / "report.html").read_text()
    for name, (column, text) in columns.items():
        assert findings[name].combine_chunks().to_string() == column.to_string().replace("_view", ""), name
        assert line[name].removeprefix("'") == text
    assert "14645-06-30 15:06:40" in page
    assert main(["explain", str(published), "A1"]) == 0
    assert "declared as" in capsys.readouterr().out


HOLD_BYTES = {
    "binary": pa.array([b"x"]),
    "a view": pa.array([b"x"], pa.binary_view()),
    "a dictionary": pa.array([b"x"]).dictionary_encode(),
    "a list": pa.array([[b"x"]]),
    "pictures": pa.array([[{"bytes": b"x", "path": "x.png"}]]),
    "a map": pa.array([[("x", b"x")]], pa.map_(pa.string(), pa.large_binary())),
}


@pytest.mark.parametrize("kind", HOLD_BYTES)
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("keep: [theirs]", "keep: column 'theirs' of .*/a.parquet is .*: take it out of `keep`"),
        (
            "columns: {office: theirs}",
            "columns.office: column 'theirs' of .*/a.parquet is .*: set columns.office to null",
        ),
    ],
)
def test_bytes_are_not_passed_through_and_a_run_and_a_check_say_so_before_the_night(
    tmp_path, capsys, kind, settings, told
):
    table = pa.Table.from_pylist([row("A1", "870829", picture(BLUE))])
    pq.write_table(table.append_column("theirs", HOLD_BYTES[kind]), tmp_path / "a.parquet")
    (tmp_path / "config.yaml").write_text(settings)
    archive, config = f"{tmp_path}/a.parquet", f"--config={tmp_path}/config.yaml"

    for command in (["check", "archive", archive], ["run", f"--input={archive}", f"--output={tmp_path}/audits"]):
        server = [] if command[0] == "check" else ["--server=127.0.0.1:1"]
        assert main([*command, config, *server]) == 2
        assert re.search(told, " ".join(capsys.readouterr().err.split()))


@pytest.mark.parametrize(
    ("mapped", "column"),
    [
        ("office", pa.array([DAYS, DAYS, 0], pa.int32()).view(pa.date32())),
        ("office", pa.array([float("nan"), float("nan"), 1.0])),
        ("office", pa.array([["Busan"], ["Busan"], None])),
        ("importer", pa.array([["Acme"], ["Acme"], None])),
        ("value", pa.array([DAYS, DAYS, 0], pa.int32()).view(pa.date32())),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
)
def test_what_the_worklist_goes_by_may_be_of_any_type(run, mapped, column):
    table = pa.Table.from_pylist([row(f"A{n}", "870829", picture(BLUE, shade=n)) for n in range(3)])

    published = run(
        table.append_column("theirs", column),
        f"columns: {{{mapped}: theirs}}\nworklist: {{budget: '1', per_office: {json.dumps(mapped == 'office')}}}\n",
    )

    lines = list(csv.DictReader((published / "worklist.csv").open()))
    assert len(lines) == (2 if mapped == "office" else 1)
