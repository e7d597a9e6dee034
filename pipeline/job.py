"""The pipeline of a run, wired: pointers → declarations → classified → findings. As little logic as possible here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.archive import DeadLetter, Layout, RowGroup
from pipeline.classify import CLASSIFIED, TROUBLE, Classify
from pipeline.findings import FindingsTable
from pipeline.read import DEAD_LETTERS, DECLARATIONS, ReadArchive
from pipeline.rules.errors import UsageError
from pipeline.write import WriteFindings

_OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """What the workers report, as data: Beam wraps exceptions.

    Attributes:
        parts: names of the files that hold the findings.
        dead_letters: rows that could not be read.
        troubles: (exit code, sentence) of each server that was given up.
    """

    parts: list[str]
    dead_letters: list[DeadLetter]
    troubles: list[tuple[int, str]]


def run_job(
    pointers: Sequence[RowGroup],
    layout: Layout,
    classify: Classify,
    table: FindingsTable,
    staging: Path,
    options: PipelineOptions,
) -> Outcome:
    """Runs the pipeline and returns what the workers report.

    Args:
        pointers: row groups to read.
        layout: which columns.
        classify: how to decode and classify.
        table: how to judge.
        staging: the attempt's folder, which every worker can write to; findings go to `findings/` in it.
        options: Beam's.
    """
    with beam.Pipeline(options=options) as pipeline:
        read = pipeline | "Pointers" >> beam.Create(pointers, reshuffle=False) | "Archive" >> ReadArchive(layout)
        classified = read[DECLARATIONS] | "Classify" >> classify
        parts = classified[CLASSIFIED] | "Write" >> WriteFindings(table, staging / "findings")
        reports = (
            parts | "Parts" >> beam.Map(lambda name: {"part": name}),
            read[DEAD_LETTERS] | "DeadLetters" >> beam.Map(lambda letter: {"dead_letter": asdict(letter)}),
            classified[TROUBLE] | "Troubles" >> beam.Map(lambda trouble: {"trouble": trouble}),
        )
        _ = (
            reports
            | "Reports" >> beam.Flatten()
            | "Gather" >> beam.combiners.ToList()
            | "Report" >> beam.Map(_write_outcome, staging / _OUTCOME)
        )
    return _read_outcome(staging / _OUTCOME)


def beam_options(configured: Mapping[str, Any], flags: Sequence[str]) -> PipelineOptions:
    """Beam's options from the configuration's `beam` section and the command line, which wins.

    `DirectRunner` becomes `FnApiRunner`, the engine inside it: by itself it first tries to download another one.

    Raises:
        UsageError: if Beam knows no such flag.
    """
    written = [flag for key, value in configured.items() for flag in _flags_of(key, value)] + list(flags)
    parser = beam.options.pipeline_options._BeamArgumentParser(allow_abbrev=False, exit_on_error=False)
    for section in (PipelineOptions, *PipelineOptions.__subclasses__()):
        section._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(written)
    if unknown:
        raise UsageError(f"neither hs-audit nor Beam knows the flag {unknown[0]}")
    options = PipelineOptions(written)
    runner = options.get_all_options()["runner"]
    if runner in (None, "DirectRunner", "direct"):
        options = PipelineOptions([*written, "--runner=FnApiRunner"])
    return options


def _flags_of(key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []
    values = value if isinstance(value, list) else [value]
    return [f"--{key}={each}" for each in values]


def _write_outcome(reports: list[dict], path: Path) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(reports))
    unfinished.rename(path)


def _read_outcome(path: Path) -> Outcome:
    reports = json.loads(path.read_text())
    return Outcome(
        sorted(report["part"] for report in reports if "part" in report),
        [DeadLetter(**report["dead_letter"]) for report in reports if "dead_letter" in report],
        [tuple(report["trouble"]) for report in reports if "trouble" in report],
    )
