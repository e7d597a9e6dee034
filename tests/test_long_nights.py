"""What each declaration more costs a long night in memory."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.ranking import Selection
from hs.storage.stores import ANYWHERE
from pipeline.findings.sheet import write_worklist
from pipeline.findings.worklist import select
from pipeline.job import same_pictures
from tests.findings import SCHEMA, finding

_NIGHT = date(2026, 11, 21)
_WORKLIST = """
import sys
import pyarrow as pa
from hs.ranking import Selection
from pipeline.findings.worklist import select
worklist = select([sys.argv[1]], Selection("20%", random_share=0.1))
print(worklist.num_rows, worklist.nbytes, pa.default_memory_pool().max_memory())
"""


def uses(count: int, copied: int = 0) -> np.ndarray:
    """Of random pictures, some of them nearly another one, as uint64 [count, 3]."""
    random = np.random.default_rng(0)
    hashes = random.integers(1, 2**64 - 1, count, np.uint64)
    hashes[:copied] = hashes[count - copied :] ^ np.uint64(0b1011)
    codes = random.integers(1, 1000, count, np.uint64) << np.uint64(4) | np.uint64(6)
    return np.column_stack([hashes, random.integers(1, 5000, count, np.uint64), codes])


def peak_bytes(do: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("quarter", range(4))
def test_pictures_that_meet_in_several_blocks_are_those_that_meet_in_one(monkeypatch, quarter):
    rows = uses(1000, copied=100)

    at_once = same_pictures.meet(quarter, rows, _NIGHT, 10, (), ANYWHERE)
    monkeypatch.setattr(same_pictures, "_HASHES_AT_ONCE", 70)
    monkeypatch.setattr("hs.pictures.near._OTHERS_AT_ONCE", 90)
    in_blocks = same_pictures.meet(quarter, rows, _NIGHT, 10, (), ANYWHERE)

    assert in_blocks == at_once
    assert len(at_once) >= (200 if quarter == 1 else 0)  # the first quarter that nearly agrees tells of them


def test_a_picture_more_takes_110_bytes_while_the_pictures_of_a_night_meet():
    few, many = (
        peak_bytes(lambda rows=rows: same_pictures.meet(1, rows, _NIGHT, 10, (), ANYWHERE))
        for rows in (uses(200_000), uses(500_000))
    )

    assert (many - few) / 300_000 <= 110


def test_a_worklist_takes_little_more_memory_than_its_own_rows(tmp_path: Path):
    text = pa.array([f"{number:02000d}" for number in range(1000)])
    findings = pa.Table.from_pylist([finding(row, 0.5 + row / 50_000) for row in range(20_000)], SCHEMA)
    findings = findings.append_column("goods", text.take(pa.array([row % 1000 for row in range(20_000)])))
    pq.write_table(findings, tmp_path / "part.parquet", row_group_size=2048)

    told = subprocess.run(
        [sys.executable, "-c", _WORKLIST, tmp_path / "part.parquet"], capture_output=True, text=True, check=True
    )

    rows, size, peak = map(int, told.stdout.split())
    assert rows == 4000
    assert size > 8e6
    assert peak <= 2 * size + 16e6


def test_a_line_of_the_worklist_more_takes_no_memory_while_the_sheets_are_written(tmp_path: Path):
    findings = pa.Table.from_pylist([finding(row, 0.5) for row in range(1100)], SCHEMA)
    pq.write_table(findings, tmp_path / "part.parquet")
    worklist = select([tmp_path / "part.parquet"], Selection("100%"))
    write_worklist(worklist, tmp_path)  # what is imported and made once is none of it

    few, many = (
        peak_bytes(lambda lines=lines: write_worklist(lines, tmp_path))
        for lines in (worklist, pa.concat_tables([worklist] * 3))
    )

    assert (many - few) / 2200 <= 200
