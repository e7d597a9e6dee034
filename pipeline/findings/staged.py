"""The files of an attempt that hold findings and dead letters."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.schema import DEAD_LETTERS
from pipeline.values import DeadLetter


def keep_parts(
    folder: Location, names: Sequence[str], schema: pa.Schema, attempt_id: str, stores: Stores
) -> list[Location]:
    """Removes the files that have no receipt; a night without rows gets one empty file.

    The attempt stands in each name: who listed the files of a run that is replaced meanwhile finds none of them, and
    never reads some of one run and some of the other.

    Args:
        folder: of the findings.
        names: of the files that have a receipt; a worker whose bundle was tried again left others behind.
        schema: of the findings.
        attempt_id: of this attempt.
        stores: how the folder is reached.

    Returns:
        The files that are left.
    """
    for facts in stores.files(folder):
        if facts.location.name not in names:
            stores.delete(facts.location)
    if not names:
        names = [f"part-00000-{attempt_id}.parquet"]
        with stores.open_output(folder / names[0]) as stream:
            pq.write_table(schema.empty_table(), stream)
    return [folder / name for name in names]


def write_dead_letters(dead_letters: Sequence[DeadLetter], folder: Path, attempt_id: str) -> None:
    """Writes what could not be read, in the order of the archive."""
    folder.mkdir()
    ordered = sorted(dead_letters, key=lambda letter: (letter.file, letter.row_group or 0, letter.first_row or 0))
    rows = [asdict(letter) for letter in ordered]
    pq.write_table(pa.Table.from_pylist(rows, DEAD_LETTERS), folder / f"part-00000-{attempt_id}.parquet")
