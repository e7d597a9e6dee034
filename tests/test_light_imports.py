"""Light modules stay light: each is imported in a fresh interpreter, and what came along is looked at."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "tensorflow", "keras", "apache_beam", "grpc", "pyarrow", "PIL", "pydantic", "rich", "jinja2", "openpyxl",
    "matplotlib",
)  # fmt: skip

# What a start or a worker must not wait for; tests/test_floors.py says what each file may import by itself.
ALLOWED = {
    "hs_audit": (),
    "hs_audit.cli": (),
    "hs.verdicts": (),
    "serving.client.client": ("grpc", "PIL"),
    "serving.server.bundled": ("grpc",),
    "pipeline.archive.row_groups": ("pyarrow",),
    "pipeline.job.classify": ("apache_beam", "grpc", "PIL", "pyarrow"),
    "pipeline.night": ("apache_beam", "grpc", "PIL", "pydantic", "pyarrow"),  # page and sheet come at the end
    "model.training.recipes": (),
    "model.cases.data_sets": ("PIL", "pyarrow"),
    "hs_audit.commands.train": ("rich",),
    "hs_audit.commands.check_archive": ("grpc", "PIL", "pydantic", "pyarrow", "rich"),
}

PROBE = """
import importlib, json, sys, time
def resident_mb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024
before_mb, started = resident_mb(), time.process_time()
importlib.import_module(sys.argv[1])
cpu_s = time.process_time() - started
running = "tensorflow.python" in sys.modules or "tensorflow._api" in sys.modules
came = [name for name in sys.argv[2].split(",") if name in sys.modules]
print(json.dumps({"cpu_s": cpu_s, "mb": resident_mb() - before_mb, "came": came, "tensorflow_runs": running}))
"""


def imported(module: str) -> dict:
    probe = [sys.executable, "-c", PROBE, module, ",".join(HEAVY)]
    return json.loads(subprocess.run(probe, capture_output=True, check=True, text=True).stdout)


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_brings_only_what_its_layer_may_use(module):
    assert set(imported(module)["came"]) <= set(ALLOWED[module])


def test_importing_the_client_takes_under_a_second_and_100_mb():
    measured = [imported("serving.client.client") for _ in range(3)]

    assert min(each["cpu_s"] for each in measured) < 1  # the tests beside this one cost it some
    assert measured[0]["mb"] < 100


@pytest.mark.parametrize(
    "module", ["pipeline.job.classify", "pipeline.job.wiring", "pipeline.night", "hs_audit.commands.run"]
)
def test_no_worker_runs_tensorflow(module):
    assert not imported(module)["tensorflow_runs"]


def test_tensorflow_can_still_be_imported_after_the_messages_and_shares_their_classes():
    script = (
        "from serving.messages import PredictRequest, TensorProto\n"
        "import tensorflow as tf\n"
        "from tensorflow_serving.apis.predict_pb2 import PredictRequest as Theirs\n"
        "assert PredictRequest is Theirs\n"
        "assert isinstance(tf.make_tensor_proto([1.0]), TensorProto)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
