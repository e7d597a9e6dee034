"""What workers report beside findings, as data: Beam wraps exceptions, and a pipeline returns nothing."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from hs.errors import NotPublished, StorageLost
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.uses import Known, Neighbourhood
from pipeline.values import DeadLetter

REPORTS = "reports"
"""The side output of each step: dicts with a key of `WorkerReports`, in the singular where it is of one thing."""

Reported: TypeAlias = beam.pvalue.TaggedOutput[Literal["reports"], dict[str, Any]]


def reported(**report: Any) -> Reported:
    """A report from `process`."""
    return beam.pvalue.TaggedOutput(REPORTS, report)


def reported_at_the_end(**report: Any) -> Reported:
    """A report from `finish_bundle`, where Beam knows no window."""
    return beam.pvalue.TaggedOutput(REPORTS, GlobalWindows.windowed_value(report))


@dataclass(frozen=True)
class WorkerReports:
    """What all workers reported.

    Attributes:
        parts: names of the files that hold the findings.
        dead_letters: rows that could not be read.
        nulled_values: column → how many of its values are null as they did not fit its type.
        troubles: (exit code, sentence) of each server that was given up, and of each worker that could not write.
        counts: (what is counted, which) → how many: pictures by format and size, and how planted lies fared.
        neighbourhoods: hash of a picture → who else uses it.
    """

    parts: list[str]
    dead_letters: list[DeadLetter]
    nulled_values: dict[str, int]
    troubles: list[tuple[int, str]]
    counts: dict[tuple[str, str], int]
    neighbourhoods: dict[int, Neighbourhood]


def write_reports(reports: Iterable[dict[str, Any]], file: Location, stores: Stores) -> None:
    """Writes them for the launcher; that there is no file tells it that they cannot be written."""
    with suppress(OSError, StorageLost):
        stores.write_bytes(file, json.dumps(list(reports)).encode())


def read_reports(file: Location, stores: Stores) -> WorkerReports:
    """Reads what the workers wrote, and removes it.

    Raises:
        NotPublished: if it could not be written.
    """
    try:
        written = json.loads(stores.read_bytes(file))
    except FileNotFoundError:
        raise NotPublished(
            f"the reports of the workers cannot be written to {file.parent}; nothing was published"
        ) from None
    stores.delete(file)  # what is left in the folder is published
    of_kind: dict[str, list[Any]] = {}
    for report in written:
        for kind, said in report.items():
            of_kind.setdefault(kind, []).append(said)
    nulled: Counter[str] = Counter()
    for columns in of_kind.get("nulled", []):
        nulled.update(columns)
    counts: Counter[tuple[str, str]] = Counter()
    for counted in of_kind.get("counts", []):
        counts.update({(what, which): count for what, which, count in counted})
    return WorkerReports(
        sorted(of_kind.get("part", [])),
        [DeadLetter(**letter) for letter in of_kind.get("dead_letter", [])],
        dict(sorted(nulled.items())),
        [tuple(trouble) for trouble in of_kind.get("trouble", [])],
        dict(counts),
        dict(map(_neighbourhood, of_kind.get("neighbourhood", []))),
    )


def neighbourhood_as_json(met: tuple[str, Neighbourhood]) -> dict[str, Any]:
    """A report of one hash, 16 hex digits, and who uses it."""
    hash_, uses = met
    written = None if uses is None else [[*who, *known] for who, known in uses.items()]
    return {"neighbourhood": [hash_, written]}


def _neighbourhood(written: list[Any]) -> tuple[int, Neighbourhood]:
    hash_, uses = written
    found = None if uses is None else {(importer, code): Known(*known) for importer, code, *known in uses}
    return int(hash_, 16), found
