"""The pipeline of a run, wired: pointers → declarations → classified → findings → files. No logic here."""

import copy
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from hs.errors import NotPublished, StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.uses import Known, Neighbourhood
from pipeline.job.classify import CLASSIFIED
from pipeline.job.counters import counted_elsewhere
from pipeline.job.engine import name_of
from pipeline.job.judge import COUNTS, FINDINGS, FindingsTable, JudgeDeclarations
from pipeline.job.keeping import kept
from pipeline.job.post import TROUBLE, Post
from pipeline.job.read import DEAD_LETTERS, DECLARATIONS, NULLED, ReadArchive
from pipeline.job.same_pictures import NEIGHBOURHOODS, SamePictures
from pipeline.job.selftest import SelfTest
from pipeline.job.submission import run_to_its_end
from pipeline.job.write import PARTS, WriteFindings
from pipeline.values import DeadLetter, Layout, RowGroup

_REPORTS = "reports.json"


@dataclass(frozen=True)
class WorkerReports:
    """What the workers report, as data: Beam wraps exceptions.

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


def run_job(
    pointers: Sequence[RowGroup],
    layout: Layout,
    classify: beam.PTransform,
    table: FindingsTable,
    staging: Location,
    attempt_id: str,
    options: PipelineOptions,
    post: Post,
    selftest: SelfTest | None = None,
    same_pictures: SamePictures | None = None,
) -> WorkerReports:
    """Runs the pipeline and returns what the workers report.

    Args:
        pointers: row groups to read.
        layout: which columns.
        classify: declarations → `classified` and `trouble`, see `Classify`.
        table: how to judge.
        staging: the attempt's folder, which every worker can write to; findings go to `findings/` in it.
        attempt_id: stands in the names of the files.
        options: Beam's.
        post: what workers are told.
        selftest: what counts how planted lies fare; None without.
        same_pictures: what finds out who else uses a picture; None without.

    Raises:
        Interrupted: if the run was stopped, here or at the engine.
        EngineLost: if the engine cannot be reached, or lost the job.
        UsageError: if no worker saw the launcher's staging.
        NotPublished: if the workers' reports could not be written.
    """
    pipeline = beam.Pipeline(options=copy.deepcopy(options))  # a portable runner takes its name out of them
    # Not shuffled as they are made: ReadArchive does it.
    read = pipeline | "Pointers" >> beam.Create(pointers, reshuffle=False) | "Archive" >> ReadArchive(layout, post)
    classified = read[DECLARATIONS] | "Classify" >> classify
    judged = classified[CLASSIFIED] | "Judge" >> JudgeDeclarations(table, selftest)
    written = judged[FINDINGS] | "Write" >> WriteFindings(table.schema, staging / "findings", attempt_id, post.stores)
    compared = [judged[FINDINGS] | "SamePictures" >> same_pictures] if same_pictures else []
    troubles = [read[TROUBLE], classified[TROUBLE], written[TROUBLE], *(each[TROUBLE] for each in compared)]
    reports = (
        written[PARTS] | "Parts" >> beam.Map(lambda name: {"part": name}),
        read[DEAD_LETTERS] | "DeadLetters" >> beam.Map(lambda letter: {"dead_letter": asdict(letter)}),
        read[NULLED] | beam.CombinePerKey(sum) | "Nulled" >> beam.Map(lambda column: {"nulled": column}),
        judged[COUNTS] | "Sum" >> beam.CombinePerKey(sum) | "Counts" >> beam.Map(lambda counted: {"counted": counted}),
        *(each[NEIGHBOURHOODS] | "Neighbourhoods" >> beam.Map(_neighbourhood_as_json) for each in compared),
        troubles | "EveryTrouble" >> beam.Flatten() | "Troubles" >> beam.Map(lambda trouble: {"trouble": trouble}),
    )
    _ = (
        reports
        | "Reports" >> beam.Flatten()
        | "Gather" >> beam.combiners.ToList()  # an empty list of nothing: there is always a file to read
        | "Report" >> beam.Map(_write_reports, staging / _REPORTS, post.stores)  # a file: a pipeline returns nothing
    )
    if post.lease is None:
        counted_elsewhere([run_to_its_end(pipeline, name_of(options), None)])
        return _read_reports(staging / _REPORTS, post.stores)
    with kept(post.lease) as launcher:
        counts = run_to_its_end(pipeline, name_of(options), launcher)
        launcher.hear()
        if counts and not launcher.trouble:
            counted_elsewhere([counts])
        if launcher.trouble:
            return WorkerReports([], [], {}, [launcher.trouble], {}, {})
        if not (launcher.workers or post.stores.exists(staging / _REPORTS)):
            raise UsageError(
                f"no worker sees the output folder, {staging.parent.parent}: "
                "launcher and workers must share it; nothing was published"
            )
    post.lease.remove()
    return _read_reports(staging / _REPORTS, post.stores)


def _write_reports(reports: list[dict[str, Any]], file: Location, stores: Stores) -> None:
    with suppress(OSError, StorageLost):  # Beam would wrap it; that there is no file says enough
        stores.write_bytes(file, json.dumps(reports).encode())


def _read_reports(file: Location, stores: Stores) -> WorkerReports:
    try:
        reports = json.loads(stores.read_bytes(file))
    except FileNotFoundError:
        raise NotPublished(
            f"the reports of the workers cannot be written to {file.parent}; nothing was published"
        ) from None
    stores.delete(file)  # what is left in the folder is published
    return WorkerReports(
        sorted(report["part"] for report in reports if "part" in report),
        [DeadLetter(**report["dead_letter"]) for report in reports if "dead_letter" in report],
        dict(sorted(report["nulled"] for report in reports if "nulled" in report)),
        [tuple(report["trouble"]) for report in reports if "trouble" in report],
        {tuple(key): count for key, count in (report["counted"] for report in reports if "counted" in report)},
        dict(_neighbourhood(report) for report in reports if "hash" in report),
    )


def _neighbourhood_as_json(met: tuple[str, Neighbourhood]) -> dict[str, Any]:
    hash_, uses = met
    return {"hash": hash_, "uses": None if uses is None else [[*who, *known] for who, known in uses.items()]}


def _neighbourhood(report: dict[str, Any]) -> tuple[int, Neighbourhood]:
    uses = report["uses"]
    found = None if uses is None else {(importer, code): Known(*known) for importer, code, *known in uses}
    return int(report["hash"], 16), found
