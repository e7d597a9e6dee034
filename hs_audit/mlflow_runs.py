"""`--mlflow URI`: what a command decided, measured and wrote, as a run in a tracking store of MLflow.

The run begins before the work, so that a store that cannot be reached is told then, and ends as the work ended.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from hs.errors import Interrupted, UsageError
from hs.text import excerpt, in_a_line
from hs_audit.extras import require_extra

T = TypeVar("T")

EXPERIMENT = "hs-audit"  # unless MLFLOW_EXPERIMENT_NAME names another one
# Unless told otherwise, MLflow writes to its makers, tries for minutes to reach a server, and refuses plain folders.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
_MOST_PARAMETERS, _MOST_METRICS = 100, 1000  # of one request
_MOST_CHARACTERS = 6000  # of a parameter
_NOT_IN_NAMES = re.compile(r"[^\w\-. /]+", re.ASCII)
_PASSWORD = re.compile("//[^/@]*@")


@dataclass(frozen=True)
class Told:
    """What a run is told.

    Attributes:
        parameters: names → what decided; mappings within are told by dotted names.
        metrics: names → figures; None where there was nothing to measure.
        steps: names → (step, figure) one after the other, as of the epochs of a training.
        files: what was written → the folder of the run's artifacts that it goes to; folders with all that is in them.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    steps: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)


Log = Callable[[Told], None]


@contextmanager
def tracked(uri: str | None, name: str) -> Iterator[Log]:
    """Gives what logs to a new run, which ends as the block ends; without a URI it does nothing.

    Args:
        uri: of the tracking store: a folder, `sqlite:///file`, or a server.
        name: of the run, for people.

    Raises:
        UsageError: if MLflow is not installed, or the store cannot be reached or written.
    """
    if uri is None:
        yield lambda told: None
        return
    require_extra("mlflow", "--mlflow")
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    with _faults_in_a_sentence(uri):
        run = _Run.begun(uri, name)
    try:
        yield lambda told: _logged(run, told, uri)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt | Interrupted)
        with suppress(Exception):  # what ended the work is told, not that the store is away, too
            run.end("KILLED" if interrupted else "FAILED")
        raise
    with _faults_in_a_sentence(uri):
        run.end("FINISHED")


def _logged(run: "_Run", told: Told, uri: str) -> None:
    with _faults_in_a_sentence(uri):
        run.log(told)


@contextmanager
def _faults_in_a_sentence(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of MLflow, of SQLAlchemy, of whatever stores artifacts: each has errors of its own
        place = _PASSWORD.sub("//", uri)
        raise UsageError(f"--mlflow {place}: {excerpt(_PASSWORD.sub('//', in_a_line(error)))}") from error


@dataclass(frozen=True)
class _Run:
    client: Any
    run_id: str

    @classmethod
    def begun(cls, uri: str, name: str) -> "_Run":
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        return cls(client, client.create_run(number, run_name=name).info.run_id)

    def log(self, told: Told) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        parameters = [Param(_name(name), str(value)[:_MOST_CHARACTERS]) for name, value in _flat(told.parameters)]
        metrics = [Metric(_name(name), value, now, 0) for name, value in told.metrics.items() if value is not None]
        metrics += [
            Metric(_name(name), figure, now, step) for name, points in told.steps.items() for step, figure in points
        ]
        for some in _in_parts(parameters, _MOST_PARAMETERS):
            self.client.log_batch(self.run_id, params=some)
        for some in _in_parts(metrics, _MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=some)
        for path, folder in told.files.items():
            send = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
            send(self.run_id, str(path), folder or None)

    def end(self, status: str) -> None:
        self.client.set_terminated(self.run_id, status)


def _flat(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those of mappings by dotted names; None says nothing.

    >>> list(_flat({"seed": 0, "head": None, "tail": {"epochs": 11}}))
    [('seed', 0), ('tail.epochs', 11)]
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{within}{name}.")
        elif value is not None:
            yield f"{within}{name}", value


def _name(written: str) -> str:
    """A name as MLflow takes it.

    >>> _name("right flagged ≤ of the heading"), _name("found / at best")
    ('right flagged at most of the heading', 'found per at best')
    """
    return _NOT_IN_NAMES.sub("_", written.replace(" / ", " per ").replace("≤", "at most"))


def _in_parts(values: Sequence[T], most: int) -> Iterator[list[T]]:
    rest = iter(values)
    while part := list(islice(rest, most)):
        yield part
