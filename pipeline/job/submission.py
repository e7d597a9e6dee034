"""A pipeline → its end on the engine, in words: done, stopped, cancelled there, or lost."""

import logging
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult, PipelineState

from hs.errors import EngineLost, Interrupted, UsageError
from hs.text import excerpt
from pipeline.job.counters import OURS
from pipeline.job.in_process import STOP
from pipeline.job.keeping import Kept

_traces = logging.getLogger("engine")  # not of hs_audit: these lines go to the log file alone
_traces.setLevel(logging.INFO)
# So Beam calls its threads: one for each worker process that it starts, and those that read what job and workers say.
_WAITS_FOR_A_WORKER = "run_worker"
_READ = ("wait_until_finish_read", _WAITS_FOR_A_WORKER, "read_grpc_client_inputs", "beam_control_read")
_LAST_WORDS_S = 3.0  # of the workers that are left; whoever interrupts waits for them, too
_CANCEL_S = 2.0  # Flink's job server answers at once and goes on: the lease is what stops the workers
# What Beam raises where an engine cannot be reached, refuses a job or loses it. All else is a bug.
_OF_THE_ENGINE = (grpc.RpcError, grpc.FutureTimeoutError, OSError, RuntimeError, subprocess.SubprocessError)

_CANCELLED = re.compile(r"\bJobCancellationException\b")
_NO_ANSWER = re.compile(r"Connection (refused|reset|timed out)|\bConnectException\b|\bNoRouteToHost|unreachable", re.I)
# What Java and Beam put around what happened.
_OUTSIDE = re.compile(r"^(Pipeline \S+ failed in state \w+: |java\.\S*(Exception|Error): )+")


def run_to_its_end(pipeline: beam.Pipeline, engine: str, kept: Kept | None) -> dict[str, int]:
    """Runs a pipeline, and returns what the engine counted, by name; nothing where it does not say.

    Args:
        pipeline: to run.
        engine: what it is called in a sentence.
        kept: the lease of its workers; None where they are threads of this process.

    Raises:
        Interrupted: if the run was stopped, here or at the engine.
        EngineLost: if the engine cannot be reached, or the job failed there.
    """
    if kept is None:
        result = pipeline.run()  # returns when all is done
        _refuse_if_stopped()
        return _counted(result)
    if isinstance(pipeline.runner, FnApiRunner):
        return _run_in_processes(pipeline, kept)
    return _run_elsewhere(pipeline, engine, kept)


def _run_in_processes(pipeline: beam.Pipeline, kept: Kept) -> dict[str, int]:
    """On Beam's own engine, which waits forever for a process that is lost before it has said a word: we do not."""
    running: Future[PipelineResult] = Future()
    outer, lost, until = threading.excepthook, list[BaseException | None](), float("inf")

    def run() -> None:
        try:
            running.set_result(pipeline.run())
        except BaseException as error:  # whoever waits for the future is told
            running.set_exception(error)

    def hook(failed: threading.ExceptHookArgs) -> None:
        outer(failed)
        if failed.thread and failed.thread.name == _WAITS_FOR_A_WORKER:
            lost.append(failed.exc_value)
            kept.stop()  # the others would go on for nothing

    with _hooked(hook):
        threading.Thread(target=run, name="run", daemon=True).start()
        while not running.done() and time.monotonic() < until:
            time.sleep(0.1)
            if lost or STOP.is_set():
                until = min(until, time.monotonic() + _LAST_WORDS_S)
    _refuse_if_stopped()
    if lost:
        raise EngineLost(f"a worker process was lost: {lost[0]}; nothing was published") from lost[0]
    return _counted(running.result())


def _run_elsewhere(pipeline: beam.Pipeline, engine: str, kept: Kept) -> dict[str, int]:
    with _in_words(f"{engine} did not take the job"):
        result = pipeline.run()
    ended = threading.Event()
    errors: list[Exception] = []
    threading.Thread(target=_wait, args=(result, errors, ended), name="wait for the job", daemon=True).start()
    while not ended.wait(0.2):
        if STOP.is_set() or kept.trouble:
            kept.stop()
            _cancel(result)
            _refuse_if_stopped()
            return {}
    _refuse_if_stopped()
    lost = f"{engine} was lost, and the job with it"
    with _in_words(lost):
        state = result.state  # asked anew
    # Flink's job server calls a job that was cancelled on Flink's page a failed one.
    if state == PipelineState.CANCELLED or any(_CANCELLED.search(str(error)) for error in errors):
        raise Interrupted("the job was cancelled at the engine; nothing was published")
    if errors and not kept.trouble:
        no_answer = _NO_ANSWER.search(_first_line(errors[0]))  # so Flink's client says that the JobManager is gone
        raise _lost(lost if no_answer else f"the job failed on {engine}", errors[0])
    return _counted(result)


def _wait(result: PipelineResult, errors: list[Exception], ended: threading.Event) -> None:
    try:
        result.wait_until_finish()
    except Exception as error:
        errors.append(error)
    finally:
        ended.set()


@contextmanager
def beam_is_quiet() -> Iterator[None]:
    """Tracebacks of Beam's threads go to the log: they read what job and workers say, and fail as these end."""

    def log(failed: threading.ExceptHookArgs) -> None:
        name = failed.thread.name if failed.thread else "a thread"
        _traces.error("%s failed", name, exc_info=failed.exc_value)

    with _hooked(log):
        try:
            yield
        finally:
            for thread in threading.enumerate():
                if thread.name in _READ:
                    thread.join(1.0)  # it may be about to fail


@contextmanager
def _hooked(hook: Callable[[threading.ExceptHookArgs], None]) -> Iterator[None]:
    before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = before


def _cancel(result: PipelineResult) -> None:
    def ask() -> None:
        with suppress(Exception):  # it is over, or the engine is gone
            result.cancel()

    asking = threading.Thread(target=ask, name="cancel", daemon=True)
    asking.start()
    asking.join(_CANCEL_S)


def _refuse_if_stopped() -> None:
    if STOP.is_set():
        raise Interrupted("interrupted; nothing was published")


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:  # so Beam says that a flag is missing
        raise UsageError(_first_line(error)) from error
    except _OF_THE_ENGINE as error:
        _refuse_if_stopped()
        raise _lost(what, error) from error


def _lost(what: str, error: Exception) -> EngineLost:
    _traces.error("%s", what, exc_info=error)
    return EngineLost(f"{what}: {_first_line(error)}; nothing was published")


def _first_line(error: Exception) -> str:
    said: Any = error.details() if isinstance(error, grpc.Call) else error
    lines = [line.strip() for line in str(said or "").splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    lines[0] = _OUTSIDE.sub("", lines[0])
    # A worker's traceback has what went wrong in its last line, an engine's in its first.
    traceback = any(line.startswith("Traceback (most recent call last)") for line in lines)
    return excerpt(lines[-1] if traceback else lines[0])


def _counted(result: PipelineResult) -> dict[str, int]:
    """Our counters, by name; of a distribution its sum."""
    try:
        said = result.metrics().query(MetricsFilter().with_namespace(OURS))
    except (*_OF_THE_ENGINE, NotImplementedError) as error:  # the night does not depend on it
        _traces.info("the engine does not say what it counted", exc_info=error)
        return {}
    counted: dict[str, int] = {}
    for one in (*said["counters"], *said["distributions"]):
        counted[one.key.metric.name] = counted.get(one.key.metric.name, 0) + getattr(one.result, "sum", one.result)
    _traces.info("the engine counted %s", counted)
    return counted
