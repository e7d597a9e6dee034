"""The worklist as files: worklist.csv for people, worklist.parquet with every column."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.findings.finding import SOURCE_ROW
from pipeline.findings.worklist import ADDED, NOT_KEPT, Chosen, chosen_in

_OURS = (
    "declaration_id", "item_no", "declared_hs_code", "declared_hs_code_normalized", "code_repair", "verdict", "reason",
    "differs_at", "risk", "recommended_hs_code", "recommended_probability", "recommended_description",
)  # fmt: skip


def write_worklist(worklist: pa.Table, folder: Path) -> None:
    """Writes worklist.csv and worklist.parquet."""
    (folder / "worklist.csv").write_text(to_csv(worklist), encoding="utf-8")
    pq.write_table(worklist, folder / "worklist.parquet")


def to_csv(worklist: pa.Table) -> str:
    """The worklist as CSV with a header; cells that a spreadsheet would run as formulas are neutralised."""
    kept = [name for name in worklist.column_names if name not in NOT_KEPT]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("rank", *ADDED.names, *_OURS, *kept, *SOURCE_ROW, "run_id"))
    for rank, chosen in enumerate(chosen_in(worklist), start=1):
        added = (getattr(chosen, name) for name in ADDED.names)
        finding = chosen.finding
        passed_through = (finding.kept[name] for name in kept)
        cells = (rank, *added, *_cells(chosen), *passed_through, *finding.source, finding.run_id)
        writer.writerow([neutralised(cell) for cell in cells])
    return out.getvalue()


def _cells(chosen: Chosen) -> tuple[object, ...]:
    """In the order of `_OURS`."""
    finding = chosen.finding
    best = finding.recommendations[0] if finding.recommendations else None
    return (
        finding.declaration_id,
        finding.item_no,
        finding.declared_hs_code,
        finding.declared and finding.declared.digits,
        finding.code_repair,
        finding.verdict,
        finding.reason,
        finding.differs_at,
        finding.risk,
        best and best.hs_code.digits,
        best and best.probability,
        best and best.description,
    )


def neutralised(cell: object) -> object:
    """Text that begins as a formula gets an apostrophe in front (OWASP, 'CSV Injection').

    >>> neutralised("=1+1"), neutralised("0808.10"), neutralised(-5)
    ("'=1+1", '0808.10', -5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in tuple("=+-@") and cell.strip() else cell
