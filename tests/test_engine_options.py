"""What Beam's flags say about the workers of a run."""

import json
import os
import sys

import pytest
from apache_beam.options.pipeline_options import PortableOptions

from hs.errors import UsageError
from pipeline.job.engine import beam_options, decoding_threads_of, in_process, name_of, on_this_machine, workers_of

CORES = len(os.sched_getaffinity(0))
SEVERAL = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
FLINK = ["--runner=FlinkRunner", "--flink_master=flink:8081", "--parallelism=6"]
SPARK = ["--runner=SparkRunner"]
DATAFLOW = ["--runner=DataflowRunner", "--max_num_workers=8"]


@pytest.mark.parametrize(
    ("flags", "within", "here", "workers", "threads"),
    [
        ([], True, True, 1, None),
        (["--direct_running_mode=multi_threading", "--direct_num_workers=3"], True, True, 3, None),
        (SEVERAL, False, True, 2, max(1, CORES // 2)),
        (FLINK, False, False, 6, None),
        ([*FLINK, "--sdk_worker_parallelism=0"], False, False, 6, 1),  # a process for each core
        ([*FLINK, "--flink_master=[local]"], False, True, 6, None),
        ([*FLINK, "--flink_master=[local]", "--environment_type=DOCKER"], False, False, 6, None),
        ([*FLINK, "--environment_type=LOOPBACK"], False, True, 6, None),
        ([*SPARK, "--spark_master_url=local[3]"], False, False, 3, None),
        ([*SPARK, "--spark_master_url=spark://spark:7077"], False, False, None, None),
        ([*SPARK, "--spark_master_url=spark://spark:7077", "--parallelism=4"], False, False, 4, None),
        (["--runner=PrismRunner"], False, False, None, None),
        (DATAFLOW, False, False, 8, 1),
        (["--runner=DataflowRunner"], False, False, None, 1),
    ],
)
def test_flags_say_where_workers_are_and_how_many(flags, within, here, workers, threads):
    options = beam_options({}, flags)

    assert in_process(options) == within
    assert on_this_machine(options) == here
    assert workers_of(options) == workers
    assert decoding_threads_of(options) == threads


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (FLINK, "Flink at flink:8081"),
        ([*SPARK, "--spark_master_url=spark://spark:7077"], "Spark at spark://spark:7077"),
        (["--runner=PortableRunner", "--job_endpoint=jobs:8099"], "the engine behind jobs:8099"),
        (["--runner=PrismRunner"], "Prism"),
    ],
)
def test_an_engine_has_a_name_for_sentences(flags, name):
    assert name_of(beam_options({}, flags)) == name


def test_processes_that_an_engine_starts_get_our_allocators_unless_the_flag_says_others():
    written = {"command": "/opt/apache/beam/boot", "env": {"MALLOC_ARENA_MAX": "2"}}

    options = beam_options({}, [*FLINK, "--environment_type=PROCESS", f"--environment_config={json.dumps(written)}"])

    handed_on = json.loads(options.view_as(PortableOptions).environment_config)
    assert handed_on["command"] == written["command"]
    assert handed_on["env"] == {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}


@pytest.mark.parametrize("runner", [[], ["--runner=FnApiRunner"]])
def test_processes_whose_python_has_a_space_in_its_path_are_refused_before_the_night(runner, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/data team/.venv/bin/python")

    with pytest.raises(UsageError, match="data team"):
        beam_options({}, [*SEVERAL, *runner])
    beam_options({}, runner)  # threads need no path
