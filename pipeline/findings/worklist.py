"""The worklist: the findings that officers should open, exactly as many as they can.

    findings ──► ranked (hs.ranking: place, draw number) ──► per office or for all: the best and the drawn ──► worklist

Ranked by risk, those that differ come first, then those whose pictures are surely of other goods while the classifier
does not know the declared code, then those whose picture stands under another code as well, then the rest; equal ones
stand in the order of the archive. Ranked by revenue, those with a known stake come first. What cannot be judged is
opened only where it is drawn at random: a seeded share of the budget is drawn evenly from the whole night, so that its
hit rate is that of the night. Where each office has a budget, the draw is even within each, and `draw_probability` says
how likely a row was to be drawn, so that it can be weighed.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hs.errors import UsageError
from hs.ranking import By, Place, Selection, case_numbers, draw_number, place
from hs.revenue import Stake, number, stake
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE, Stores
from pipeline.findings.finding import SOURCE_ROW, Finding, SourceRow, rows_of, source_of, under_another_code
from pipeline.findings.parts import opened
from pipeline.findings.schema import FIELD_NAMES

RANDOM = "random"
ADDED = pa.schema(
    [
        pa.field("case", pa.int64()),
        pa.field("chosen_by", pa.string()),
        pa.field("draw_probability", pa.float64()),
        pa.field("duty_difference", pa.float64()),
        pa.field("revenue", pa.float64()),
    ]
)
NOT_KEPT = FIELD_NAMES | set(ADDED.names)
# An archive may well pass through a column `score`.
_TIER, _SCORE, _DRAW_NUMBER, _PART, _ROW = "(tier)", "(score)", "(draw)", "(part)", "(row)"
_ORDER = [(_TIER, "ascending"), (_SCORE, "descending"), *((name, "ascending") for name in SOURCE_ROW)]
_DRAW = [(_DRAW_NUMBER, "ascending")]
_RANKED_BY = (
    "reason", "mismatch", "risk", "declared_hs_code_normalized", "recommendations", "value", "duty_rate",
    "partners", *SOURCE_ROW,
)  # fmt: skip
_BATCH_ROWS = 1024  # a finding is some kilobytes of Python objects


@dataclass(frozen=True)
class Chosen:
    """A line of the worklist.

    Attributes:
        finding: the finding.
        case: rank of the first line of its case: of an importer with the same codes, or with the same picture.
        chosen_by: `risk`, `revenue` or `random`.
        draw_probability: rows that were drawn of rows that could be, in its office or the night; None if not drawn.
        duty_difference: rate of the recommended code less that of the declared one, in percentage points, or None.
        revenue: at stake, or None.
    """

    finding: Finding
    case: int
    chosen_by: str
    draw_probability: float | None
    duty_difference: float | None
    revenue: float | None


def chosen_in(worklist: pa.Table) -> Iterator[Chosen]:
    """The lines of a worklist, best first."""
    for batch in worklist.to_batches(max_chunksize=_BATCH_ROWS):
        for row in rows_of(batch):
            added = {name: row.pop(name, None) for name in ADDED.names}
            yield Chosen(Finding.from_row(row), **added)


def require_columns(selection: Selection, names: Sequence[str]) -> None:
    """Makes sure that the findings have what the selection needs.

    Raises:
        UsageError: which column is missing, and what for.
    """
    if selection.per_office and "office" not in names:
        raise UsageError("a worklist per office needs the column office, which the archive does not have")
    if selection.by is By.REVENUE and "value" not in names:
        raise UsageError("a worklist by revenue needs the column value, which the archive does not have")


def nothing_chosen(parts: Iterable[Path | Location], stores: Stores = ANYWHERE) -> pa.Table:
    """A worklist without lines, with the columns that `select` would give it."""
    with opened(next(iter(parts)), stores) as file:
        return pa.schema([*file.schema_arrow, *ADDED]).empty_table()


def select(
    parts: Iterable[Path | Location],
    selection: Selection,
    stores: Stores = ANYWHERE,
    unranked: Collection[SourceRow] = frozenset(),
) -> pa.Table:
    """The worklist, best first: all columns of the findings, and those of `ADDED`.

    Args:
        parts: files of findings; one batch at a time is in memory, as many rows as the budget has, and of twice as many
            what ranks them.
        selection: which.
        stores: how the files are reached.
        unranked: rows that can be drawn and no more, as their matter is settled.
    """
    parts = list(parts)
    with opened(parts[0], stores) as file:
        schema = file.schema_arrow
    rows_by_office = _rows_by_office(parts, selection.per_office, stores)
    if not rows_by_office.total():  # no office, and no tables to put together
        return nothing_chosen(parts, stores)
    offices = {name: _Office(selection, rows) for name, rows in rows_by_office.items()}
    for index, part in enumerate(parts):
        for ranked in _ranked_in(part, index, selection, stores, unranked):
            for name, rows in _by_office(ranked, selection.per_office):
                offices[name].add(rows)
    chosen = pa.concat_tables(office.chosen() for office in offices.values())
    chosen = chosen.take(pc.sort_indices(chosen, sort_keys=_ORDER))
    table = _whole_rows(parts, chosen, stores)
    for name in ADDED.names[1:]:
        table = table.append_column(ADDED.field(name), chosen[name])
    table = table.append_column(ADDED.field("case"), pa.array(_cases(table), pa.int64()))
    return table.select([*schema.names, *ADDED.names])


def _whole_rows(parts: Sequence[Path | Location], chosen: pa.Table, stores: Stores) -> pa.Table:
    """All columns of the chosen rows, in their order; the files are read once more for them."""
    of_part, rows = (chosen[name].to_numpy() for name in (_PART, _ROW))
    as_they_lie = np.lexsort((rows, of_part))
    found = []
    for index, part in enumerate(parts):
        wanted, first = rows[as_they_lie][of_part[as_they_lie] == index], 0
        with opened(part, stores) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                begin, end = np.searchsorted(wanted, (first, first + batch.num_rows))
                found.append(batch.take(pa.array(wanted[begin:end] - first)))
                first += batch.num_rows
    return pa.Table.from_batches(found).take(pa.array(np.argsort(as_they_lie)))


def _rows_by_office(parts: Sequence[Path | Location], per_office: bool, stores: Stores) -> Counter[str | None]:
    rows: Counter[str | None] = Counter()
    for part in parts:
        with opened(part, stores) as file:
            if per_office:
                rows.update(_called(row["office"]) for row in rows_of(file.read(["office"])))
            else:
                rows[None] += file.metadata.num_rows
    return rows


def _by_office(rows: pa.Table, per_office: bool) -> list[tuple[str | None, pa.Table]]:
    if not per_office:
        return [(None, rows)]
    members = defaultdict(list)
    for index, row in enumerate(rows_of(rows.select(["office"]))):
        members[_called(row["office"])].append(index)
    return [(office, rows.take(pa.array(mine))) for office, mine in members.items()]


def _ranked_in(
    part: Path | Location, index: int, selection: Selection, stores: Stores, unranked: Collection[SourceRow]
) -> Iterator[pa.Table]:
    """What ranks the findings of a file, and where they stand in it, batch by batch."""
    first = 0
    with opened(part, stores) as file:
        wanted = (*_RANKED_BY, "office") if selection.per_office else _RANKED_BY
        names = [name for name in wanted if name in file.schema_arrow.names]
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            places = {_PART: pa.repeat(index, batch.num_rows), _ROW: pa.array(range(first, first + batch.num_rows))}
            kept = {name: batch.column(name) for name in names if name in (*SOURCE_ROW, "office")}
            yield pa.table(kept | places | _ranked(batch, selection, unranked))
            first += batch.num_rows


def _ranked(batch: pa.RecordBatch, selection: Selection, unranked: Collection[SourceRow]) -> dict[str, pa.Array]:
    """The place of each finding, what is at stake, and the number by which it is drawn.

    Rows stay dictionaries here: a `Finding` for each of 100,000 would cost four times what ranking them does.
    """
    rows = rows_of(batch)
    stakes = [_stake(row, selection.rates) for row in rows]
    places = [
        None if unranked and source_of(row) in unranked else _place(row, at_stake, selection.by)
        for row, at_stake in zip(rows, stakes, strict=True)
    ]
    seed = selection.seed if selection.random_share else None  # without a draw no row need be hashed
    draws = [0 if seed is None else draw_number(seed, *(row[name] for name in SOURCE_ROW)) for row in rows]
    return {
        _TIER: pa.array([at and at.tier for at in places], pa.int8()),
        _SCORE: pa.array([at and at.score for at in places], pa.float64()),
        _DRAW_NUMBER: pa.array(draws, pa.uint64()),
        "duty_difference": pa.array([at_stake and at_stake.duty_difference for at_stake in stakes], pa.float64()),
        "revenue": pa.array([at_stake and at_stake.revenue for at_stake in stakes], pa.float64()),
    }


def _stake(row: Mapping[str, Any], rates: Mapping[str, float]) -> Stake | None:
    recommended = [best["hs_code"] for best in row["recommendations"]]
    value, declared_rate = number(row.get("value")), number(row.get("duty_rate"))
    return stake(row["risk"], value, row["declared_hs_code_normalized"], declared_rate, recommended, rates)


def _place(row: Mapping[str, Any], at_stake: Stake | None, by: By) -> Place | None:
    revenue = at_stake.revenue if at_stake and by is By.REVENUE else None
    others = (each["declared_hs_code"] for each in row.get("partners") or ())  # none in an older run
    shares = under_another_code(row["declared_hs_code_normalized"], others)
    return place(row["mismatch"], row["reason"], row["risk"], _best(row).get("probability"), revenue, shares)


class _Office:
    """What one office is to open, or all of them together: its best findings, and those that are drawn.

    Args:
        selection: which.
        rows: how many findings it has.
    """

    def __init__(self, selection: Selection, rows: int) -> None:
        self._by, self._rows, self._budget = selection.by, rows, selection.rows(rows)
        self._best = _First(self._budget, _ORDER)  # the whole budget: any of them may be drawn as well
        self._drawn = _First(selection.drawn(rows), _DRAW)

    def add(self, ranked: pa.Table) -> None:
        """Considers these, too."""
        self._best.add(ranked.filter(ranked[_TIER].is_valid()))
        self._drawn.add(ranked)

    def chosen(self) -> pa.Table:
        """The drawn ones, and of the best ones as many others as the budget still has."""
        best, drawn = self._best.rows(), self._drawn.rows()
        taken = set(_source_rows(drawn))
        others = [row for row, source in enumerate(_source_rows(best)) if source not in taken]
        ranked = best.take(pa.array(others[: self._budget - drawn.num_rows], pa.int64()))
        probability = drawn.num_rows / self._rows
        return pa.concat_tables([_marked(ranked, self._by.value, None), _marked(drawn, RANDOM, probability)])


def _source_rows(table: pa.Table) -> list[SourceRow]:
    return [SourceRow(*row.values()) for row in rows_of(table.select(list(SOURCE_ROW)))]


def _marked(rows: pa.Table, chosen_by: str, draw_probability: float | None) -> pa.Table:
    for name, value in (("chosen_by", chosen_by), ("draw_probability", draw_probability)):
        field = ADDED.field(name)
        rows = rows.append_column(field, pa.repeat(pa.scalar(value, field.type), rows.num_rows))
    return rows


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


def _cases(table: pa.Table) -> list[int]:
    needed = ("importer", "declared_hs_code_normalized", "recommendations", "pictures", "partners")
    batches = table.select([name for name in needed if name in table.column_names]).to_batches(_BATCH_ROWS)
    return case_numbers(_in_common(row) for batch in batches for row in rows_of(batch))


def _in_common(row: Mapping[str, Any]) -> Iterator[Hashable]:
    """What a line has in common with others of its case: importer and codes, and pictures that others use."""
    line = (_called(row.get("importer")), row["declared_hs_code_normalized"], _best(row).get("hs_code"))
    if None not in line:
        yield line
    if partners := row.get("partners"):
        yield from (each["sha256"] for each in (*partners, *row["pictures"]))


def _called(value: object) -> str | None:
    """An office or an importer as text: it may be a list, or a NaN, which is not even equal to itself."""
    return None if value is None else str(value)


def _best(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(row["recommendations"]), {})
