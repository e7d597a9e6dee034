"""The pipeline of a run, wired: pointers → declarations → classified → findings → files. No logic here."""

import copy
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from hs.errors import UsageError
from hs.storage.location import Location
from pipeline.job.classify import CLASSIFIED
from pipeline.job.counters import counted_elsewhere
from pipeline.job.engine import name_of
from pipeline.job.judge import FINDINGS, FindingsTable, JudgeDeclarations
from pipeline.job.keeping import kept
from pipeline.job.post import Post
from pipeline.job.read import DECLARATIONS, ReadArchive
from pipeline.job.reports import REPORTS, WorkerReports, read_reports, write_reports
from pipeline.job.same_pictures import SamePictures
from pipeline.job.selftest import SelfTest
from pipeline.job.submission import run_to_its_end
from pipeline.job.write import WriteFindings
from pipeline.values import Layout, RowGroup

_REPORTS_FILE = "reports.json"


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
        classify: declarations → `classified` and `reports`, see `Classify`.
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
    reports = (read[REPORTS], classified[REPORTS], judged[REPORTS], written, *compared) | "Reports" >> beam.Flatten()
    # Beside a single nothing, and so once and of no reports as well: there is always a file to read.
    told = (beam.pvalue.AsList(reports), staging / _REPORTS_FILE, post.stores)
    _ = pipeline | "Once" >> beam.Create([None], reshuffle=False) | "Report" >> beam.Map(_write_reports, *told)
    if post.lease is None:
        counted_elsewhere([run_to_its_end(pipeline, name_of(options), None)])
        return read_reports(staging / _REPORTS_FILE, post.stores)
    with kept(post.lease) as launcher:
        counts = run_to_its_end(pipeline, name_of(options), launcher)
        launcher.hear()
        if counts and not launcher.trouble:
            counted_elsewhere([counts])
        if launcher.trouble:
            return WorkerReports([], [], {}, [launcher.trouble], {}, {})
        if not (launcher.workers or post.stores.exists(staging / _REPORTS_FILE)):
            raise UsageError(
                f"no worker sees the output folder, {staging.parent.parent}: "
                "launcher and workers must share it; nothing was published"
            )
    post.lease.remove()
    return read_reports(staging / _REPORTS_FILE, post.stores)


def _write_reports(_: None, *told: Any) -> None:
    write_reports(*told)
