"""The published nights before a night, as far as their manifests say what it is compared by."""

from contextlib import suppress
from datetime import date

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import in_a_line
from pipeline.findings.distributions import counts_in
from pipeline.findings.drift import Earlier, EarlierNight
from pipeline.runs.published import published_run

_FOLDER = "run_date="


def earlier_nights(output: Location, before: date, most: int, stores: Stores) -> Earlier:
    """The latest nights before one; of each its manifest is read, and nothing else.

    Args:
        output: of all runs.
        before: the night.
        most: how many nights.
        stores: how the output is reached.

    Raises:
        UsageError: if the output cannot be listed.
        StorageLost: if the storage stayed away.
    """
    nights: list[EarlierNight] = []
    left_out: dict[date, str] = {}
    for night in sorted(published_nights(output, stores), reverse=True):
        if night >= before:
            continue
        if len(nights) + len(left_out) == most:
            break
        try:
            nights.append(_read(output, night, stores))
        except (UsageError, ValueError) as error:
            left_out[night] = str(error)
    return Earlier(nights, left_out)


def published_nights(output: Location, stores: Stores) -> list[date]:
    """The nights that have a folder there, in any order."""
    found = []
    try:
        folders = stores.folders(output)
    except OSError as error:
        raise UsageError(f"the output {output} cannot be listed: {in_a_line(error)}") from error
    for folder in folders:
        with suppress(ValueError):  # others' folders
            found.append(date.fromisoformat(folder.name.removeprefix(_FOLDER)))
    return found


def _read(output: Location, night: date, stores: Stores) -> EarlierNight:
    manifest = published_run((output / f"{_FOLDER}{night.isoformat()}").text, stores).manifest
    counts = counts_in(manifest)
    try:
        model = f"{manifest['model']['name']} version {manifest['model']['version']}"
    except (KeyError, TypeError):
        raise ValueError("it does not say which model") from None
    return EarlierNight(night, model, counts)
