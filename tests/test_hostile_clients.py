"""What strangers send to the bundled server, and what their models hold: a sentence answers, and no harm is done."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.errors import ContractBroken
from serving.messages import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServerConfig,
    ModelServiceStub,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
    SignatureDef,
    TensorProto,
)
from serving.server.batching import Batching
from serving.server.bundled import bundled_server
from serving.server.config_files import single_model_config
from serving.server.refusal import Refusal
from serving.server.requests import check_inputs
from serving.tensors import to_tensor
from tests.archives import RED, picture, row, write_archive
from tests.servers import models, served, start_anywhere, write_half_plus_two, write_scaler

CONSENT = "HS_AUDIT_TRUST_MODELS"


def predict(channel: grpc.Channel, name: str = "scaler", signature: str = "", **inputs: TensorProto):
    request = PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, tensor in inputs.items():
        request.inputs[key].CopyFrom(tensor)
    return PredictionServiceStub(channel).Predict(request, timeout=60)


def tensor(sizes: tuple[int, ...], dtype: int = 1, **values) -> TensorProto:
    made = TensorProto(dtype=dtype, **values)
    for size in sizes:
        made.tensor_shape.dim.add(size=size)
    return made


# --- models


@pytest.fixture(scope="module")
def harmful(tmp_path_factory) -> Path:
    """A model that reads and writes files when it is asked."""
    import tensorflow as tf

    folder, module = tmp_path_factory.mktemp("harmful"), tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None], name="x")])
    def spy(x):
        tf.io.write_file("/dev/null", tf.io.read_file("/etc/hostname"))
        return {"y": x}

    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": spy})
    return folder


def test_a_model_that_does_more_than_compute_is_refused_before_it_is_loaded(harmful, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.saved_model, "load", lambda *_, **__: pytest.fail("it was loaded"))

    with pytest.raises(Refusal) as refused:
        models().reload(single_model_config("spy", harmful))

    assert "holds more than arithmetic" in refused.value.message
    assert "is not known to be arithmetic, and 1 more. " in refused.value.message
    assert "--trust_models of hs-audit serve, --trust-model of hs-audit run, or HS_AUDIT_TRUST_MODELS=1" in str(
        refused.value
    )


def test_its_status_says_why(scaler, harmful, tmp_path):
    folder = shutil.copytree(scaler, tmp_path / "model")
    what = models()
    with served(what, folder) as channel:
        shutil.copytree(harmful / "1", folder / "9")
        what.poll()
        request = GetModelStatusRequest()
        request.model_spec.name = "scaler"
        newest, old = ModelServiceStub(channel).GetModelStatus(request).model_version_status

    assert (newest.version, newest.status.error_code) == (9, grpc.StatusCode.PERMISSION_DENIED.value[0])
    assert "holds more than arithmetic" in newest.status.error_message
    assert old.state == old.AVAILABLE


def test_files_beside_a_model_are_refused_too(scaler, tmp_path):
    folder = shutil.copytree(scaler, tmp_path / "model")
    (folder / "1" / "assets").mkdir(exist_ok=True)
    (folder / "1" / "assets" / "words.txt").write_text("words")

    with pytest.raises(Refusal, match=r"assets/words.txt is no file of a classifier\. Who trusts it"):
        models().reload(single_model_config("scaler", folder))


def test_a_run_refuses_such_a_model_in_one_sentence(harmful):
    with (
        pytest.raises(ContractBroken, match=r"cannot serve .*holds more than arithmetic.*--trust-model") as refused,
        bundled_server(harmful),
    ):
        pass

    assert refused.value.exit_code == 6
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("consent", ["flag", "environment"])
def test_who_trusts_a_model_gets_it(harmful, monkeypatch, consent):
    if consent == "environment":
        monkeypatch.setenv(CONSENT, "1")

    with bundled_server(harmful, trusted=consent == "flag") as address, grpc.insecure_channel(address) as channel:
        answer = predict(channel, "hs", x=tensor((1, 1), float_val=[3.0]))

    assert list(answer.outputs["y"].float_val) == [3.0]


@pytest.mark.parametrize(
    ("flags", "sentence"), [([], "holds more than arithmetic"), (["--trust-model"], "has no class table")]
)
def test_a_night_with_such_a_model_ends_in_a_sentence_about_it(harmful, tmp_path, capfd, flags, sentence):
    from hs_audit.cli import main

    write_archive(tmp_path / "night.parquet", [row("D-1", RED, picture(RED))])
    (tmp_path / "config.yaml").write_text("server: {model: hs}\n")
    where = [f"--config={tmp_path / 'config.yaml'}", f"--input={tmp_path / 'night.parquet'}", f"--output={tmp_path}"]

    code = main(["run", *where, "--run-date=2026-11-21", f"--saved-model={harmful}", *flags])

    said = capfd.readouterr().err
    assert code == 6
    assert sentence in said
    assert ("HS_AUDIT_TRUST_MODELS=1" in said) == (not flags)


# --- models of TensorFlow 1


@pytest.fixture(scope="module", params=[False, True], ids=["N", "N,1"])
def half_plus_two(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("half") / "model"
    return write_half_plus_two(folder, lone_rows=request.param)


@pytest.mark.parametrize("batching", [None, Batching(max_batch_size=128, timeout_s=0.0)])
def test_a_model_of_tensorflow_1_answers_as_tf_servings_own_tests_expect(half_plus_two, batching):
    with served(models(batching, trusted=True), single_model_config("default", half_plus_two)) as channel:
        answer = predict(channel, "default", "serving_default", x=tensor((1,), float_val=[2.0]))
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "default"
        metadata = PredictionServiceStub(channel).GetModelMetadata(request)

    assert list(answer.outputs["y"].float_val) == [3.0]
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("default", "serving_default")
    assert answer.model_spec.version.value == metadata.model_spec.version.value == 123


def test_further_signatures_of_such_a_model_parse_examples(half_plus_two):
    import tensorflow as tf

    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    with served(models(trusted=True), single_model_config("default", half_plus_two)) as channel:
        text = tensor((1,), dtype=7, string_val=[example.SerializeToString()])
        answer = predict(channel, "default", "regress_x_to_y", inputs=text)

    assert list(answer.outputs["outputs"].float_val) == [3.0]


def test_without_consent_such_a_model_is_refused(half_plus_two):
    with pytest.raises(Refusal, match=r"ParseExample.*is not known to be arithmetic"):
        models().reload(single_model_config("default", half_plus_two))


def test_such_a_model_is_restored_by_nothing_that_writes(tmp_path):
    """A session runs whatever operation the file names for restoring."""
    folder = write_half_plus_two(tmp_path / "half", plain=True)
    models().reload(single_model_config("plain", folder))
    file = folder / "00000123" / "saved_model.pb"
    saved = SavedModel.FromString(file.read_bytes())
    saver = saved.meta_graphs[0].saver_def
    saver.restore_op_name = saver.save_tensor_name.split(":")[0]
    file.write_bytes(saved.SerializeToString())

    with pytest.raises(Refusal, match=r"restoring reaches operation save.*, which writes files"):
        models().reload(single_model_config("spoiled", folder))


# --- requests


@pytest.fixture(scope="module")
def scaler(tmp_path_factory) -> Path:
    return write_scaler(tmp_path_factory.mktemp("scaler"), 1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """The sum of the pictures' pixels: `x` uint8 [N, 224, 224, 3] → `y`."""
    import tensorflow as tf

    folder, module = tmp_path_factory.mktemp("pictures"), tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.uint8, name="x")])
    def total(x):
        return {"y": tf.reduce_sum(tf.cast(x, tf.float32), axis=(1, 2, 3))}

    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": total})
    return folder


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (tensor((), float_val=[1.0]), "tensor parsing error: x: its shape is [], the signature needs [-1, -1]"),
        (tensor((3,), float_val=[1.0]), "its shape is [3], the signature needs [-1, -1]"),
        (tensor((-1, 3), float_val=[1.0]), "tensor parsing error: x: shape [-1, 3] has a negative size"),
        (tensor((1,) * 300, float_val=[1.0]), "it has no shape, or more than 32 dimensions"),
        (tensor((2**40, 1), float_val=[1.0]), "the shapes claim 4,398,046,511,104 bytes, more than 4 times the"),
        (tensor((0, 2**62), float_val=[]), "the shapes claim"),
        (tensor((1, 1), dtype=999), "Expects arg[0] to be float32 but type 999 is provided"),
        (tensor((1, 1), dtype=0), "Expects arg[0] to be float32 but type 0 is provided"),
        (tensor((1, 1), dtype=20), "Expects arg[0] to be float32 but type 20 is provided"),
        (tensor((1, 2), tensor_content=b"1234"), "tensor parsing error: x: 4 bytes do not fill shape [1, 2]"),
        (tensor((1, 1), float_val=[1.0, 2.0]), "tensor parsing error: x"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_not_the_signatures_is_refused_in_a_sentence(scaler, sent, sentence):
    with served(models(), scaler) as channel, pytest.raises(grpc.RpcError) as refused:
        predict(channel, x=sent)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sentence in refused.value.details()


def test_a_signature_without_a_shape_takes_any():
    anything = SignatureDef()
    anything.inputs["x"].dtype = 1
    request = PredictRequest()
    request.inputs["x"].CopyFrom(tensor((1, 2, 3), float_val=[1.0]))

    check_inputs(anything, request)


def test_a_shape_without_a_rank_is_refused(scaler):
    sent = tensor((), float_val=[1.0])
    sent.tensor_shape.unknown_rank = True

    with served(models(), scaler) as channel, pytest.raises(grpc.RpcError, match="it has no shape"):
        predict(channel, x=sent)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (tensor((1, 32, 32, 3), dtype=4, int_val=[1]), "the signature needs [-1, 224, 224, 3]"),
        (tensor((1, 224, 224, 3), dtype=4, int_val=[300]), "tensor parsing error: x"),
        (tensor((400_000, 224, 224, 3), dtype=4, int_val=[1]), "the shapes claim 60,211,200,000 bytes"),
    ],
)  # fmt: skip
def test_pictures_that_are_none_cost_nothing(pictures, sent, sentence):
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with served(models(), pictures) as channel, pytest.raises(grpc.RpcError) as refused:
        predict(channel, x=sent)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sentence in refused.value.details()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 300_000


def test_what_was_sent_in_full_may_be_large_and_a_little_may_stand_for_more(pictures):
    full = to_tensor(np.ones((500, 224, 224, 3), np.uint8))
    with served(models(), pictures) as channel:
        answers = predict(channel, x=full), predict(channel, x=tensor((2, 224, 224, 3), dtype=4, int_val=[1]))

    assert [answer.outputs["y"].float_val[0] for answer in answers] == [224 * 224 * 3] * 2


def test_text_that_is_repeated_counts_as_often(scaler):
    numbers, text = tensor((9999,), dtype=9), tensor((9999,), dtype=7, string_val=[b"x" * 100_000])

    with served(models(), scaler) as channel, pytest.raises(grpc.RpcError, match="the shapes claim 1,000,219"):
        predict(channel, signature="pair", a=numbers, b=text)


@pytest.mark.parametrize("letter", ["x", "세"])
def test_a_refusal_does_not_repeat_all_that_was_sent(scaler, letter):
    with served(models(), scaler) as channel, pytest.raises(grpc.RpcError) as refused:
        predict(channel, name=letter * 100_000)

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert len(refused.value.details()) < 3000


def test_what_is_no_message_is_refused_and_fills_no_log(caplog):
    server, address = start_anywhere(models())

    with grpc.insecure_channel(address) as channel:
        send = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        for junk in (b"\xff", b"\x0a\xff\xff", b"\x12\x04\x0a\x01x"):
            with pytest.raises(grpc.RpcError):
                send(junk, timeout=20)

    server.stop(None).wait()
    assert not caplog.records


# --- configurations


def reload(channel: grpc.Channel, base_path: str | Path) -> None:
    config = ModelServerConfig()
    config.model_config_list.config.add(name="scaler", base_path=str(base_path), model_platform="tensorflow")
    ModelServiceStub(channel).HandleReloadConfigRequest(ReloadConfigRequest(config=config), timeout=60)


def test_nobody_may_send_a_configuration_unless_that_is_allowed(scaler):
    with served(models(), scaler) as channel, pytest.raises(grpc.RpcError, match="--allow_reload_config") as refused:
        reload(channel, scaler)

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_configuration_stays_in_its_folders_and_tells_nothing_of_others(scaler, tmp_path):
    (tmp_path / "there").mkdir()
    folder = shutil.copytree(scaler, tmp_path / "model")
    (folder / "link").symlink_to(scaler)
    outside = [tmp_path / "there", tmp_path / "none", folder / ".." / "there", folder / "link", "/proc", "", "model\0"]
    said = []
    with served(models(), folder, reload_below=(folder,)) as channel:
        for path in outside:
            with pytest.raises(grpc.RpcError) as refused:
                reload(channel, path)
            said.append((refused.value.code().name, refused.value.details().replace(str(path), "PATH")))
        reload(channel, folder)
        answer = predict(channel, x=tensor((1, 1), float_val=[1.0]))

    sentence = "base path PATH is not below a folder that was configured at the start"
    assert set(said[:5]) == {("INVALID_ARGUMENT", sentence)}
    assert {code for code, _ in said} == {"INVALID_ARGUMENT"}
    assert answer.outputs["y"].float_val[0] == 2.0


def test_processes_are_no_versions():
    with pytest.raises(Refusal, match="base path /proc for servable x is no folder of models") as refused:
        models().reload(single_model_config("x", Path("/proc")))

    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


# --- the server as a program


class Serving:
    """`hs-audit serve` in a process of its own."""

    def __init__(self, *flags: str, **environment: str) -> None:
        command = [sys.executable, "-m", "hs_audit.cli", "serve", *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | environment)
        self.lines: list[str] = []

    def addresses(self) -> list[str]:
        """Where it says that it listens, once it does."""
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("serving at "):
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return line.removeprefix("serving at ").strip().split(", ")
        raise AssertionError("".join(self.lines))

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def wait_until(true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answers(method: Callable[..., Any], request: Any) -> bool:
    try:
        status = method(request, timeout=10).model_version_status
    except grpc.RpcError:
        return False
    return any(version.state == version.AVAILABLE for version in status)


def cpu_s(pid: int) -> float:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


def listening(port: int) -> set[str]:
    """The local addresses at which some process of this machine listens, as the kernel writes them."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}  # 4, 4 as 6, 6


def test_the_port_is_open_to_this_machine_only_unless_it_is_told_otherwise(scaler):
    port = free_port()
    with Serving(f"--port={port}", f"--model_base_path={scaler}") as serving:
        serving.addresses()
        by_default = listening(port)
    with Serving(f"--port={port}", f"--model_base_path={scaler}", "--listen=0.0.0.0") as serving:
        addresses = serving.addresses()
        opened = listening(port)

    assert set() < by_default <= LOOPBACK
    assert addresses == [f"0.0.0.0:{port}"]
    assert not opened <= LOOPBACK


def test_tf_servings_own_command_line_serves_its_own_models(tmp_path):
    """As its client tests start it: one socket for several servers, a file that is polled, models of TensorFlow 1."""
    half, other = write_half_plus_two(tmp_path / "half"), write_half_plus_two(tmp_path / "other")
    file, shared, port = tmp_path / "models.config", tmp_path / "grpc.sock", free_port()
    (tmp_path / "batching.config").write_text("max_batch_size { value: 128 }")
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    entries = [
        f'config {{ name: "{path.name}" base_path: "{path}" model_platform: "tensorflow" }}' for path in (half, other)
    ]
    file.write_text(f"model_config_list {{ {entries[0]} }}")
    flags = [f"--port={port}", f"--rest_api_port={free_port()}", "--rest_api_timeout_in_ms=5000",
             f"--grpc_socket_path={shared}"]  # fmt: skip
    more = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1", "--enable_batching",
            f"--batching_parameters_file={tmp_path / 'batching.config'}",
            f"--monitoring_config_file={tmp_path / 'monitoring.config'}",
            "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb"]  # fmt: skip
    with Serving(*flags, *more, HS_AUDIT_TRUST_MODELS="1") as serving:
        serving.addresses()
        for address in (f"localhost:{port}", f"unix:{shared}"):
            with grpc.insecure_channel(address) as channel:
                assert predict(channel, "half", x=tensor((1,), float_val=[2.0])).outputs["y"].float_val[0] == 3.0
                with pytest.raises(grpc.RpcError, match="Servable"):
                    predict(channel, "intentionally_missing_model")
        file.write_text(f"model_config_list {{ {' '.join(entries)} }}")
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            request = GetModelStatusRequest()
            request.model_spec.name = "other"
            wait_until(lambda: answers(ModelServiceStub(channel).GetModelStatus, request))
            assert predict(channel, "other", x=tensor((1,), float_val=[2.0])).outputs["y"].float_val[0] == 3.0
        flags[0] = f"--port={free_port()}"
        with Serving(*flags, "--model_name=default", f"--model_base_path={half}", HS_AUDIT_TRUST_MODELS="1") as second:
            second.addresses()
            with grpc.insecure_channel(f"unix:{shared}") as channel:
                answer = predict(channel, "default", x=tensor((1,), float_val=[2.0]))

    assert answer.model_spec.version.value == 123


@pytest.mark.parametrize("batching", [[], ["--enable_batching"]])
def test_a_signal_ends_the_server_whatever_is_being_computed(tmp_path, batching):
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], name="x")])
    def endless(x):
        return {"y": tf.while_loop(lambda x: tf.reduce_all(x > 0), lambda x: x + 0, [x])[0]}

    tf.saved_model.save(module, str(tmp_path / "model" / "1"), signatures={"serving_default": endless})
    flags = ["--model_name=endless", f"--model_base_path={tmp_path / 'model'}", f"--port={free_port()}"]
    with Serving(*flags, *batching) as serving, grpc.insecure_channel(serving.addresses()[0]) as channel:
        predict(channel, "endless", x=tensor((1,), float_val=[-1.0]))
        request = PredictRequest()
        request.model_spec.name = "endless"
        request.inputs["x"].CopyFrom(tensor((1,), float_val=[1.0]))
        waiting = PredictionServiceStub(channel).Predict.future(request)
        before_s = cpu_s(serving.process.pid)
        wait_until(lambda: cpu_s(serving.process.pid) > before_s + 0.5)
        assert not waiting.done()

        serving.process.send_signal(signal.SIGTERM)
        code = serving.process.wait(timeout=10)

    assert code == 0


def test_a_signal_ends_the_server_while_a_model_loads_for_ever(monkeypatch):
    from serving.server import main

    class Left(Exception):
        """In place of the end of this process."""

    def leave(code):
        raise Left(code)

    stop, loaded = threading.Event(), threading.Event()
    monkeypatch.setattr(os, "_exit", leave)
    endless = SimpleNamespace(reload=lambda config: (stop.set(), loaded.wait()))

    with pytest.raises(Left, match="0"):
        main._load(endless, ModelServerConfig(), stop)
    loaded.set()
