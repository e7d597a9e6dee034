"""Whether a SavedModel holds arithmetic and nothing else, told from its graph before anything loads it.

A list of what is allowed, over the whole graph and every function of every meta graph, whether an answer reaches it or
not: TensorFlow runs more than signatures as it loads (initialisers, restore functions, a main operation), and what it
runs may read and write files, call out, or end the process. Only the operations of saving and restoring, which a
checkpoint needs, may touch files, and only where TensorFlow itself puts them.

The messages come parsed, so that both the model floor and the bundled server can ask.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path
from typing import Any

_LINES = (files("hs") / "catalogues" / "operations.txt").read_text(encoding="utf-8").splitlines()
ALLOWED = frozenset(name for line in _LINES if not line.startswith("#") for name in line.split())
_SAVING = frozenset({"SaveV2", "MergeV2Checkpoints", "ShardedFilename", "RestoreV2"})
_WRITING = frozenset({"SaveV2", "MergeV2Checkpoints"})
_OPAQUE = (20, 21)  # DT_RESOURCE, DT_VARIANT
_SAVING_FUNCTION = re.compile(r"__inference__traced_(?:save|restore)_[0-9]+")  # as TensorFlow 2 names them
_SAVING_NODE = re.compile(r"save(?:_[0-9]+)?/.+")  # as a Saver of TensorFlow 1 does
_OBJECTS = frozenset({"user_object", "function", "bare_concrete_function", "variable", "constant", "captured_tensor"})
_MAIN_OPERATIONS = ("saved_model_main_op", "legacy_init_op")
_VARIABLES = frozenset({"variables", "trainable_variables", "model_variables", "moving_average_variables"})
_FILES = re.compile(
    r"saved_model\.pb|fingerprint\.pb|keras_metadata\.pb|variables/variables\.(?:index|data-[0-9]{5}-of-[0-9]{5})|"
    r"assets\.extra/[^/]+"
)
_MOST_GRAPH_BYTES = 512_000_000  # weights lie beside it; one that holds them as constants may be that large


def stray_files(version: Path) -> list[str]:
    """Sentences about files of a version that a classifier does not need.

    TensorFlow takes `saved_model.cpb` or `.pbtxt` for the graph where it finds one, and hands files of `assets` to
    operations that read them.
    """
    names = sorted(str(path.relative_to(version)) for path in version.rglob("*") if not path.is_dir())
    return [f"{name} is no file of a classifier" for name in names if not _FILES.fullmatch(name)]


def read_graph(version: Path) -> bytes:
    """The bytes of a version's graph.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is larger than a graph can be.
    """
    path = version / "saved_model.pb"
    if (size := path.stat().st_size) > _MOST_GRAPH_BYTES:
        raise ValueError(f"{path} has {size:,} bytes, more than a graph may have")
    return path.read_bytes()


def beyond_arithmetic(saved_model: Any) -> list[str]:
    """Sentences about all that is in a SavedModel and not known to be arithmetic; none if it is harmless.

    Args:
        saved_model: a parsed `tensorflow.SavedModel` message.
    """
    found = [sentence for graph in saved_model.meta_graphs for sentence in _of_graph(graph)]
    return list(dict.fromkeys(found))


def _of_graph(graph: Any) -> Iterator[str]:
    library = graph.graph_def.library.function
    functions = {function.signature.name: function for function in library}
    # Which of two is taken is TensorFlow's affair, and looked at would be one.
    for name, times in Counter(function.signature.name for function in library).items():
        if times > 1:
            yield f"function {name} stands there {times} times"
    yield from _of_twins(graph.graph_def.node)
    yield from _of_circles(functions)
    for name in functions:
        if name in ALLOWED or name in _SAVING:  # a node of that name could be either, and would pass as the operation
            yield f"function {name} is called like an operation"
    yield from _of_nodes(graph.graph_def.node, functions, _SAVING_NODE.fullmatch)
    for name, function in functions.items():
        may_save = bool(_SAVING_FUNCTION.fullmatch(name))
        yield from _of_nodes(function.node_def, functions, lambda _, may_save=may_save: may_save)
        if may_save:
            yield from _of_restoring(function)
    yield from _of_restoring_session(graph)
    yield from _of_reachable(graph, functions)
    yield from _of_what_loads(graph)


def _of_nodes(nodes: Iterable[Any], functions: Mapping[str, Any], may_save: Any) -> Iterator[str]:
    for node in nodes:
        allowed = node.op in ALLOWED or node.op in functions or (node.op in _SAVING and may_save(node.name))
        if not allowed:
            yield f"operation {node.name} ({node.op}) is not known to be arithmetic"
        if node.op == "Const" and node.attr["dtype"].type in _OPAQUE:
            yield f"operation {node.name} (Const) holds what is no number and no text"
        for called in _functions_named(node):
            if called not in functions:
                yield f"operation {node.name} calls function {called}, which is not there"


def _of_twins(nodes: Iterable[Any]) -> Iterator[str]:
    for name, times in Counter(node.name for node in nodes).items():
        if times > 1:
            yield f"operation {name} stands there {times} times"


def _of_circles(functions: Mapping[str, Any]) -> Iterator[str]:
    """A function that calls itself ends the process: TensorFlow has no end to its stack."""
    calls = {
        name: {
            called for node in function.node_def for called in (node.op, *_functions_named(node)) if called in functions
        }
        for name, function in functions.items()
    }
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        yield f"function {error.args[1][0]} calls itself"


def _of_restoring_session(graph: Any) -> Iterator[str]:
    """In a graph of TensorFlow 1, restoring reads what the session is given, which is the checkpoint."""
    given = _node_of(graph.saver_def.filename_tensor_name)
    for node in graph.graph_def.node:
        if node.op == "RestoreV2" and (not node.input or _node_of(node.input[0]) != given):
            yield f"operation {node.name} (RestoreV2) reads another file than the checkpoint"


def _of_restoring(function: Any) -> Iterator[str]:
    """A restore function takes the name of the checkpoint from whoever loads the model, and from nowhere else."""
    arguments = {argument.name for argument in function.signature.input_arg}
    for node in function.node_def:
        if node.op == "RestoreV2" and node.input[0].split(":")[0] not in arguments:
            yield f"operation {node.name} (RestoreV2) reads another file than the checkpoint"


def _of_reachable(graph: Any, functions: Mapping[str, Any]) -> Iterator[str]:
    starts = {
        f"signature {name}": [tensor.name for tensor in signature.outputs.values()]
        for name, signature in sorted(graph.signature_def.items())
    }
    for name in _MAIN_OPERATIONS:
        if name in graph.collection_def:
            starts[name] = list(graph.collection_def[name].node_list.value)
    for start, tensors in starts.items():
        for node in _reachable(tensors, graph, functions):
            if node.op in _SAVING:
                yield f"{start} reaches operation {node.name} ({node.op}), which touches files"
    for node in _reachable([graph.saver_def.restore_op_name], graph, functions):  # a session runs it to load the model
        if node.op in _WRITING:
            yield f"restoring reaches operation {node.name} ({node.op}), which writes files"


def _reachable(tensors: Iterable[str], graph: Any, functions: Mapping[str, Any]) -> Iterator[Any]:
    """The nodes that a tensor may depend on; of a function that is called, all."""
    nodes = {node.name: node for node in graph.graph_def.node}
    waiting, seen = [_node_of(tensor) for tensor in tensors], set()
    called: list[str] = []
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in seen:
            seen.add(name)
            yield nodes[name]
            waiting += map(_node_of, nodes[name].input)
            called += [nodes[name].op, *_functions_named(nodes[name])]
    entered: set[str] = set()
    while called:
        name = called.pop()
        if name in functions and name not in entered:
            entered.add(name)
            for node in functions[name].node_def:
                yield node
                called += [node.op, *_functions_named(node)]


def _node_of(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]  # ^ stands before what only has to run earlier, :0 behind a node's output


def _functions_named(node: Any) -> Iterator[str]:
    waiting = list(node.attr.values())
    while waiting:
        value = waiting.pop()
        for function in ([value.func] if value.HasField("func") else []) + list(value.list.func):
            yield function.name
            waiting += function.attr.values()  # a function may be given functions


def _of_what_loads(graph: Any) -> Iterator[str]:
    """What TensorFlow would run or open by itself as it loads the model."""
    for asset in graph.asset_file_def:
        yield f"asset {asset.filename!r} would be read"
    for name in graph.collection_def:
        if name not in _VARIABLES and name not in _MAIN_OPERATIONS:
            yield f"collection {name!r} is none that a classifier needs"
    for place, node in enumerate(graph.object_graph_def.nodes):
        if (kind := node.WhichOneof("kind")) not in _OBJECTS:
            yield f"object {place} is a {kind}, which would be set up"
        if node.saveable_objects or node.registered_saver:
            yield f"object {place} has functions of its own to be restored by"
