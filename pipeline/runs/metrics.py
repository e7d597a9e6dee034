"""A night in figures for Prometheus: a text file in the format that node-exporter's textfile collector reads."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

NAME = "metrics.prom"


class Sample(NamedTuple):
    """A number and what it is of."""

    labels: Mapping[str, object]
    value: float


class Metric(NamedTuple):
    """A gauge: its name without `hs_audit_`, its help, and its samples."""

    name: str
    help: str
    samples: list[Sample]


def night_metrics(manifest: Mapping[str, Any]) -> str:
    """The metrics of a published run, from its manifest."""
    return _text(_of_night(manifest))


def attempt_metrics(record: Mapping[str, Any]) -> str:
    """The metrics of an attempt, whether or not it published anything, from its `ATTEMPT.json`."""
    ended = datetime.fromisoformat(record["ended_at"])
    return _text(
        [
            _one("attempt_exit_code", "Exit code of the latest attempt.", record["exit_code"]),
            _one("attempt_published", "1 where the latest attempt published.", record["status"] == "published"),
            _one("attempt_ended_timestamp_seconds", "When the latest attempt ended.", ended.timestamp()),
            _one("attempt_seconds", "How long the latest attempt took.", record["seconds"]),
            _one("attempt_run_date_timestamp_seconds", "The night of the latest attempt.", _day(record["run_date"])),
        ]
    )


def _of_night(manifest: Mapping[str, Any]) -> Iterator[Metric]:
    rows, model = manifest["rows"], manifest["model"]
    about = {name: manifest[name] for name in ("run_id", "attempt_id", "run_date")}
    about |= {"model": model["name"], "model_version": model["version"]}
    yield Metric("run_info", "The run that stands, and its model.", [Sample(about, 1)])
    yield _one("run_date_timestamp_seconds", "The night, at midnight UTC.", _day(manifest["run_date"]))
    yield _one("rows", "Rows in the footers of the archive.", rows["in_footers"])
    yield _by("findings", "Findings by verdict.", "verdict", manifest["verdicts"])
    yield _by("findings_by_reason", "Findings by reason.", "reason", manifest["reasons"])
    yield _one("dead_letter_rows", "Rows that could not be read.", rows["in_dead_letters"])
    yield _one("files_of_unknown_length", "Files that do not say how many rows.", rows["files_of_unknown_length"])
    yield _one("unscored_share", "Share of dead letters and unscored findings, of all rows.", rows["unscored_share"])
    yield _by("pictures", "Pictures by what became of them.", "status", manifest["pictures"])
    yield _by("declaration_ids", "Findings whose id is missing or repeated.", "what", manifest["declaration_ids"])
    if "selftest" in manifest:
        yield from _of_self_test(manifest["selftest"])
    if "same_picture" in manifest:
        shared = {what: manifest["same_picture"][what] for what in ("findings", "under_other_codes")}
        yield _by("same_picture", "Findings with a picture that others use as well.", "what", shared)
    if "drift" in manifest:
        yield from _of_drift(manifest["drift"])
    yield _by("step_seconds", "How long a step took.", "step", manifest["timings_s"])


def _of_self_test(selftest: Mapping[str, Any]) -> Iterator[Metric]:
    planted = {kind: found for kind, found in selftest["kinds"].items() if found["planted"]}
    yield _by(
        "selftest_planted", "Planted codes by kind.", "kind", {name: of["planted"] for name, of in planted.items()}
    )
    for what, help_ in (
        ("recall", "Share of the planted codes that differ."),
        ("false_alarms", "Share of the same declarations that differ as declared."),
        ("told_apart", "Share that differs under the planted code alone."),
    ):
        yield _by(f"selftest_{what}", help_, "kind", {name: of[what]["share"] for name, of in planted.items()})
    yield _one(
        "worklist_withheld", "1 where the self-test failed and the worklist is empty.", bool(selftest["withheld"])
    )


def _of_drift(drift: Mapping[str, Any]) -> Iterator[Metric]:
    yield _one("drift_nights", "Earlier nights that this one is compared with.", len(drift["nights"]))
    for what, help_ in (
        ("psi", "Population stability index against earlier nights."),
        ("chance", "The index that chance alone hardly exceeds."),
        ("jensen_shannon", "Jensen-Shannon distance to earlier nights."),
    ):
        yield _by(f"drift_{what}", help_, "of", {name: each[what] for name, each in drift["shifts"].items()})
    yield _one("drifted", "1 where the night has moved away beyond chance and drift.max_psi.", bool(drift["warning"]))


def _day(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


def _one(name: str, help_: str, value: float) -> Metric:
    return Metric(name, help_, [Sample({}, value)])


def _by(name: str, help_: str, label: str, counts: Mapping[str, float]) -> Metric:
    return Metric(name, help_, [Sample({label: key}, count) for key, count in counts.items()])


def _text(metrics: Iterator[Metric] | list[Metric]) -> str:
    return "".join(line for metric in metrics for line in _lines(metric))


def _lines(metric: Metric) -> Iterator[str]:
    name = f"hs_audit_{metric.name}"
    yield f"# HELP {name} {metric.help}\n# TYPE {name} gauge\n"
    for labels, value in metric.samples:
        of = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
        yield f"{name}{{{of}}} {float(value):.15g}\n" if of else f"{name} {float(value):.15g}\n"


def _escaped(label: str) -> str:
    r"""A label's value as the format has it.

    >>> _escaped('a"b\\\n')
    'a\\"b\\\\\\n'
    """
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
