"""The bundled server against clients that know the official messages and nothing else."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import text_format

from hs.errors import ContractBroken
from serving.client.client import Client
from serving.client.connection import Connection
from serving.contract import encode_request, read_probabilities
from serving.messages import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServerConfig,
    ModelServiceStub,
    ModelVersionStatus,
    PredictionServiceStub,
    PredictRequest,
    ReloadConfigRequest,
    SignatureDefMap,
    TensorProto,
)
from serving.server.batching import Batching
from serving.server.bundled import bundled_server
from serving.server.refusal import Refusal
from serving.server.served_versions import ServedVersions
from serving.tensors import from_tensor, to_tensor
from tests.archives import COLOURS
from tests.servers import models, served, write_scaler

RED_GREEN = np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in list(COLOURS.values())[:2]])
ONES = np.ones((2, 3), np.float32)


@pytest.fixture(scope="module")
def scaler(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scaler")
    write_scaler(folder, 1, 2.0)
    return write_scaler(folder, 2, 3.0)


@pytest.fixture(scope="module")
def channel(scaler):
    with served(models(), scaler) as channel:
        yield channel


def ask(channel, inputs=None, signature="", name="scaler", outputs=(), **spec):
    """What Predict answers, as arrays, and the version that did."""
    message = PredictRequest(output_filter=outputs)
    message.model_spec.name, message.model_spec.signature_name = name, signature
    if "version" in spec:
        message.model_spec.version.value = spec["version"]
    if "label" in spec:
        message.model_spec.version_label = spec["label"]
    for key, value in ({"x": ONES} if inputs is None else inputs).items():
        message.inputs[key].CopyFrom(value if isinstance(value, TensorProto) else to_tensor(value))
    response = PredictionServiceStub(channel).Predict(message)
    return response, response.model_spec.version.value


def y_of(answer):
    return from_tensor(answer[0].outputs["y"])


def states(channel, name="scaler", **spec):
    message = GetModelStatusRequest()
    message.model_spec.name = name
    if "version" in spec:
        message.model_spec.version.value = spec["version"]
    said = ModelServiceStub(channel).GetModelStatus(message).model_version_status
    return {one.version: ModelVersionStatus.State.Name(one.state) for one in said}


def config(text: str) -> ModelServerConfig:
    return text_format.Parse(f"model_config_list {{ {text} }}", ModelServerConfig())


def entry(folder: Path, more: str = "", name: str = "scaler") -> str:
    return f'config {{ name: "{name}" base_path: "{folder}" model_platform: "tensorflow" {more} }}'


# --- Predict and metadata


def test_pictures_become_probabilities_over_the_wire(colour_server):
    client = Client(Connection(colour_server))
    model = client.resolve("hs")
    with grpc.insecure_channel(colour_server) as channel:
        message = PredictRequest.FromString(encode_request(model, RED_GREEN).message)
        response = PredictionServiceStub(channel).Predict(message)
    client.close()

    probabilities = read_probabilities(response, model, rows=2)
    assert (model.name, model.version, model.table.labels) == ("hs", 1, tuple(COLOURS))
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"


def test_the_newest_version_answers_unless_one_is_named(scaler, channel):
    both = config(entry(scaler, "model_version_policy { all {} }"))
    newest = ask(channel)
    with served(models(), both) as channel_of_both:
        old = ask(channel_of_both, version=1)

    assert (y_of(newest)[0, 0], newest[1]) == (3.0, 2)
    assert (y_of(old)[0, 0], old[1]) == (2.0, 1)


def typed(**values):
    tensor = TensorProto(dtype=values.pop("dtype"), **values)
    tensor.tensor_shape.dim.add(size=2)
    return tensor


def test_any_type_goes_in_and_out_by_typed_values(channel):
    inputs = {"a": typed(dtype=9, int64_val=[4, -1]), "b": typed(dtype=7, string_val=[b"hs", b"code"])}

    response, _ = ask(channel, inputs, "pair")

    assert list(response.outputs["a"].int64_val) == [5, 0]
    assert list(response.outputs["b"].string_val) == [b"HS", b"CODE"]
    assert list(response.outputs["positive"].bool_val) == [True, False]


def test_a_single_typed_value_fills_the_whole_tensor(channel):
    tensor = TensorProto(dtype=1, float_val=[5.0])
    for size in (2, 3):
        tensor.tensor_shape.dim.add(size=size)

    assert y_of(ask(channel, {"x": tensor})).tolist() == [[15.0] * 3] * 2


def test_only_the_outputs_that_are_asked_for_come_back(channel):
    inputs = {"a": typed(dtype=9, int64_val=[4, -1]), "b": typed(dtype=7, string_val=[b"hs", b"code"])}

    response, _ = ask(channel, inputs, "pair", outputs=["b"])

    assert list(response.outputs) == ["b"]


@pytest.mark.parametrize(("as_content", "field"), [(False, "float_val"), (True, "tensor_content")])
def test_answers_are_typed_values_or_blocks_of_bytes_as_the_flag_says(scaler, as_content, field):
    with served(models(as_content=as_content), scaler) as channel:
        response, _ = ask(channel)

    assert len(getattr(response.outputs["y"], field)) > 0
    assert from_tensor(response.outputs["y"]).tolist() == [[3.0] * 3] * 2


@pytest.mark.parametrize(
    ("wrong", "code", "details"),
    [
        ({"name": "cars"}, "NOT_FOUND", "Servable not found for request: Latest(cars)"),
        ({"version": 7}, "NOT_FOUND", "Servable not found for request: Specific(scaler, 7)"),
        ({"label": "canary"}, "INVALID_ARGUMENT", "Unrecognized servable version label: canary"),
        ({"signature": "z"}, "FAILED_PRECONDITION", 'Serving signature key "z" not found.'),
        ({"inputs": {}}, "INVALID_ARGUMENT", "input size does not match signature: 0!=1 len({}) != len({x}). "
         "Sent extra: {}. Missing but required: {x}."),
        ({"inputs": {"z": ONES}}, "INVALID_ARGUMENT", "input tensor alias not found in signature: z. "
         "Inputs expected to be in the set {x}."),
        ({"inputs": {"x": ONES.astype(np.int32)}}, "INVALID_ARGUMENT", "Expects arg[0] to be float32 but int32 is"),
        ({"inputs": {"x": typed(dtype=1, tensor_content=b"123")}}, "INVALID_ARGUMENT", "tensor parsing error: x"),
        ({"outputs": ["z"]}, "INVALID_ARGUMENT", "output tensor alias not found in signature: z "
         "Outputs expected to be in the set {y}."),
        ({"outputs": ["y", "y"]}, "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
    ],
)  # fmt: skip
def test_a_wrong_request_gets_the_status_and_the_words_of_tf_serving(channel, wrong, code, details):
    with pytest.raises(grpc.RpcError) as refused:
        ask(channel, **wrong)

    assert refused.value.code().name == code
    assert details in refused.value.details()


def test_a_request_without_a_model_is_refused(channel):
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        PredictionServiceStub(channel).Predict(PredictRequest())


def test_what_it_leaves_out_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/tensorflow.serving.PredictionService/Classify")(b"")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def metadata(channel, fields=("signature_def",)):
    message = GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.name = "scaler"
    return PredictionServiceStub(channel).GetModelMetadata(message)


def test_metadata_names_the_signatures_with_types_and_shapes(channel):
    response = metadata(channel)

    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    x = signatures.signature_def["serving_default"].inputs["x"]
    assert response.model_spec.version.value == 2
    assert (x.dtype, [dim.size for dim in x.tensor_shape.dim]) == (1, [-1, -1])
    assert set(signatures.signature_def["pair"].outputs) == {"a", "b", "positive"}


@pytest.mark.parametrize(
    ("fields", "details"), [((), "at least one metadata_field"), (("x",), "Metadata field x is not supported")]
)
def test_other_metadata_is_refused(channel, fields, details):
    with pytest.raises(grpc.RpcError, match=details):
        metadata(channel, fields)


# --- versions


def test_status_names_every_version_and_refuses_unknown_ones(scaler, channel):
    assert states(channel) == {2: "AVAILABLE"}
    with pytest.raises(grpc.RpcError, match="Could not find version 7 of model scaler"):
        states(channel, version=7)
    with pytest.raises(grpc.RpcError, match="Could not find any versions of model cars"):
        states(channel, "cars")


@pytest.mark.parametrize(
    ("policy", "there"),
    [("", [3]), ("latest { num_versions: 2 }", [2, 3]), ("all {}", [1, 2, 3]), ("specific { versions: 1 }", [1])],
)
def test_the_policy_says_which_versions_are_served(tmp_path, policy, there):
    for version in (1, 2, 3):
        write_scaler(tmp_path, version)
    policy = f"model_version_policy {{ {policy} }}" if policy else ""

    with served(models(), config(entry(tmp_path, policy))) as channel:
        assert sorted(states(channel)) == there


def test_a_new_version_is_there_before_the_old_one_goes(tmp_path):
    what = models()
    with served(what, write_scaler(tmp_path, 1, 2.0)) as channel:
        stop, seen = threading.Event(), []

        def ask_on():
            while not stop.is_set():
                seen.append(y_of(ask(channel))[0, 0])

        asking = threading.Thread(target=ask_on)
        asking.start()
        write_scaler(tmp_path, 2, 3.0)
        what.poll()
        stop.set()
        asking.join()

        assert (y_of(ask(channel))[0, 0], states(channel)) == (3.0, {1: "END", 2: "AVAILABLE"})
        assert seen
        assert set(seen) <= {2.0, 3.0}


def test_a_broken_version_is_reported_and_the_good_one_stays_until_it_is_mended(tmp_path):
    what = models()
    with served(what, write_scaler(tmp_path, 1, 2.0)) as channel:
        (tmp_path / "2").mkdir()
        (tmp_path / "2" / "saved_model.pb").write_bytes(b"half of it")
        what.poll()
        broken = states(channel), y_of(ask(channel))[0, 0]
        shutil.rmtree(tmp_path / "2")
        write_scaler(tmp_path, 2, 3.0)
        what.poll()

        assert broken == ({1: "AVAILABLE", 2: "END"}, 2.0)
        assert (states(channel), y_of(ask(channel))[0, 0]) == ({1: "END", 2: "AVAILABLE"}, 3.0)


def test_a_version_that_is_still_being_copied_does_no_harm(tmp_path):
    what, copied = models(), tmp_path / "copied"
    write_scaler(copied, 1, 3.0)
    with served(what, write_scaler(tmp_path / "model", 1, 2.0)) as channel:
        for file in sorted(path for path in copied.rglob("*") if path.is_file()):
            assert y_of(ask(channel))[0, 0] == 2.0
            target = tmp_path / "model" / "2" / file.relative_to(copied / "1")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            what.poll()

        assert y_of(ask(channel))[0, 0] == 3.0


def test_labels_name_versions_that_are_available(scaler):
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    both = "model_version_policy { all {} }"
    with served(models(), config(entry(scaler, both)), reload_below=(scaler,)) as channel:
        request = ReloadConfigRequest(config=config(entry(scaler, both + labels)))
        ModelServiceStub(channel).HandleReloadConfigRequest(request)

        assert [ask(channel, label=label)[1] for label in ("stable", "canary")] == [1, 2]


def test_a_label_for_a_version_that_is_not_there_is_refused_unless_it_may_wait(scaler):
    labelled = config(entry(scaler, 'version_labels { key: "canary" value: 2 }'))

    with pytest.raises(Refusal, match="Request to assign label to version 2 of model scaler"):
        models().reload(labelled)
    with served(models(labels_may_wait=True), labelled) as channel:
        assert ask(channel, label="canary")[1] == 2


def test_a_reload_brings_models_and_takes_them_away(scaler, tmp_path):
    other = write_scaler(tmp_path, 5, 7.0)
    with served(models(), scaler, reload_below=(scaler, tmp_path)) as channel:
        request = ReloadConfigRequest(config=config(entry(other, name="other")))
        response = ModelServiceStub(channel).HandleReloadConfigRequest(request)

        assert response.status.error_code == 0
        assert y_of(ask(channel, name="other"))[0, 0] == 7.0
        with pytest.raises(grpc.RpcError, match=r"Latest\(scaler\)"):
            ask(channel)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'config { name: "a" base_path: "{there}" } config { name: "a" base_path: "{there}" }',
            "list model a multiple",
        ),
        ('config { name: "a" base_path: "{there}/none" }', "Could not find base path .*/none for servable a"),
        ('config { name: "a" base_path: "{there}" model_platform: "onnx" }', "platform 'onnx'"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_and_changes_nothing(scaler, text, sentence):
    with served(models(), scaler, reload_below=(scaler,)) as channel:
        request = ReloadConfigRequest(config=config(text.replace("{there}", str(scaler))))
        with pytest.raises(grpc.RpcError, match=sentence):
            ModelServiceStub(channel).HandleReloadConfigRequest(request)

        assert states(channel) == {2: "AVAILABLE"}


def test_a_model_without_versions_is_refused(tmp_path):
    with pytest.raises(Refusal, match="did not become available"):
        models().reload(config(entry(tmp_path)))


class ReplacedMeanwhile(ServedVersions):
    """Another thread replaces the configuration just before it is said why it is refused."""

    def _why_absent(self, *model):
        self._configs = {}
        return super()._why_absent(*model)


def test_a_configuration_that_was_replaced_meanwhile_is_still_refused_with_its_reason(tmp_path):
    what = ReplacedMeanwhile(lambda name, path: None)

    with pytest.raises(Refusal, match=f"scaler: no version in {tmp_path}"):
        what.reload(config(entry(tmp_path)))


# --- batching


def ask_together(channel, count: int, rows: int = 1):
    """Answers, or refusals, of requests sent at once, request i holding the number i."""

    def one(number):
        try:
            return y_of(ask(channel, {"x": np.full((rows, 2), number, np.float32)}))
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(one, range(count)))


def test_requests_that_come_together_are_merged_and_each_gets_its_own_rows(scaler):
    what = models(Batching(max_batch_size=8, timeout_s=10.0, threads=1))  # nothing but a full batch is computed
    with served(what, scaler, threads=16) as channel:
        answers = ask_together(channel, 16)

    assert [answer.tolist() for answer in answers] == [[[3.0 * number] * 2] for number in range(16)]


def test_a_batch_that_is_not_full_is_computed_after_the_timeout(scaler):
    with served(models(Batching(max_batch_size=100, timeout_s=0.05)), scaler) as channel:
        answers = ask_together(channel, 3)

    assert [answer[0, 0] for answer in answers] == [0.0, 3.0, 6.0]


def test_a_batch_is_filled_up_to_an_allowed_size(tmp_path, scaler):
    from serving.server.servable import Servable

    sizes = []

    class Watched(Servable):
        def _run(self, key, inputs):
            sizes.append(len(inputs["x"]))
            return super()._run(key, inputs)

    batching = Batching(max_batch_size=8, timeout_s=0.0, allowed_sizes=(4, 8))
    servable = Watched("scaler", scaler / "2", batching)
    message = PredictRequest()
    message.inputs["x"].CopyFrom(to_tensor(np.ones((3, 2), np.float32)))

    answer = from_tensor(servable.predict(message).outputs["y"])
    servable.close()

    assert sizes == [4]
    assert answer.shape == (3, 2)


def test_more_rows_than_a_batch_holds_are_refused(scaler):
    with (
        served(models(Batching(max_batch_size=4)), scaler) as channel,
        pytest.raises(grpc.RpcError, match="Task size 5 is larger than maximum input batch size 4") as refused,
    ):
        ask(channel, {"x": np.ones((5, 2), np.float32)})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_full_queue_is_unavailable_and_what_was_taken_is_answered(scaler):
    batching = Batching(max_batch_size=1, timeout_s=0.0, max_enqueued_batches=2, threads=1)
    with served(models(batching), scaler, threads=64) as channel:
        answers = ask_together(channel, 64)

    refused = [answer for answer in answers if isinstance(answer, grpc.RpcError)]
    assert {(error.code().name, error.details()) for error in refused} <= {
        ("UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full")
    }
    assert all(answer[0, 0] == 3.0 * n for n, answer in enumerate(answers) if not isinstance(answer, grpc.RpcError))
    assert len(refused) < 64


def test_a_request_that_found_a_version_just_before_it_went_is_answered(scaler):
    from serving.server.servable import Servable

    servable = Servable("scaler", scaler / "2", Batching(max_batch_size=8, timeout_s=0.0))
    servable.close()
    message = PredictRequest()
    message.inputs["x"].CopyFrom(to_tensor(ONES))

    assert from_tensor(servable.predict(message).outputs["y"]).tolist() == [[3.0] * 3] * 2


def test_a_request_without_rows_is_answered_without_any_and_spoils_no_batch(scaler):
    batching = Batching(max_batch_size=8, timeout_s=0.0, allowed_sizes=(4, 8))

    with served(models(batching), scaler) as channel:
        answer = y_of(ask(channel, {"x": np.ones((0, 3), np.float32)}))

    assert answer.shape == (0, 3)


def test_rows_of_different_shapes_are_not_merged(scaler):
    with served(models(Batching(max_batch_size=4, timeout_s=0.05)), scaler) as channel, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda width: y_of(ask(channel, {"x": np.ones((1, width), "f")})), (2, 5)))

    assert [answer.shape for answer in answers] == [(1, 2), (1, 5)]


# --- the command


def test_a_folder_without_a_model_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(ContractBroken, match="holds no model"), bundled_server(tmp_path):
        pass


def test_a_model_that_cannot_be_loaded_ends_in_a_sentence(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"nonsense")

    with pytest.raises(ContractBroken, match="cannot serve"), bundled_server(tmp_path):
        pass


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "nothing to serve: give --model_base_path or --model_config_file"),
        (["--model_base_path=m", "--port=0"], "nowhere to listen: give --port or --grpc_socket_path"),
        (["--model_config_file=none.config"], "none.config cannot be read: No such file"),
        (
            ["--model_config_file=bad.config"],
            "Error parsing text-format tensorflow.serving.ModelServerConfig: bad.config",
        ),
        (
            ["--model_base_path=m", "--enable_batching", "--batching_parameters_file=bad.config"],
            "Error parsing text-format tensorflow.serving.BatchingParameters",
        ),
        (["--model_base_path=m", "--enable_batching", "--batching_parameters_file=odd.config"], "must ascend"),
        (["--model_base_path=m", "--ssl_config_file=bad.config"], "tensorflow.serving.SSLConfig: bad.config"),
        (["--model_base_path=m", "--grpc_channel_arguments=x"], "expected key=value, got 'x'"),
        (["--model_base_path=m"], "Could not find base path m for servable default"),
    ],
)
def test_a_wrong_start_is_one_sentence(tmp_path, monkeypatch, capsys, flags, sentence):
    from hs_audit.cli import main

    monkeypatch.chdir(tmp_path)
    Path("bad.config").write_text("max_batch { 3 }")
    Path("odd.config").write_text("max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 4")

    code = main(["serve", *flags])

    said = capsys.readouterr().err
    assert code in (2, 6)
    assert sentence in said
    assert "Traceback" not in said


def test_flags_of_tf_serving_are_known_and_others_are_errors(tmp_path, capsys):
    from hs_audit.cli import main

    known = main(["serve", "--rest_api_port=8501", "--model_config_file=none"])
    with pytest.raises(SystemExit) as unknown:
        main(["serve", "--rest_port=8501"])

    assert (known, unknown.value.code) == (2, 2)
    assert "there is no argument --rest_port=8501" in capsys.readouterr().err


def test_the_command_serves_polls_and_stops(tmp_path):
    """`hs-audit serve` in a process of its own: a socket, a config file that changes, a Ctrl-C."""
    import signal
    import subprocess
    import sys
    import time

    write_scaler(tmp_path / "model", 1, 2.0)
    write_scaler(tmp_path / "model", 2, 3.0)
    file, socket = tmp_path / "models.config", tmp_path / "grpc.sock"

    def write(policy: str) -> None:
        unfinished = tmp_path / "unfinished"
        unfinished.write_text(text_format.MessageToString(config(entry(tmp_path / "model", policy))))
        os.replace(unfinished, file)

    write("model_version_policy { specific { versions: 1 } }")
    flags = [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=0.1", "--enable_batching=true"]
    command = [sys.executable, "-m", "hs_audit.cli", "serve", *flags, "--port=0", f"--grpc_socket_path={socket}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            grpc.channel_ready_future(channel).result(timeout=120)
            first = ask(channel)[1]
            write("")
            deadline = time.monotonic() + 60
            while (second := ask(channel)[1]) == first and time.monotonic() < deadline:
                time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]

    assert (first, second, process.returncode) == (1, 2, 0)
    assert "Traceback" not in said
