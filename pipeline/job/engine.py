"""Beam's options: which engine runs the job, its flags, and what they say about its workers."""

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
    WorkerOptions,
)

from hs.errors import EngineLost, UsageError
from hs.text import did_you_mean

_RUNNERS = StandardOptions.KNOWN_RUNNER_NAMES
_HERE = ("[local]", "[auto]")  # Flink inside the job server, on this machine
# Read as Arrow and glibc load, which in a worker is before anything of ours: see pipeline.job.memory.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}


def beam_options(configured: Mapping[str, Any], flags: Sequence[str]) -> PipelineOptions:
    """Beam's options from the configuration's `beam` section and the command line, which wins.

    `DirectRunner` becomes `FnApiRunner`, the engine inside it: by itself it first tries to download another one.

    Raises:
        UsageError: if Beam knows no such flag or runner, or the engine would take one worker without a word, or could
            not start its processes.
        EngineLost: if the jar of the job server is not there.
    """
    written = [flag for key, value in configured.items() for flag in _flags_of(key, value)] + list(flags)
    # Beam's own class: some of its options are of a kind that only this one knows.
    parser = beam.options.pipeline_options._BeamArgumentParser(allow_abbrev=False, exit_on_error=False)
    for section in (PipelineOptions, *PipelineOptions.__subclasses__()):
        section._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(written)  # by itself Beam only logs what it does not know, and goes on
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        close = did_you_mean(unknown[0].partition("=")[0], known).partition("; known are")[0]  # Beam has hundreds
        raise UsageError(f"neither hs-audit nor Beam knows the flag {unknown[0]}{close}")
    runner = PipelineOptions(written).get_all_options()["runner"]
    by_itself = runner in (None, "DirectRunner", "direct")
    options = PipelineOptions([*written, "--runner=FnApiRunner"] if by_itself else written)
    _require_startable(options)
    if by_itself:
        return options
    # A dotted name is a class that Beam imports: its list need not have it.
    if "." not in runner and runner.lower() not in {name.lower() for name in _RUNNERS}:
        raise UsageError(f"there is no runner {runner!r}{did_you_mean(runner, _RUNNERS)}")
    if runner.rpartition(".")[2] == "FlinkRunner" and options.view_as(FlinkRunnerOptions).parallelism < 1:
        raise UsageError("Flink takes a single worker unless --parallelism says how many of its task slots to use")
    _require_jars(options)
    _hand_on_environment(options.view_as(PortableOptions))
    return options


def is_local(options: PipelineOptions) -> bool:
    """Whether all workers are threads or children of the launcher."""
    return _runner(options) == "FnApiRunner"


def in_process(options: PipelineOptions) -> bool:
    """Whether all workers are threads of the launcher."""
    return is_local(options) and not _in_children(options)


def on_this_machine(options: PipelineOptions) -> bool:
    """Whether all workers surely run where the launcher does."""
    environment = options.view_as(PortableOptions).environment_type
    flink_here = _runner(options) == "FlinkRunner" and options.view_as(FlinkRunnerOptions).flink_master in _HERE
    return is_local(options) or environment == "LOOPBACK" or (flink_here and environment != "DOCKER")


def workers_of(options: PipelineOptions) -> int | None:
    """How many row groups are worked on at once; None where only the engine knows."""
    asked: int | None = None
    match _runner(options):
        case "FnApiRunner":
            direct = options.view_as(DirectOptions)
            asked = 1 if direct.direct_running_mode == "in_memory" else direct.direct_num_workers or os.cpu_count()
        case "SparkRunner" if options.view_as(SparkRunnerOptions).spark_master_url.startswith("local["):
            cores = options.view_as(SparkRunnerOptions).spark_master_url[len("local[") : -1]
            asked = int(cores) if cores.isdecimal() else os.cpu_count()
        case "DataflowRunner":
            dataflow = options.view_as(WorkerOptions)
            asked = dataflow.max_num_workers or dataflow.num_workers
        case _:
            asked = max(0, options.view_as(FlinkRunnerOptions).parallelism)  # -1 by itself
    return asked or None


def name_of(options: PipelineOptions) -> str:
    """What an engine is called in a sentence, with its address."""
    match _runner(options):
        case "FlinkRunner":
            return f"Flink at {options.view_as(FlinkRunnerOptions).flink_master}"
        case "SparkRunner":
            return f"Spark at {options.view_as(SparkRunnerOptions).spark_master_url}"
        case "PortableRunner":
            return f"the engine behind {options.view_as(PortableOptions).job_endpoint or 'the job server'}"
        case other:
            return other.removesuffix("Runner")


def decoding_threads_of(options: PipelineOptions) -> int | None:
    """In how many threads a worker decodes where the configuration does not say; None: in one for each of its cores."""
    if _in_children(options):
        return max(1, len(os.sched_getaffinity(0)) // (workers_of(options) or 1))
    process_per_core = int(options.view_as(PortableOptions).sdk_worker_parallelism or 1) == 0
    return 1 if process_per_core or _runner(options) == "DataflowRunner" else None


def _in_children(options: PipelineOptions) -> bool:
    """Whether Beam's own engine starts processes on this machine."""
    return is_local(options) and options.view_as(DirectOptions).direct_running_mode == "multi_processing"


def _runner(options: PipelineOptions) -> str:
    return str(options.view_as(StandardOptions).runner).rpartition(".")[2]


def _require_startable(options: PipelineOptions) -> None:
    # Beam hands the path to a shell as it stands.
    if _in_children(options) and shlex.quote(sys.executable) != sys.executable:
        raise UsageError(
            f"direct_running_mode=multi_processing cannot start {sys.executable!r}: install hs-audit under a path "
            "without spaces and special characters, or leave the flag out"
        )


def _require_jars(options: PipelineOptions) -> None:
    flink, spark = options.view_as(FlinkRunnerOptions), options.view_as(SparkRunnerOptions)
    for jar in (flink.flink_job_server_jar, spark.spark_job_server_jar):
        if jar and "://" not in jar and not Path(jar).is_file():
            raise EngineLost(f"the jar of the job server is not there: {jar}")


def _hand_on_environment(portable: PortableOptions) -> None:
    """Workers that are started as processes get our environment; an image has its own, and a child has ours."""
    if portable.environment_type != "PROCESS" or not portable.environment_config:
        return
    try:
        process = json.loads(portable.environment_config)
    except ValueError as error:
        raise UsageError(f"--environment_config is no JSON: {error}") from error
    process["env"] = _ENVIRONMENT | process.get("env", {})
    portable.environment_config = json.dumps(process)


def _flags_of(key: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}"] if value else []  # Beam's switches take no value
    values = value if isinstance(value, list) else [value]
    return [f"--{key}={each}" for each in values]
