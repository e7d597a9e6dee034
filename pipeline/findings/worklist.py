"""The worklist: the findings that officers should open, exactly as many as they can.

Ranked by risk, those that differ come first, then those whose pictures are surely of other goods while the classifier
does not know the declared code, then the rest; equal ones stand in the order of the archive. Ranked by revenue, those
with a known stake come first. What cannot be judged is opened only where it is drawn at random: a seeded share of the
budget is drawn evenly from the whole night, so that its hit rate is that of the night.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hs.errors import UsageError
from hs.ranking import By, Selection
from hs.revenue import number, stake
from hs.verdicts import Reason
from pipeline.findings.schema import FIELD_NAMES

RANDOM = "random"
_SOURCE_ROW = ("source_file", "source_row_group", "source_row")
_ORDER = [("tier", "ascending"), ("score", "descending"), *((name, "ascending") for name in _SOURCE_ROW)]
_DRAW = [("draw", "ascending")]
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
_ADDED = pa.schema(
    [
        pa.field("case", pa.int64()),
        pa.field("chosen_by", pa.string()),
        pa.field("duty_difference", pa.float64()),
        pa.field("revenue", pa.float64()),
    ]
)
NOT_KEPT = FIELD_NAMES | set(_ADDED.names)
_NO_PLACE = 9
_BATCH_ROWS = 1024  # a finding is some kilobytes of Python objects


def require_columns(selection: Selection, names: Sequence[str]) -> None:
    """Makes sure that the findings have what the selection needs.

    Raises:
        UsageError: which column is missing, and what for.
    """
    if selection.per_office and "office" not in names:
        raise UsageError("a worklist per office needs the column office, which the archive does not have")
    if selection.by is By.REVENUE and "value" not in names:
        raise UsageError("a worklist by revenue needs the column value, which the archive does not have")


def select(parts: Iterable[Path], selection: Selection) -> pa.Table:
    """The worklist, best first: all columns of the findings, and `case`, `chosen_by`, `duty_difference`, `revenue`.

    Lines of one importer with one declared and one recommended code are one case, numbered by the rank of its first.

    Args:
        parts: files of findings; one batch at a time is in memory, and as many rows as the budget has.
        selection: which.
    """
    parts = list(parts)
    schema = pq.read_schema(parts[0])
    offices = _rows_by_office(parts, selection.per_office)
    budgets = {office: selection.rows(of) for office, of in offices.items()}
    best = {office: _First(budget, _ORDER) for office, budget in budgets.items()}
    drawn = {office: _First(selection.drawn(of), _DRAW) for office, of in offices.items()}
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(_BATCH_ROWS):
            for office, rows in _by_office(_ranked(batch, selection), selection.per_office):
                best[office].add(rows.filter(pc.less(rows["tier"], _NO_PLACE)))
                drawn[office].add(rows)
    if not sum(offices.values()):
        return pa.schema([*schema, *_ADDED]).empty_table()
    chosen = [_together(best[name].rows(), drawn[name].rows(), budgets[name], selection.by) for name in offices]
    table = pa.concat_tables(chosen)
    table = table.take(pc.sort_indices(table, sort_keys=_ORDER))
    table = table.append_column(_ADDED.field("case"), pa.array(_cases(table), pa.int64()))
    return table.select([*schema.names, *_ADDED.names])


class _First:
    """The first rows of an order, of all that were added; the others are let go of from time to time.

    Args:
        most: how many rows to keep.
        order: sort keys.
    """

    def __init__(self, most: int, order: list[tuple[str, str]]) -> None:
        self._most, self._order = most, order
        self._tables: list[pa.Table] = []
        self._held = 0

    def add(self, rows: pa.Table) -> None:
        """Considers these, too."""
        self._tables.append(rows)
        self._held += rows.num_rows
        if self._held > 2 * self._most + _BATCH_ROWS:  # so that each row is sorted a few times, however many come
            self._tables = [self.rows()]
            self._held = self._tables[0].num_rows

    def rows(self) -> pa.Table:
        """The first ones, in order."""
        merged = pa.concat_tables(self._tables)
        return merged.take(pc.sort_indices(merged, sort_keys=self._order)[: self._most])


def _rows_by_office(parts: Sequence[Path], per_office: bool) -> Counter[str | None]:
    if not per_office:
        return Counter({None: sum(pq.read_metadata(part).num_rows for part in parts)})
    rows: Counter[str | None] = Counter()
    for part in parts:
        rows.update(pq.read_table(part, columns=["office"]).column("office").to_pylist())
    return rows


def _by_office(rows: pa.Table, per_office: bool) -> list[tuple[str | None, pa.Table]]:
    if not per_office:
        return [(None, rows)]
    offices = rows["office"].unique().to_pylist()
    here = {
        office: pc.is_null(rows["office"]) if office is None else pc.equal(rows["office"], office) for office in offices
    }
    return [(office, rows.filter(mask)) for office, mask in here.items()]


def _ranked(batch: pa.RecordBatch, selection: Selection) -> pa.Table:
    """The findings with their place: tier, score within it, stake, and the number by which they are drawn."""
    names = [name for name in ("reason", "mismatch", "risk", "declared_hs_code_normalized", "recommendations",
                               "value", "duty_rate", *_SOURCE_ROW) if name in batch.schema.names]  # fmt: skip
    tiers, scores, differences, revenues, draws = [], [], [], [], []
    for finding in batch.select(names).to_pylist():
        recommended = [entry["hs_code"] for entry in finding["recommendations"]]
        at_stake = stake(
            finding["risk"],
            number(finding.get("value")),
            finding["declared_hs_code_normalized"],
            number(finding.get("duty_rate")),
            recommended,
            selection.rates,
        )
        revenue = at_stake.revenue if at_stake else None
        tier, score = _place(finding, revenue if selection.by is By.REVENUE else None)
        tiers.append(tier)
        scores.append(score)
        differences.append(at_stake.duty_difference if at_stake else None)
        revenues.append(revenue)
        draws.append(_draw(selection.seed, finding) if selection.random_share else 0)
    added = {"tier": pa.array(tiers, pa.int8()), "score": pa.array(scores, pa.float64()),
             "duty_difference": pa.array(differences, pa.float64()), "revenue": pa.array(revenues, pa.float64()),
             "draw": pa.array(draws, pa.uint64())}  # fmt: skip
    table = pa.Table.from_batches([batch])
    for name, values in added.items():
        table = table.append_column(name, values)
    return table


def _place(finding: dict[str, Any], revenue: float | None) -> tuple[int, float]:
    if revenue is not None:
        return 0, revenue
    if finding["mismatch"]:
        return 1, finding["risk"]
    if finding["reason"] == Reason.SURE_OF_OTHERS:
        return 2, finding["recommendations"][0]["probability"]
    return (_NO_PLACE, 0.0) if finding["risk"] is None else (3, finding["risk"])


def _draw(seed: int, finding: dict[str, Any]) -> int:
    key = "\0".join(str(finding[name]) for name in _SOURCE_ROW)
    return int.from_bytes(
        hashlib.blake2b(key.encode(), digest_size=8, key=seed.to_bytes(8, "little")).digest(), "little"
    )


def _together(best: pa.Table, drawn: pa.Table, budget: int, by: By) -> pa.Table:
    """The drawn ones, and of the best ones as many others as the budget still has."""
    taken = set(_source_rows(drawn))
    others = [row for row, source in enumerate(_source_rows(best)) if source not in taken]
    ranked = best.take(pa.array(others[: budget - drawn.num_rows], pa.int64()))
    return pa.concat_tables(
        part.append_column("chosen_by", pa.array([why] * part.num_rows, pa.string()))
        for part, why in ((ranked, by.value), (drawn, RANDOM))
    )


def _source_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in _SOURCE_ROW), strict=True))


def _cases(table: pa.Table) -> list[int]:
    first: dict[tuple[Any, ...], int] = {}
    importers = table["importer"].to_pylist() if "importer" in table.column_names else [None] * table.num_rows
    declared = table["declared_hs_code_normalized"].to_pylist()
    cases = []
    for rank, (importer, code, recommended) in enumerate(
        zip(importers, declared, table["recommendations"].to_pylist(), strict=True), start=1
    ):
        best = recommended[0]["hs_code"] if recommended else None
        known = importer is not None and code is not None and best is not None
        cases.append(first.setdefault((importer, code, best), rank) if known else rank)
    return cases


def write_worklist(worklist: pa.Table, folder: Path) -> None:
    """Writes worklist.csv and worklist.parquet."""
    (folder / "worklist.csv").write_text(to_csv(worklist), encoding="utf-8")
    pq.write_table(worklist, folder / "worklist.parquet")


def to_csv(worklist: pa.Table) -> str:
    """The worklist as CSV with a header; cells that a spreadsheet would run as formulas are neutralised."""
    kept = [name for name in worklist.column_names if name not in NOT_KEPT]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    recommended = ("recommended_hs_code", "recommended_probability", "recommended_description")
    writer.writerow(("rank", *_ADDED.names, *_COLUMNS, *recommended, *kept, *_SOURCE_ROW, "run_id"))
    for rank, finding in enumerate(worklist.to_pylist(), start=1):
        best: dict[str, Any] = next(iter(finding["recommendations"]), {})
        cells = (
            rank,
            *(finding[name] for name in (*_ADDED.names, *_COLUMNS)),
            *(best.get(name) for name in ("hs_code", "probability", "description")),
            *(finding[name] for name in (*kept, *_SOURCE_ROW, "run_id")),
        )
        writer.writerow([neutralised(cell) for cell in cells])
    return out.getvalue()


def neutralised(cell: object) -> object:
    """Text that begins as a formula gets an apostrophe in front (OWASP, 'CSV Injection').

    >>> neutralised("=1+1"), neutralised("0808.10"), neutralised(-5)
    ("'=1+1", '0808.10', -5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in tuple("=+-@") and cell.strip() else cell
