"""Whether an exported version keeps the contract and holds nothing but arithmetic."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.apart import run_apart
from hs.graph_safety import beyond_arithmetic, read_graph, stray_files
from model.exported.export import digests
from model.exported.versions import ABOUT

Tell = Callable[[tuple[str, ...]], None]
Complain = Callable[[str], None]

_MOST_BYTES = 8_000_000_000  # TensorFlow takes 1, VGG19 with its golden pictures 2
_MOST_SECONDS = 300.0


def inspect_version(version: Path) -> tuple[list[tuple[str, ...]], list[str]]:
    """What a version is, and what is wrong with it.

    Args:
        version: its folder.
    """
    lines: list[tuple[str, ...]] = []
    problems: list[str] = []
    # Each step trusts the ones before: a graph that could do harm is never loaded.
    for step in (_check_graph, _check_files, _check_loaded):
        step(version, lines.append, problems.append)
        if problems:
            break
    return lines, problems


def _check_graph(version: Path, tell: Tell, complain: Complain) -> None:
    try:
        saved = SavedModel.FromString(read_graph(version))
    except OSError as error:
        return complain(f"saved_model.pb cannot be read: {error.strerror}")
    except ValueError as error:
        return complain(str(error))
    except DecodeError:
        return complain("saved_model.pb is no SavedModel: it is damaged or cut short")
    graphs = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        return complain("saved_model.pb has no graph for serving")
    for sentence in (*beyond_arithmetic(saved), *stray_files(version)):
        complain(sentence)
    for sentence in _signature_problems(graphs[0]):
        complain(sentence)
    operations = sum(len(function.node_def) for function in graphs[0].graph_def.library.function)
    tell(("graph", f"{operations:,} operations, all of them known to be arithmetic"))
    return None


_INTERFACE = {
    "serving_default": ({"images": ("DT_UINT8", 4)}, {"probabilities": ("DT_FLOAT", 2)}),
    "classes": ({"ping": ("DT_INT32", 1)}, {"hs_codes": ("DT_STRING", 2), "card": ("DT_STRING", 1)}),
}
_LIKE = {"index": ("DT_INT32", 2), "similarity": ("DT_FLOAT", 2)}
_PRECEDENTS = {  # a model may have all of them, or none
    "nearest": ({"images": ("DT_UINT8", 4)}, _LIKE),
    "nearest_of": ({"images": ("DT_UINT8", 4), "hs_code": ("DT_STRING", 1)}, _LIKE),
    "precedents": ({"index": ("DT_INT32", 1)}, {"case_id": ("DT_STRING", 1), "hs_code": ("DT_STRING", 1)}),
}


def _signature_problems(graph: MetaGraphDef) -> list[str]:
    found = []
    optional = _PRECEDENTS if any(name in graph.signature_def for name in _PRECEDENTS) else {}
    for name, (inputs, outputs) in (_INTERFACE | optional).items():
        if name not in graph.signature_def:
            found.append(f"there is no signature {name}")
            continue
        signature = graph.signature_def[name]
        for wanted, there in ((inputs, signature.inputs), (outputs, signature.outputs)):
            shapes = {key: (DataType.Name(tensor.dtype), len(tensor.tensor_shape.dim)) for key, tensor in there.items()}
            missing = {key: form for key, form in wanted.items() if shapes.get(key) != form}
            if missing:
                found.append(f"signature {name} has {shapes}, but needs {missing}")
    return found


def _check_files(version: Path, tell: Tell, complain: Complain) -> None:
    try:
        written = json.loads((version / "assets.extra" / ABOUT).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError) as error:
        return complain(f"assets.extra/{ABOUT} lists no files: {error}")
    found = digests(version)
    for name in sorted(written.keys() | found.keys()):
        if written.get(name) != found.get(name):
            what = "is missing" if name not in found else "was not there" if name not in written else "has changed"
            complain(f"{name} {what} since the export")
    tell(("files", f"{len(found)}, all with the digests of the export"))
    return None


def _check_loaded(version: Path, tell: Tell, complain: Complain) -> None:
    try:
        done = run_apart("model.exported.loaded", str(version), most_bytes=_MOST_BYTES, timeout_s=_MOST_SECONDS)
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return complain(f"loading it, and answering its golden pictures, takes more than {_MOST_SECONDS:.0f} s")
    except ValueError:  # it ended before it could say anything
        last = done.stderr.strip().splitlines()[-1:]
        return complain(f"TensorFlow cannot load it: it ended with {done.returncode} {' '.join(last)}".strip())
    for line in said["lines"]:
        tell(tuple(line))
    for sentence in said["problems"]:
        complain(sentence)
    return None
