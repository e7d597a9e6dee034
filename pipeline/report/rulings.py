"""The pictures of the rulings that a page names, from the cases that the classifier learned from.

Cases lie in a Parquet file as `hs-audit train --cases` reads it, or in a folder of such files. Of each row group the
ids are read first, and pictures only where one is wanted, by the reader of the archive: memory follows neither.
"""

import logging
from collections.abc import Collection, Iterator

from hs.errors import StorageLost
from hs.pictures.decoding import PictureLimits
from hs.pictures.shrinking import Shrunk, shrink
from hs.precedents import shown_id
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import in_a_line
from pipeline.archive.footers import RAISED_BY_BYTES, open_archive
from pipeline.archive.row_groups import read_pictures
from pipeline.values import RowGroup

_log = logging.getLogger("hs_audit.report")
_ID, _IMAGES = "case_id", "images"
_MOST_PICTURES = 4  # of a case; the first that can be decoded is shown
_MOST_BYTES = 2_400  # of a JPEG
_SIDES = (64, 160)  # the longer side, pixels


def rulings_of(
    wanted: Collection[str], cases: str | None, stores: Stores, limits: PictureLimits, room: int
) -> dict[str, Shrunk]:
    """A picture of each ruling, by its id; none of those that have none, and of none that cannot be had.

    Args:
        wanted: ids, as findings have them.
        cases: where they lie; None where that is not known.
        stores: how that is reached.
        limits: what a picture may cost.
        room: for all of them together, bytes of JPEG.
    """
    found: dict[str, Shrunk] = {}
    if cases is None or not wanted:
        return found
    each = min(room // len(wanted), _MOST_BYTES)
    try:
        for case_id, pictures in _pictures(Location.parse(cases), frozenset(wanted), stores, limits.max_bytes):
            for picture in pictures:
                if case_id not in found and isinstance(shown := shrink(picture, limits, each, _SIDES), Shrunk):
                    found[case_id] = shown
    except (*RAISED_BY_BYTES, StorageLost) as error:  # a page without them is better than a night without a page
        _log.warning("the page has no pictures of %d rulings: %s", len(wanted) - len(found), in_a_line(error))
    return found


def _pictures(
    cases: Location, wanted: frozenset[str], stores: Stores, most_bytes: int
) -> Iterator[tuple[str, list[bytes]]]:
    """The first pictures of each case that is wanted, with its id."""
    files = _files(cases, stores)
    for file in files:
        begins = f"{file.name}:" if len(files) > 1 else ""  # so are rows without an id told apart in training, too
        for group, ids in _row_groups(file, begins, stores):
            rows = {row: case_id for row, case_id in enumerate(ids) if case_id in wanted}
            if rows:
                for row, pictures in read_pictures(group, set(rows), _IMAGES, stores, _MOST_PICTURES, most_bytes):
                    yield rows[row], pictures


def _files(cases: Location, stores: Stores) -> list[Location]:
    if cases.suffix == ".parquet" and stores.exists(cases):
        return [cases]
    inside = [facts.location for facts in stores.files(cases)]
    if files := [file for file in inside if file.suffix == ".parquet" and file.parent == cases]:
        return files
    raise ValueError(f"{cases} is no Parquet file of cases, nor a folder of such files")


def _row_groups(file: Location, begins: str, stores: Stores) -> Iterator[tuple[RowGroup, list[str]]]:
    """The row groups of a file, each with the ids of its cases."""
    first = 0
    with open_archive(file.text, stores) as archive:
        parquet = archive.parquet
        names = parquet.schema_arrow.names
        if _IMAGES not in names:
            raise ValueError(f"{file} has no column {_IMAGES}")
        for index in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(index).num_rows
            ids = parquet.read_row_group(index, [_ID]).column(0).to_pylist() if _ID in names else [None] * rows
            named = (f"{begins}{row}" if case_id is None else str(case_id) for row, case_id in enumerate(ids, first))
            yield RowGroup(file.text, index, rows, archive.facts.stamp), [shown_id(name) for name in named]
            first += rows
