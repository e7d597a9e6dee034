"""A version of a SavedModel, judged, then loaded: its signatures as functions of arrays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from grpc import StatusCode
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.graph_safety import beyond_arithmetic, read_graph, stray_files
from serving.messages import SignatureDef, SignatureDefMap
from serving.server.refusal import Refusal, invalid, refusal_by_number

Arrays = dict[str, np.ndarray]
Compute = Callable[[Arrays], Arrays]

_NOBODY_CALLS = ("__saved_model_init_op", "__saved_model_train_op")  # written down as signatures, but none


@dataclass(frozen=True)
class LoadedVersion:
    """What can be asked.

    Attributes:
        signatures: as the file has them: what TensorFlow loads has lost the tensors' names.
        compute: a function of inputs for each signature that can be called; it raises Refusal.
        by_session: whether a session of TensorFlow 1 runs it.
    """

    signatures: SignatureDefMap
    compute: dict[str, Compute]
    by_session: bool


def load(path: Path, trusted: bool) -> LoadedVersion:
    """Loads the folder of a version.

    Args:
        path: of the folder.
        trusted: load it even if it holds more than arithmetic.

    Raises:
        Refusal: if it may not be loaded; anything if it cannot be.
    """
    graph = _judged(path, trusted)
    by_session = not graph.HasField("object_graph_def")  # only TensorFlow 2 writes one
    compute = (_by_session if by_session else _by_functions)(path, graph)
    return LoadedVersion(SignatureDefMap(signature_def=graph.signature_def), compute, by_session)


@contextmanager
def loading(path: Path) -> Iterator[None]:
    """Whatever is raised becomes a Refusal."""
    try:
        yield
    except tf.errors.OpError as error:
        raise refusal_by_number(error.error_code, error.message) from error
    except Refusal:  # it has its code already
        raise
    except Exception as error:  # a damaged file makes TensorFlow raise almost anything
        raise Refusal(StatusCode.UNKNOWN, f"{path} cannot be loaded as a SavedModel: {error}") from error


def _judged(path: Path, trusted: bool) -> Any:
    """The part of a version that is for serving."""
    if not (path / "saved_model.pb").exists():
        raise Refusal(StatusCode.NOT_FOUND, f"Could not find SavedModel .pb at supplied export directory path: {path}")
    saved = SavedModel.FromString(read_graph(path))
    if not trusted and (found := [*beyond_arithmetic(saved), *stray_files(path)]):
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise Refusal(
            StatusCode.PERMISSION_DENIED,
            f"{path} holds more than arithmetic, which would run with this server's rights: {found[0]}{more}. "
            "Who trusts it says so: --trust_models of hs-audit serve, --trust-model of hs-audit run, or "
            "HS_AUDIT_TRUST_MODELS=1",
        )
    for graph in saved.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return graph
    raise Refusal(StatusCode.NOT_FOUND, "Could not find meta graph def matching supplied tags: { serve }")


def _by_functions(path: Path, graph: Any) -> dict[str, Compute]:
    loaded = tf.saved_model.load(str(path), tags=list(graph.meta_info_def.tags))

    def compute(key: str) -> Compute:
        def run(inputs: Arrays) -> Arrays:
            with _refusals():
                tensors = {name: tf.constant(array) for name, array in inputs.items()}
                return {name: output.numpy() for name, output in loaded.signatures[key](**tensors).items()}

        return run

    return {key: compute(key) for key in graph.signature_def if key in loaded.signatures and key not in _NOBODY_CALLS}


def _by_session(path: Path, graph: Any) -> dict[str, Compute]:
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        tf.compat.v1.saved_model.load(session, list(graph.meta_info_def.tags), str(path))

    def compute(signature: SignatureDef) -> Compute:
        fetched = {name: tensor.name for name, tensor in signature.outputs.items()}

        def run(inputs: Arrays) -> Arrays:
            with _refusals():
                outputs = session.run(fetched, {signature.inputs[name].name: array for name, array in inputs.items()})
                return {name: _as_array(output) for name, output in outputs.items()}

        return run

    return {key: compute(signature) for key, signature in graph.signature_def.items() if key not in _NOBODY_CALLS}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:
        raise refusal_by_number(error.error_code, error.message) from error
    except (TypeError, ValueError) as error:
        raise invalid(str(error)) from error


def _as_array(output: Any) -> np.ndarray:
    """What a session answers; a single string is no array there, and NumPy's own bytes lose zeros at the end."""
    return output if isinstance(output, np.ndarray) else np.array(output, object if isinstance(output, bytes) else None)
