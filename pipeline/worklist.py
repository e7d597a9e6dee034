"""The worklist: the findings that officers should open first, within a budget.

Ranked by risk; equal risks stand in the order of the archive. What cannot be judged has no risk and no place in it.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_ORDER = [
    ("risk", "descending"),
    ("source_file", "ascending"),
    ("source_row_group", "ascending"),
    ("source_row", "ascending"),
]
_COLUMNS = (
    "declaration_id",
    "item_no",
    "declared_hs_code",
    "declared_hs_code_normalized",
    "code_repair",
    "verdict",
    "reason",
    "differs_at",
    "risk",
)
_SOURCE = ("source_file", "source_row_group", "source_row", "run_id")


def select(parts: Iterable[Path], rows: int) -> pa.Table:
    """The first `rows` findings of the worklist, all columns, best first.

    Args:
        parts: files of findings; one at a time is in memory.
        rows: the budget.
    """
    best: pa.Table | None = None
    for part in parts:
        file = pq.ParquetFile(part)
        best = best if best is not None else file.schema_arrow.empty_table()
        for batch in file.iter_batches(8192):
            candidates = pa.Table.from_batches([batch.filter(pc.is_valid(batch.column("risk")))])
            merged = pa.concat_tables([best, candidates])
            best = merged.take(pc.sort_indices(merged, sort_keys=_ORDER)[:rows])
    assert best is not None, "a run has at least one file of findings"
    return best


def to_csv(worklist: pa.Table, kept: Iterable[str]) -> str:
    """The worklist as CSV with a header; cells that a spreadsheet would run as formulas are neutralised.

    Args:
        worklist: from `select`.
        kept: names of the passed-through columns.
    """
    kept = tuple(kept)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (
            "rank",
            *_COLUMNS,
            "recommended_hs_code",
            "recommended_probability",
            "recommended_description",
            *kept,
            *_SOURCE,
        )
    )
    for rank, finding in enumerate(worklist.to_pylist(), start=1):
        best: dict = next(iter(finding["recommendations"]), {})
        recommended = (best.get("hs_code"), best.get("probability"), best.get("description"))
        cells = (
            rank,
            *(finding[name] for name in _COLUMNS),
            *recommended,
            *(finding[name] for name in (*kept, *_SOURCE)),
        )
        writer.writerow([neutralised(cell) for cell in cells])
    return out.getvalue()


def neutralised(cell: object) -> object:
    """Text that begins as a formula gets an apostrophe in front (OWASP, 'CSV Injection').

    >>> neutralised("=1+1"), neutralised("0808.10"), neutralised(-5)
    ("'=1+1", '0808.10', -5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in tuple("=+-@") and cell.strip() else cell
