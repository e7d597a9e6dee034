"""The store of hashes, brought up to date from the runs that are published."""

import logging
from datetime import date

import pyarrow as pa

from hs.errors import StorageLost, UsageError
from hs.storage.location import Location
from hs.text import counted
from pipeline.findings.hash_store import NONE_STORED, HashStore, StoredNights
from pipeline.runs.earlier import published_nights
from pipeline.runs.published import findings_of, published_run

_log = logging.getLogger("hs_audit.run")
_CANNOT = (UsageError, StorageLost, OSError, pa.ArrowException)


def stored_before(store: HashStore, output: Location, run_date: date) -> StoredNights:
    """What a night is compared with; hashes that are missing or damaged are made again of their runs, and it says so.

    Args:
        store: of hashes.
        output: of all runs.
        run_date: the night.
    """
    try:
        found = store.before(run_date)
        lacking = _lacking(store, output, run_date, found)
        if not lacking:
            return found
        made = [night for night in lacking if _keep(store, output, night)]
        _log.warning(
            "same_picture.store: %s had no hashes that can be read; those of %s were made again from their runs",
            counted(len(lacking), "night"), counted(len(made), "night"),
        )  # fmt: skip
        return store.before(run_date)
    except _CANNOT as error:
        _log.warning("same_picture.store: %s cannot be used, so no earlier night is compared: %s", store.folder, error)
        return NONE_STORED


def forget_hashes(store: HashStore, run_date: date) -> None:
    """Lets go of the hashes of a night whose run is about to be replaced."""
    try:
        store.forget(run_date)
    except _CANNOT as error:
        _log.warning("same_picture.store: the earlier hashes of %s cannot be removed: %s", run_date, error)


def keep_hashes(store: HashStore, output: Location, run_date: date) -> None:
    """Keeps the hashes of a night that was just published; where that fails, the next night makes them again."""
    if not _keep(store, output, run_date):
        _log.warning("same_picture.store: the hashes of %s could not be kept; the next night tries again", run_date)


def _lacking(store: HashStore, output: Location, run_date: date, found: StoredNights) -> list[date]:
    """Nights that were published, or have a damaged file, and no hashes that can be read."""
    stored = {night.run_date for night in found.nights}
    published = set(published_nights(output, store.stores)) - stored
    first = store.first_night(run_date)
    return sorted(night for night in published | set(found.damaged) if first <= night < run_date)


def _keep(store: HashStore, output: Location, night: date) -> bool:
    try:
        run = published_run((output / f"run_date={night}").text, store.stores)
        store.keep(night, findings_of(run))
    except _CANNOT as error:
        _log.warning("same_picture.store: the night of %s cannot be compared with: %s", night, error)
        return False
    return True
