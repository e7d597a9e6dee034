"""The lines of declarations in a few words, for whoever looks at one of them: what the run says of the others."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.verdicts import Verdict
from pipeline.findings.finding import SOURCE_ROW, SourceRow, rows_of, source_of
from pipeline.findings.parts import opened

_COLUMNS = ["declaration_id", "item_no", "declared_hs_code_normalized", "recommendations", "verdict", *SOURCE_ROW]
_BATCH_ROWS = 4096
_MOST_LINES = 20  # of a declaration; an archive may well give all of its rows one id


@dataclass(frozen=True)
class Line:
    """What is said of a line of a declaration.

    Attributes:
        item_no: as declared.
        declared: digits of the code as read, or None.
        recommended: digits of the code that the pictures speak for, or None.
        verdict: of the finding.
    """

    item_no: int | None
    declared: str | None
    recommended: str | None
    verdict: Verdict


@dataclass
class Lines:
    """Lines of a declaration that stand somewhere else.

    Attributes:
        first: those that are named, in the order of the archive.
        count: how many there are.
    """

    first: list[Line]
    count: int


def other_lines(
    parts: Collection[Path | Location], declarations: Collection[str], but: Collection[SourceRow], stores: Stores
) -> dict[str, Lines]:
    """The lines of some declarations, by their ids; one batch of findings at a time is in memory.

    Args:
        parts: files of findings.
        declarations: ids.
        but: lines that are known already.
        stores: how the files are reached.

    Raises:
        OSError, pyarrow.ArrowException: if they cannot be read.
    """
    wanted, found = pa.array(list(declarations), pa.string()), dict[str, Lines]()
    for part in parts if len(wanted) else ():
        with opened(part, stores) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=_COLUMNS):
                for row in rows_of(batch.filter(pc.is_in(batch.column("declaration_id"), wanted))):
                    if source_of(row) not in but:
                        _add(found.setdefault(row["declaration_id"], Lines([], 0)), row)
    return found


def _add(lines: Lines, row: Mapping[str, Any]) -> None:
    lines.count += 1
    if len(lines.first) < _MOST_LINES:
        best = next(iter(row["recommendations"]), None)
        line = Line(
            row["item_no"], row["declared_hs_code_normalized"], best and best["hs_code"], Verdict(row["verdict"])
        )
        lines.first.append(line)
