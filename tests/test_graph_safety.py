"""What a SavedModel may hold: the exported one is spoiled in every way that TensorFlow would follow as it loads it."""

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.apart import run_apart
from hs.graph_safety import ALLOWED, beyond_arithmetic, read_graph, stray_files

HARMFUL = (
    "Abort", "DataServiceDatasetV4", "DatasetFromGraph", "DecodeImage", "DecodeProtoV2", "EagerPyFunc",
    "FixedUnigramCandidateSampler", "GenerateVocabRemapping", "HashTableV2", "ImmutableConst",
    "InitializeTableFromTextFileV2", "LoadAndRemapMatrix", "LookupTableImportV2", "MatchingFiles", "PrintV2",
    "PyFunc", "QueueEnqueueV2", "ReadFile", "RecordInput", "RegisterDataset", "SqlDataset", "TFRecordDataset",
    "TPUPartitionedCall", "WriteFile", "XlaLaunch", "ZeroOut", "RestoreV2", "SaveV2", "RestoreSlice",
)  # fmt: skip


@pytest.fixture
def saved(colour_model: Path) -> Any:
    return SavedModel.FromString(read_graph(colour_model / "1"))


def graph_of(saved: Any) -> Any:
    return saved.meta_graphs[0]


def an_answering_function(saved: Any) -> Any:
    functions = graph_of(saved).graph_def.library.function
    return next(function for function in functions if any(node.op == "Softmax" for node in function.node_def))


def in_the_graph(saved: Any, op: str) -> None:
    graph_of(saved).graph_def.node.add(name="added", op=op)


def in_a_function(saved: Any, op: str) -> None:
    an_answering_function(saved).node_def.add(name="added", op=op)


def in_another_graph(saved: Any, op: str) -> None:
    saved.meta_graphs.add().graph_def.node.add(name="added", op=op)


def in_a_function_that_nobody_calls(saved: Any, op: str) -> None:
    function = graph_of(saved).graph_def.library.function.add()
    function.signature.name = "__inference_unused_1"
    function.node_def.add(name="added", op=op)


def test_an_exported_model_is_arithmetic(saved, colour_model):
    assert beyond_arithmetic(saved) == []
    assert stray_files(colour_model / "1") == []


@pytest.mark.parametrize("op", HARMFUL)
@pytest.mark.parametrize("put", [in_the_graph, in_a_function, in_another_graph, in_a_function_that_nobody_calls])
def test_what_does_more_is_found_wherever_it_stands(saved, put, op):
    put(saved, op)

    assert beyond_arithmetic(saved)[0] == f"operation added ({op}) is not known to be arithmetic"
    assert op not in ALLOWED


def _asset(saved: Any) -> None:
    graph_of(saved).asset_file_def.add(filename="../../../secret")


def _table(saved: Any) -> None:
    graph_of(saved).object_graph_def.nodes.add().resource.device = "/cpu:0"


def _restored_by_a_function(saved: Any) -> None:
    graph_of(saved).object_graph_def.nodes[1].saveable_objects["x"].restore_function = 1


def _registered_saver(saved: Any) -> None:
    graph_of(saved).object_graph_def.nodes[1].registered_saver = "somebody's"


def _queue_runner(saved: Any) -> None:
    graph_of(saved).collection_def["queue_runners"].bytes_list.value.append(b"x")


def _shadowing_function(saved: Any) -> None:
    an_answering_function(saved).signature.name = "Softmax"


def _missing_function(saved: Any) -> None:
    an_answering_function(saved).node_def[0].attr["f"].func.name = "elsewhere"


def _restores_another_file(saved: Any) -> None:
    functions = graph_of(saved).graph_def.library.function
    restore = next(node for function in functions for node in function.node_def if node.op == "RestoreV2")
    restore.input[0] = "RestoreV2/elsewhere:output:0"


def _answer_that_saves(saved: Any) -> None:
    functions = graph_of(saved).graph_def.library.function
    save = next(function for function in functions if any(node.op == "SaveV2" for node in function.node_def))
    an_answering_function(saved).node_def.add(name="added", op="StatefulPartitionedCall").attr[
        "f"
    ].func.name = save.signature.name


def _main_operation_that_saves(saved: Any) -> None:
    graph = graph_of(saved)
    node = graph.saver_def.save_tensor_name.split(":")[0]
    graph.collection_def["saved_model_main_op"].node_list.value.append(node)


def _hides_the_function_that_saves(saved: Any) -> None:
    functions = graph_of(saved).graph_def.library.function
    save = next(function for function in functions if any(node.op == "SaveV2" for node in function.node_def))
    harmless = functions[0].signature.name
    called = an_answering_function(saved).node_def.add(name="added", op="StatefulPartitionedCall").attr["f"].func
    called.name = harmless if harmless != save.signature.name else functions[1].signature.name
    called.attr["body"].func.name = save.signature.name


def _twin_function(saved: Any) -> None:
    graph_of(saved).graph_def.library.function.add().CopyFrom(an_answering_function(saved))


def _twin_operation(saved: Any) -> None:
    graph = graph_of(saved).graph_def
    graph.node.add().CopyFrom(graph.node[0])


def _calls_itself(saved: Any) -> None:
    function = an_answering_function(saved)
    function.node_def.add(name="added", op=function.signature.name)


def _call_each_other(saved: Any) -> None:
    library = graph_of(saved).graph_def.library
    for mine, other in (("a", "b"), ("b", "a")):
        function = library.function.add()
        function.signature.name = f"__inference_{mine}_1"
        call = function.node_def.add(name="call", op="PartitionedCall")
        call.attr["f"].func.name = f"__inference_{other}_1"


def _session_restores_another_file(saved: Any) -> None:
    graph = graph_of(saved)
    graph.graph_def.node.add(name="elsewhere", op="Const").attr["dtype"].type = 7
    graph.graph_def.node.add(name="save/RestoreV2_9", op="RestoreV2").input.append("elsewhere")


def _opaque_constant(saved: Any) -> None:
    graph_of(saved).graph_def.node.add(name="added", op="Const").attr["dtype"].type = 21


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_asset, "asset '../../../secret' would be read"),
        (_table, "is a resource, which would be set up"),
        (_restored_by_a_function, "object 1 has functions of its own to be restored by"),
        (_registered_saver, "object 1 has functions of its own to be restored by"),
        (_queue_runner, "collection 'queue_runners' is none that a classifier needs"),
        (_shadowing_function, "function Softmax is called like an operation"),
        (_missing_function, "calls function elsewhere, which is not there"),
        (_restores_another_file, "(RestoreV2) reads another file than the checkpoint"),
        (_answer_that_saves, "signature serving_default reaches operation SaveV2 (SaveV2), which touches files"),
        (_main_operation_that_saves, "saved_model_main_op reaches operation SaveV2 (SaveV2), which touches files"),
        (_hides_the_function_that_saves, "signature serving_default reaches operation SaveV2 (SaveV2)"),
        (_twin_function, "stands there 2 times"),
        (_twin_operation, "stands there 2 times"),
        (_calls_itself, "calls itself"),
        (_call_each_other, "calls itself"),
        (_session_restores_another_file, "(RestoreV2) reads another file than the checkpoint"),
        (_opaque_constant, "operation added (Const) holds what is no number and no text"),
    ],
)
def test_what_runs_or_is_read_as_a_model_loads_is_found(saved, spoil: Callable[[Any], None], sentence):
    spoil(saved)

    assert any(sentence in found for found in beyond_arithmetic(saved)), beyond_arithmetic(saved)


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt", "assets/vocabulary.txt", "run.py"])
def test_files_that_a_classifier_does_not_need_are_found(colour_model, tmp_path, name):
    version = shutil.copytree(colour_model / "1", tmp_path / "1")
    (version / name).parent.mkdir(exist_ok=True)
    (version / name).write_bytes(b"")

    assert stray_files(version) == [f"{name} is no file of a classifier"]


def test_a_graph_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "saved_model.pb", "wb") as sparse:
        sparse.truncate(2_000_000_000)

    with pytest.raises(ValueError, match="2,000,000,000 bytes"):
        read_graph(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["VGG16", "VGG19", "ResNet50", "InceptionV3"])
def test_the_four_networks_of_the_paper_are_arithmetic(tmp_path, network):
    import keras

    # A network for small pictures has the operations of the large one.
    built = getattr(keras.applications, network)(weights=None, classes=2, input_shape=(75, 75, 3))
    built.export(tmp_path / "1", verbose=False)

    assert beyond_arithmetic(SavedModel.FromString(read_graph(tmp_path / "1"))) == []
    assert stray_files(tmp_path / "1") == []


PROGRAM = """
import socket, sys
if sys.argv[1] == "memory":
    print(len(bytearray(2_000_000_000)))
elif sys.argv[1] == "time":
    while True: pass
else:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
    print("connected")
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "led_astray.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    return "led_astray"


def test_a_process_apart_has_bounded_memory(program):
    done = run_apart(program, "memory", most_bytes=1_000_000_000, timeout_s=60)

    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_a_process_apart_has_bounded_time(program):
    with pytest.raises(subprocess.TimeoutExpired):
        run_apart(program, "time", most_bytes=1_000_000_000, timeout_s=0.5)


def test_a_process_apart_reaches_nobody(program):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])

        done = run_apart(program, port, most_bytes=1_000_000_000, timeout_s=60)

    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode:
        pytest.skip("this system lets no process leave the network")
    assert "connected" not in done.stdout
