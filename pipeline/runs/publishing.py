"""Publishing: a run appears whole or not at all, and replaces the earlier one of its night."""

import os
import shutil
from pathlib import Path

from pipeline.runs.staging import Place


def restore(place: Place) -> bool:
    """Puts back an earlier run whose successor never came; tells whether there was one."""
    if not place.replaced.exists():
        return False
    if place.published.exists():
        shutil.rmtree(place.replaced)
        return False
    place.replaced.rename(place.published)
    return True


def publish(place: Place, attempt: Path) -> None:
    """Puts a verified attempt in the place of the earlier run, if any."""
    _sync(attempt)
    if place.published.exists():
        place.published.rename(place.replaced)
    attempt.rename(place.published)
    _sync_folder(place.output)
    shutil.rmtree(place.replaced, ignore_errors=True)


def _sync(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as stream:
                os.fsync(stream.fileno())
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
