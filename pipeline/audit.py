"""One night, from the inputs to a published run."""

import json
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.archive import DeadLetter
from pipeline.classify import Classify
from pipeline.config import Config
from pipeline.connection import connection_to
from pipeline.findings import FindingsTable
from pipeline.in_process import PROGRESS, STOP
from pipeline.inputs import Inputs, find_inputs
from pipeline.job import Outcome, run_job
from pipeline.ledger import Ledger, draw_up
from pipeline.manifest import describe_outputs, manifest, run_id
from pipeline.publish import Place
from pipeline.report import write_report
from pipeline.rules.card import Mistake, Thresholds
from pipeline.rules.errors import AuditError, ContractBroken, Interrupted, NotPublished, ServerUnreachable
from pipeline.rules.selection import Selection
from pipeline.rules.verdicts import Judge
from pipeline.worklist import check_columns, select, write_worklist
from serving.client import Client, Connection
from serving.contract import ServedModel
from serving.launch import MODEL_NAME, bundled_server

_log = logging.getLogger("hs_audit.run")

_DEAD_LETTER_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row_group", pa.int32()),
        pa.field("first_row", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
_ERROR_OF_EXIT_CODE = {error.exit_code: error for error in (ServerUnreachable, ContractBroken)}


@dataclass(frozen=True)
class Night:
    """What to audit, and how.

    Attributes:
        config: with input and output given.
        run_date: the night.
        attempt_id: unique; names staging and logs.
        saved_model: serve this model with the bundled server; None to use the configured server.
        options: Beam's.
        selection: what the worklist has.
        look_alikes: pairs of codes that a picture cannot tell apart.
    """

    config: Config
    run_date: date
    attempt_id: str
    saved_model: Path | None
    options: PipelineOptions
    selection: Selection
    look_alikes: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> Place:
        """Where it is written and published."""
        assert self.config.output is not None
        return Place(self.config.output, self.run_date)


@dataclass(frozen=True)
class Published:
    """What came out of a run."""

    folder: Path
    ledger: Ledger
    dead_letters: tuple[DeadLetter, ...]
    timings_s: dict[str, float]
    model: ServedModel


@dataclass
class _Stopwatch:
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        if STOP.is_set():
            raise Interrupted("interrupted; nothing was published")
        PROGRESS.step = step
        started = time.monotonic()
        yield
        self.timings_s[step] = time.monotonic() - started
        _log.info("%s took %.1f s", step, self.timings_s[step])


def new_attempt_id() -> str:
    """A unique id that sorts by time."""
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + uuid.uuid4().hex[:8]


def audit(night: Night) -> Published:
    """Audits and publishes one night.

    Raises:
        AuditError: one of its kinds, when nothing was published; an earlier run of that night then stands untouched.
    """
    place, watch = night.place, _Stopwatch()
    place.prepare()
    with place.locked():
        if place.restore():
            _log.warning("an earlier publication was interrupted; the run before it stands again")
        with watch("inspecting the inputs"):
            inputs = find_inputs(night.config, night.run_date)
            check_columns(night.selection, [name for name, _ in inputs.layout.kept_types])
            PROGRESS.total = inputs.rows
        place.sweep(night.config.staging_days)
        place.check_space(inputs.rows)
        with _server(night) as connection:
            with watch("resolving the model"):
                model = _resolve(night, connection)
            attempt = place.attempt(night.attempt_id)
            (attempt / "findings").mkdir(parents=True)
            with watch("auditing"):
                table, outcome = _classify_and_judge(night, inputs, connection, model, attempt)
        published = _verify_and_describe(night, inputs, model, table, outcome, attempt, watch)
        with watch("publishing"):
            place.publish(attempt)
    return published


@contextmanager
def _server(night: Night) -> Iterator[Connection]:
    server = night.config.server
    log = night.place.log(night.attempt_id).with_suffix(".server.log")
    bundled = (
        bundled_server(night.saved_model, server.version, log, STOP)
        if night.saved_model
        else nullcontext(server.address)
    )
    with bundled as address:
        assert address is not None
        yield connection_to(server, address)


def _resolve(night: Night, connection: Connection) -> ServedModel:
    server, foreign = night.config.server, night.config.foreign_model
    name, label = (MODEL_NAME, None) if night.saved_model else (server.model, server.label)
    client = Client(connection, STOP)
    try:
        if foreign is None:
            return client.resolve(name, server.version, label)
        assert night.config.verdict.thresholds is not None
        version = client.available_version(name, server.version, label)
        return foreign.served(name, version, night.config.verdict.thresholds)
    finally:
        client.close()


def _thresholds(config: Config, model: ServedModel) -> Thresholds:
    ours = config.verdict.thresholds
    return _of_card(model, config.verdict.mistakes) if ours is None else ours.drawn()


def _of_card(model: ServedModel, mistake: Mistake) -> Thresholds:
    if mistake is Mistake.AT_RANDOM:
        return model.card.thresholds
    if mistake not in model.card.thresholds_for:
        raise ContractBroken(
            f"the card of model {model.name}, version {model.version}, has no thresholds for mistakes {mistake}"
        )
    return model.card.thresholds_for[mistake]


def _classify_and_judge(
    night: Night, inputs: Inputs, connection: Connection, model: ServedModel, attempt: Path
) -> tuple[FindingsTable, Outcome]:
    config = night.config
    verdict = config.verdict
    judge = Judge(
        model.table,
        _thresholds(config, model),
        verdict.assumed_wrong_share,
        verdict.top_k,
        verdict.sure_above,
        night.look_alikes,
    )
    table = FindingsTable(
        run_id(night.run_date, inputs, config, model, night.look_alikes),
        night.run_date,
        model.name,
        model.version,
        judge,
        inputs.layout.kept_types,
    )
    server = config.server
    classify = Classify(model, connection, config.pictures.limits(), server.batch_size, server.remembered)
    try:
        outcome = run_job(inputs.pointers(), inputs.layout, classify, table, attempt, night.options)
    except Exception as error:
        if STOP.is_set():  # the runner wraps whatever ends a worker
            raise Interrupted("interrupted; nothing was published") from error
        raise
    for exit_code, sentence in outcome.troubles[:1]:
        raise _ERROR_OF_EXIT_CODE.get(exit_code, AuditError)(f"{sentence}; nothing was published")
    return table, outcome


def _verify_and_describe(
    night: Night,
    inputs: Inputs,
    model: ServedModel,
    table: FindingsTable,
    outcome: Outcome,
    attempt: Path,
    watch: _Stopwatch,
) -> Published:
    dead_letters = (*inputs.dead_letters, *outcome.dead_letters)
    with watch("verifying the ledger"):
        parts = _keep_parts(attempt / "findings", outcome.parts, table.schema)
        ledger = draw_up(inputs, dead_letters, parts)
        _refuse_if_too_much_is_missing(ledger, night.config.limits.max_unscored_share)
    _write_dead_letters(dead_letters, attempt / "dead_letters")
    with watch("writing the worklist"):
        worklist = select(parts, night.selection)
        write_worklist(worklist, attempt)
    described = manifest(
        run_id=table.run_id,
        attempt_id=night.attempt_id,
        run_date=night.run_date,
        config=night.config,
        inputs=inputs,
        dead_letters=dead_letters,
        ledger=ledger,
        model=model,
        thresholds=table.judge.thresholds,
        timings_s=watch.timings_s,
    )
    with watch("writing the report"):
        columns, shown = night.config.columns, night.config.worklist.report_findings
        write_report(attempt / "report.html", described, worklist, columns.images, shown)
    (attempt / "outcome.json").unlink()
    described["outputs"] = describe_outputs(attempt)
    (attempt / "manifest.json").write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (attempt / "_SUCCESS").touch()
    return Published(night.place.published, ledger, dead_letters, watch.timings_s, model)


def _keep_parts(folder: Path, names: Sequence[str], schema: pa.Schema) -> list[Path]:
    """Numbers the files that have a receipt and removes the others; a night without rows gets one empty file."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()
    kept = [folder / f"part-{number:05}.parquet" for number in range(max(len(names), 1))]
    for name, path in zip(names, kept, strict=False):
        (folder / name).rename(path)
    if not names:
        pq.write_table(schema.empty_table(), kept[0])
    return kept


def _refuse_if_too_much_is_missing(ledger: Ledger, limit: float) -> None:
    share = ledger.unscored_share()
    if share > limit:
        raise NotPublished(
            f"{share:.1%} of the rows are dead letters or were not scored, more than the limit of {limit:.1%} "
            "(limits.max_unscored_share); nothing was published"
        )


def _write_dead_letters(dead_letters: Sequence[DeadLetter], folder: Path) -> None:
    folder.mkdir()
    ordered = sorted(dead_letters, key=lambda letter: (letter.file, letter.row_group or 0, letter.first_row or 0))
    rows = [asdict(letter) for letter in ordered]
    pq.write_table(pa.Table.from_pylist(rows, _DEAD_LETTER_SCHEMA), folder / "part-00000.parquet")


def configured(
    config: Config, *, input: str | None, output: Path | None, server: str | None, version: int | None
) -> Config:
    """The configuration with what the command line says in its place."""
    changes = {"input": input or config.input, "output": output or config.output}
    server_changes = {"address": server or config.server.address, "version": version or config.server.version}
    return config.model_copy(update=changes | {"server": config.server.model_copy(update=server_changes)})
