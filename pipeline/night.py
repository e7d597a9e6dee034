"""One night, from the inputs to a published run, as a list of steps.

inspect the inputs ─► resolve the model ─► audit ─► verify the ledger ─► worklist ─► report ─► publish
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from hs.edition_tables import NO_TABLES, Tables
from hs.errors import (
    AuditError,
    ContractBroken,
    EngineLost,
    Interrupted,
    NotPublished,
    ServerUnreachable,
    UsageError,
)
from hs.files import write_whole
from hs.pictures.near import QUARTERS
from hs.planting import Planting
from hs.ranking import Draw, Selection
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.text import counted
from pipeline.archive.inputs import Inputs, find_inputs
from pipeline.archive.ranges import shared
from pipeline.config import Config
from pipeline.cost import Used, used_and_cost
from pipeline.findings.distributions import counts_in
from pipeline.findings.drift import Drift, Earlier
from pipeline.findings.evidence import Audited
from pipeline.findings.hash_store import NONE_STORED, HashStore, StoredNights
from pipeline.findings.ledger import Ledger, draw_up
from pipeline.findings.partners import name_partners
from pipeline.findings.selftest import Trial
from pipeline.findings.settled import NOTHING_SETTLED, Raised, Settled, looks_in, raise_findings
from pipeline.findings.sheet import write_worklist
from pipeline.findings.staged import keep_parts, write_dead_letters
from pipeline.findings.worklist import NOT_KEPT, nothing_chosen, require_columns
from pipeline.job.classify import Classify
from pipeline.job.counters import counted_exactly, counted_in_all
from pipeline.job.engine import in_process, is_local, workers_of
from pipeline.job.guard import guarded
from pipeline.job.in_process import PROGRESS, STOP
from pipeline.job.judge import FindingsTable
from pipeline.job.lease import Lease
from pipeline.job.post import Post
from pipeline.job.reports import WorkerReports
from pipeline.job.same_pictures import SamePictures
from pipeline.job.selftest import SelfTest
from pipeline.job.submission import beam_is_quiet
from pipeline.job.suspects import Picking
from pipeline.job.wiring import run_job
from pipeline.report.page import write_report
from pipeline.resolving import judge_of, model_server, resolve
from pipeline.runs.destination import Destination, Logs
from pipeline.runs.earlier import earlier_nights
from pipeline.runs.hashes import forget_hashes, keep_hashes, stored_before
from pipeline.runs.manifest import Attempt, manifest, run_id, write_manifest
from pipeline.runs.metrics import NAME as METRICS
from pipeline.runs.metrics import night_metrics
from pipeline.values import DeadLetter, RowGroup
from serving.client.connection import Connection
from serving.contract import ServedModel

_log = logging.getLogger("hs_audit.run")
_TROUBLES = (UsageError, NotPublished, ServerUnreachable, ContractBroken, EngineLost)
_ERROR_OF_EXIT_CODE = {error.exit_code: error for error in _TROUBLES}

_FILES_LOOKED_FOR = 3  # by a worker: one that has just been taken away says nothing of the others
_SAY_HOW_MANY = "--parallelism=N says how many that are, so that large row groups are shared among them"

MakeClassify = Callable[[Config, ServedModel, Connection, Picking], beam.PTransform]


@dataclass(frozen=True)
class Night:
    """What to audit, and how.

    Attributes:
        config: with input and output given.
        place: where it is written and published.
        run_date: the night.
        attempt_id: unique; names staging and logs.
        logs: where it leaves what it has to say.
        saved_model: serve this model with the bundled server; None to use the configured server.
        options: Beam's.
        selection: what the worklist has.
        look_alikes: pairs of codes that a picture cannot tell apart.
        trust_model: whether `saved_model` may hold more than arithmetic.
        settled: matters that the worklist does not raise again.
        tables: editions of the nomenclature.
    """

    config: Config
    place: Destination
    run_date: date
    attempt_id: str
    logs: Logs
    saved_model: Path | Location | None
    options: PipelineOptions
    selection: Selection
    look_alikes: tuple[tuple[str, str], ...] = ()
    trust_model: bool = False
    settled: Settled = NOTHING_SETTLED
    tables: Tables = NO_TABLES


@dataclass(frozen=True)
class Published:
    """What came out of a run.

    Attributes:
        run_id: the same for the same night again.
        run: what later commands take as RUN.
        folder: of its files.
        ledger: what they add up to.
        dead_letters: what could not be read.
        timings_s: of each step.
        model: that classified.
        settled: how many findings stayed off the worklist, as their matter is settled.
        manifest: of the run, without its outputs.
    """

    run_id: str
    run: Path | Location
    folder: Path | Location
    ledger: Ledger
    dead_letters: tuple[DeadLetter, ...]
    timings_s: dict[str, float]
    model: ServedModel
    settled: int
    manifest: Mapping[str, Any]


def with_a_server(
    config: Config, model: ServedModel, connection: Connection, picking: Picking | None = None
) -> Classify:
    """How pictures are classified unless `audit` is told otherwise: decoded here, answered by the model server."""
    server = config.server
    limits, threads, hashed = config.pictures.limits(), config.decoding_threads, config.same_picture is not None
    return Classify(model, connection, limits, server.batch_size, picking, server.remembered, threads, hashed)


def audit(night: Night, make_classify: MakeClassify = with_a_server) -> Published:
    """Audits and publishes one night.

    Args:
        night: what to audit.
        make_classify: (configuration, model, connection, what is looked up) → the transform that classifies.

    Raises:
        AuditError: one of its kinds, when nothing was published; an earlier run of that night then stands untouched.
    """
    config, place, step = night.config, night.place, _Stopwatch()
    assert config.input is not None
    place.prepare()
    # Before the lock of this night is held: it takes each night's own, and would pass over this one.
    for name in place.restore():
        _log.warning("the publication of %s was interrupted; the run before it stands again", name)
    with place.locked(night.attempt_id) as before:
        with step("inspecting the inputs"):
            inputs = find_inputs(config.input, night.run_date, config.columns, config.keep, NOT_KEPT, config.stores())
            require_columns(night.selection, [name for name, _ in inputs.layout.kept_types])  # now, and not after hours
            _refuse_if_too_few(inputs, config.limits.min_rows)
            earlier, stored = _earlier(night), _stored(night)
            PROGRESS.total = inputs.rows
        place.sweep(config.staging_days)
        place.check_space(inputs.rows)
        server_log = night.logs.path(".server.log")
        with model_server(config, night.saved_model, server_log, STOP, night.trust_model, PROGRESS.waits) as connection:
            with step("resolving the model"):
                model = resolve(config, night.saved_model, connection, STOP, PROGRESS.waits)
                table = _findings_table(night, inputs, model, earlier, stored)
                PROGRESS.run_id = table.run_id
            folder, stores = place.begin(night.attempt_id), config.stores()
            with step("auditing"), _stopped_in_words(), _guarded(night):
                classify = make_classify(config, model, connection, Picking(table.judge, table.draw))
                pointers, post = _shared(night, inputs), _post(night, inputs, model, connection, folder, stores)
                job = (pointers, inputs.layout, classify, table, folder, night.attempt_id, night.options, post)
                reports = run_job(*job, _self_test(night, inputs, table), _same_pictures(night, stored))
                _refuse_if_in_trouble(reports)
        with place.draft(night.attempt_id) as draft:
            with step("verifying the ledger"):
                staged = keep_parts(folder / "findings", reports.parts, table.schema, night.attempt_id, stores)
                met = (reports.neighbourhoods, night.run_date, stored.nights, night.attempt_id, stores)
                parts, again = name_partners(staged, *met)
                dead_letters = (*inputs.dead_letters, *reports.dead_letters)
                ledger = draw_up(inputs, dead_letters, parts, stores)
                PROGRESS.declarations = ledger.findings.total()
                counted_exactly({"declarations": ledger.findings.total(), "pictures": ledger.pictures.total()})
                _refuse_if_too_much_is_missing(ledger, config.limits.max_unscored_share)
                write_dead_letters(dead_letters, draft / "dead_letters", night.attempt_id)
            with step("writing the worklist"):
                trial = Trial(reports.counts, config.verdict.mistakes, config.selftest.min_recall)
                raised = _raised(night, inputs, parts, trial)
                write_worklist(raised.worklist, draft)
            attempt = Attempt(table.run_id, night.attempt_id, night.run_date)
            thresholds, nulled = table.judge.thresholds, reports.nulled_values
            # Before the report, which shows it: neither the report's time nor that of publishing is in it.
            looked_up = counted_in_all().get("looked_up", 0)
            about = (attempt, config, inputs, ledger, model, thresholds, nulled, len(raised.settled))
            used_again = again if config.same_picture else None
            described = manifest(*about, step.timings_s, looked_up, night.tables, trial, reports.counts, used_again)
            described["drift"] = _drifted(night, described, model, earlier)
            described |= used_and_cost(_used(night, inputs, step), config.price, ledger.findings.total())
            with step("writing the report"):
                shown = config.worklist.report_findings
                told = (draft / "report.html", described, raised.worklist, (parts, stores))
                write_report(*told, shown, config.report.cases, night.tables.nomenclature)
            write_whole(draft / METRICS, night_metrics(described))
            # After the others: the manifest has the digest of every file.
            write_manifest(described, draft, parts, stores)
            (draft / "_SUCCESS").touch()  # last: it says that all else is there
        with step("publishing"), _kept_hashes(night):
            place.publish(night.attempt_id, before, int(config.file_mode, 8))
    where = (place.run, place.published(night.attempt_id))
    found = (table.run_id, *where, ledger, dead_letters, step.timings_s, model)
    return Published(*found, len(raised.settled), described)


def _processor_s() -> float:
    """Of this process and of those of its children that were waited for, as all are at the end of an audit."""
    return sum(os.times()[:4])


@dataclass
class _Stopwatch:
    timings_s: dict[str, float] = field(default_factory=dict)
    began_at_processor_s: float = field(default_factory=_processor_s)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        if STOP.is_set():
            raise Interrupted("interrupted; nothing was published")
        PROGRESS.step = name
        started = time.monotonic()
        yield
        self.timings_s[name] = time.monotonic() - started
        _log.info("%s took %.1f s", name, self.timings_s[name])


def _used(night: Night, inputs: Inputs, step: _Stopwatch) -> Used:
    """What the night used so far: the page and the publication are still to come."""
    kept_s = step.timings_s["resolving the model"] + step.timings_s["auditing"]
    processor_s = _processor_s() - step.began_at_processor_s if is_local(night.options) else None
    return Used(kept_s, processor_s, workers_of(night.options), sum(file.size_bytes for file in inputs.files))


def _shared(night: Night, inputs: Inputs) -> list[RowGroup]:
    """What the workers read, shared out among them; says so, and how many of them can be busy."""
    groups, workers = inputs.pointers(), workers_of(night.options)
    pointers = shared(groups, workers or 1)
    counts = counted(len(groups), "row group"), counted(len(inputs.files), "file")
    if workers is None:
        _log.warning("%s of %s for as many workers as the engine has: %s", *counts, _SAY_HOW_MANY)
        return pointers
    ranges = f" in {counted(len(pointers), 'range')} of rows" if len(pointers) > len(groups) else ""
    _log.info("%s of %s%s for %s", *counts, ranges, counted(workers, "worker"))
    if 0 < len(pointers) < workers:
        _log.warning("this archive keeps %s busy at most", counted(len(pointers), "worker"))
    return pointers


def _earlier(night: Night) -> Earlier:
    """The nights that this one is compared with; says where some cannot be."""
    config = night.config
    assert config.output is not None
    earlier = earlier_nights(Location.parse(config.output), night.run_date, config.drift.nights, config.stores())
    if earlier.left_out:  # those of an older hs-audit all are: the manifest has every one
        (latest, why), *others = earlier.left_out.items()
        more = f", nor with {counted(len(others), 'other')}" if others else ""
        _log.warning("the night is not compared with that of %s (%s)%s", latest, why, more)
    return earlier


def _stored(night: Night) -> StoredNights:
    """The hashes of pictures that this night's are compared with."""
    store = _hash_store(night)
    assert night.config.output is not None
    return stored_before(store, Location.parse(night.config.output), night.run_date) if store else NONE_STORED


def _hash_store(night: Night) -> HashStore | None:
    how = night.config.same_picture
    return how.hash_store(night.config.stores()) if how else None


@contextmanager
def _kept_hashes(night: Night) -> Iterator[None]:
    """The store has the hashes of what is published, and at no moment those of a run that was replaced."""
    store = _hash_store(night)
    if store is None:
        yield
        return
    assert night.config.output is not None
    forget_hashes(store, night.run_date)
    yield
    keep_hashes(store, Location.parse(night.config.output), night.run_date)


def _drifted(night: Night, described: Mapping[str, Any], model: ServedModel, earlier: Earlier) -> dict[str, Any]:
    drift = Drift(counts_in(described), f"{model.name} version {model.version}", earlier, night.config.drift.max_psi)
    if drift.warning:
        _log.warning("%s", drift.warning)
    return drift.described()


def _findings_table(
    night: Night, inputs: Inputs, model: ServedModel, earlier: Earlier, stored: StoredNights
) -> FindingsTable:
    judge = judge_of(night.config, model, night.look_alikes, night.tables.nomenclature, night.run_date)
    known = (night.look_alikes, night.settled, night.tables, earlier, stored)
    identity = run_id(night.run_date, inputs, night.config, model, *known)
    draw, types = Draw.expected(night.selection, inputs.rows), inputs.layout.kept_types
    return FindingsTable(identity, night.run_date, model.name, model.version, judge, types, draw)


def _self_test(night: Night, inputs: Inputs, table: FindingsTable) -> SelfTest | None:
    how = night.config.selftest
    planting = Planting.expected(how.sample, inputs.rows, how.seed, night.selection.rates)
    return SelfTest(table.judge, planting) if planting else None


def _same_pictures(night: Night, stored: StoredNights) -> SamePictures | None:
    how = night.config.same_picture
    if how is None:
        return None
    places = min(QUARTERS, workers_of(night.options) or QUARTERS)
    return SamePictures(night.run_date, how.stock_above, stored.nights, night.config.stores(), places)


def _raised(night: Night, inputs: Inputs, parts: list[Location], trial: Trial) -> Raised:
    stores = night.config.stores()
    if trial.withheld:
        _log.error("%s", trial.withheld)
        return Raised(nothing_chosen(parts, stores))
    return raise_findings(parts, night.selection, night.settled, looks_in(_audited(night.config, inputs)), stores)


def _audited(config: Config, inputs: Inputs) -> Audited:
    footers = {file.path: file.footer_digest for file in inputs.files}
    return Audited(config.columns, footers, config.pictures.limits(), config.stores())


def _post(
    night: Night, inputs: Inputs, model: ServedModel, connection: Connection, folder: Location, stores: Stores
) -> Post:
    if in_process(night.options):
        return Post(stores=stores)
    files = [file.path for file in inputs.files[:_FILES_LOOKED_FOR]]
    # Where the launcher is, the server was just reached: what becomes of it is a matter of the outage budget.
    server = None if is_local(night.options) else (connection, model.name, model.version)
    return Post(Lease.of(folder, stores), files=files, server=server, stores=stores)


@contextmanager
def _guarded(night: Night) -> Iterator[None]:
    if in_process(night.options):
        yield
        return
    with beam_is_quiet(), guarded(night.attempt_id):
        yield


@contextmanager
def _stopped_in_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if STOP.is_set():  # the runner wraps whatever ends a worker
            raise Interrupted("interrupted; nothing was published") from error
        raise


def _refuse_if_too_few(inputs: Inputs, least: int) -> None:
    if inputs.rows < least:
        raise NotPublished(
            f"the input has {inputs.rows} rows, fewer than the {least} of limits.min_rows; nothing was published"
        )


def _refuse_if_in_trouble(reports: WorkerReports) -> None:
    # Workers share server and disk: one is enough. What one told the launcher makes the others stop.
    for exit_code, sentence in sorted(reports.troubles, key=lambda trouble: trouble[0] == EngineLost.exit_code)[:1]:
        raise _ERROR_OF_EXIT_CODE.get(exit_code, AuditError)(f"{sentence}; nothing was published")


def _refuse_if_too_much_is_missing(ledger: Ledger, limit: float) -> None:
    share = ledger.unscored_share()
    if share > limit:
        raise NotPublished(
            f"{share:.1%} of the rows are dead letters or were not scored, more than the limit of {limit:.1%} "
            f"(limits.max_unscored_share){ledger.commonest_fault()}; nothing was published"
        )
