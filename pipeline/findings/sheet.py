"""The worklist as files: worklist.csv and worklist.xlsx for people, worklist.parquet with every column."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from hs.files import whole_or_not_at_all
from hs.spreadsheets import neutralised
from pipeline.findings.finding import SOURCE_ROW, Partner
from pipeline.findings.worklist import ADDED, NOT_KEPT, Chosen, chosen_in

_OURS = (
    "declaration_id", "item_no", "declared_hs_code", "declared_hs_code_normalized", "code_repair", "verdict", "reason",
    "differs_at", "risk", "recommended_hs_code", "recommended_probability", "recommended_description",
    "partners",
)  # fmt: skip
_MOST_EXACT = 1e15  # a spreadsheet has 15 digits; and NaN is not less than this
_MOST_ROWS, _MOST_CHARACTERS = 1_048_576, 32_767  # of a sheet, and of a cell; Excel refuses files with more


def write_worklist(worklist: pa.Table, folder: Path) -> None:
    """Writes worklist.csv, worklist.xlsx and worklist.parquet, each whole or not at all."""
    with (
        whole_or_not_at_all(folder / "worklist.csv") as unfinished,
        # Without the mark, Excel takes it for cp1252.
        open(unfinished, "w", newline="", encoding="utf-8-sig") as stream,
    ):
        _write_csv(worklist, stream)
    with whole_or_not_at_all(folder / "worklist.xlsx") as unfinished:
        _write_xlsx(worklist, unfinished)
    with whole_or_not_at_all(folder / "worklist.parquet") as unfinished:
        pq.write_table(worklist, unfinished)


def to_csv(worklist: pa.Table) -> str:
    """The worklist as CSV with a header (RFC 4180, every cell quoted); no cell is a formula, and a row is a line."""
    out = io.StringIO()
    _write_csv(worklist, out)
    return out.getvalue()


def _write_csv(worklist: pa.Table, stream: TextIO) -> None:
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(_rows(worklist))


def _write_xlsx(worklist: pa.Table, path: Path) -> None:
    from openpyxl import Workbook  # a night starts without it
    from openpyxl.cell import WriteOnlyCell

    def text(written: str) -> WriteOnlyCell:
        cell = WriteOnlyCell(sheet, written[:_MOST_CHARACTERS])
        cell.data_type = "s"  # else openpyxl makes a formula of what begins with =
        cell.number_format = "@"  # else 0808.10 loses its zeros once somebody edits it
        return cell

    book = Workbook(write_only=True)
    sheet = book.create_sheet("worklist")
    sheet.freeze_panes = "A2"
    for row in islice(_rows(worklist), _MOST_ROWS):
        sheet.append([text(cell) if isinstance(cell, str) else cell for cell in row])
    book.save(path)


def _rows(worklist: pa.Table) -> Iterator[list[object]]:
    """The header, then the lines; text is fit for a spreadsheet."""
    kept = [name for name in worklist.column_names if name not in NOT_KEPT]
    yield ["rank", *ADDED.names, *_OURS, *(neutralised(name) for name in kept), *SOURCE_ROW, "run_id"]
    for rank, chosen in enumerate(chosen_in(worklist), start=1):
        added = (getattr(chosen, name) for name in ADDED.names)
        finding = chosen.finding
        passed_through = (finding.kept[name] for name in kept)
        cells = (rank, *added, *_cells(chosen), *passed_through, *finding.source, finding.run_id)
        yield [_fit(cell) for cell in cells]


def _fit(cell: object) -> object:
    """What a cell may hold: nothing, a number that a spreadsheet keeps as it is, or text that is no formula."""
    if isinstance(cell, int | float | Decimal) and -_MOST_EXACT < cell < _MOST_EXACT:
        return cell
    return cell if cell is None else neutralised(str(cell))


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
        "; ".join(map(_named, finding.partners)) or None,
    )


def _named(partner: Partner) -> str:
    """A partner in a few words: `2026-11-20 D-17/2: 080810 (importer 4711)`."""
    item = "" if partner.item_no is None else f"/{partner.item_no}"
    importer = "" if partner.importer is None else f" (importer {partner.importer})"
    code = partner.declared.digits if partner.declared else "no code"
    return f"{partner.run_date} {partner.declaration_id or 'no id'}{item}: {code}{importer}"
