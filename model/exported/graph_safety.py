"""What a SavedModel could do beyond arithmetic, found in its graph without loading it."""

import re
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

_FILES = re.compile(
    r"(Read|Write|Matching)Files?|File(name|System)|FileReader|(TextLine|FixedLengthRecord|TFRecord|LMDB|Identity)Reader|"
    r"(TextLine|FixedLengthRecord|TFRecord|Sql|CSV|Cache|Load|Save|Snapshot|LMDB|BigQuery)\w*Dataset|^Save|^Restore|"
    r"MergeV2Checkpoints|TextFile|Summary(File|Db)Writer|WriteS?\w*Summary|ImportEvent|^Print|^Debug|GcsConfigure"
)
_PYTHON = frozenset({"PyFunc", "EagerPyFunc", "PyFuncStateless"})


def unsafe_operations(graph: MetaGraphDef) -> list[str]:
    """Sentences about operations that must not be there.

    Files may be read only to restore variables, which no signature reaches; Python may not be called at all.

    Args:
        graph: of a SavedModel.
    """
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    found = [
        f"operation {node.name} ({node.op}) calls Python"
        for nodes in (graph.graph_def.node, *(function.node_def for function in functions.values()))
        for node in nodes
        if node.op in _PYTHON
    ]
    for name, signature in sorted(graph.signature_def.items()):
        starts = [tensor.name.split(":")[0] for tensor in signature.outputs.values()]
        for node in _reachable(starts, graph, functions):
            if _FILES.search(node.op):
                found.append(f"signature {name} reaches operation {node.name} ({node.op}), which touches files")
            elif node.op not in functions and node.op not in _PYTHON and not hasattr(tf.raw_ops, node.op):
                found.append(f"signature {name} reaches operation {node.name} ({node.op}), which is not TensorFlow's")
    return list(dict.fromkeys(found))


def _reachable(starts: Iterable[str], graph: MetaGraphDef, functions: Mapping[str, FunctionDef]) -> Iterator[NodeDef]:
    """The nodes that an answer may depend on; of a function that is called, all."""
    nodes = {node.name: node for node in graph.graph_def.node}
    waiting, called, seen = list(starts), [], set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        yield nodes[name]
        waiting += [wire.lstrip("^").split(":")[0] for wire in nodes[name].input]
        called += _functions_of(nodes[name], functions)
    seen_functions: set[str] = set()
    while called:
        name = called.pop()
        if name in seen_functions:
            continue
        seen_functions.add(name)
        for node in functions[name].node_def:
            yield node
            called += _functions_of(node, functions)


def _functions_of(node: NodeDef, functions: Mapping[str, FunctionDef]) -> list[str]:
    named = [node.op]
    for value in node.attr.values():
        named += [value.func.name, *(function.name for function in value.list.func)]
    return [name for name in named if name in functions]
