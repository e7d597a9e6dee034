"""Whether an exported version keeps the contract, and can do no harm."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.card import Card
from model.exported.export import ABOUT, GOLDEN, digests, warm_up_requests
from model.exported.golden import TOLERANCE
from model.exported.graph_safety import unsafe_operations
from model.exported.predictions import read_card
from model.training.networks import digest_of_weights

Tell = Callable[[tuple[str, ...]], None]
Complain = Callable[[str], None]


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
        saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    except OSError as error:
        return complain(f"saved_model.pb cannot be read: {error.strerror}")
    except DecodeError:
        return complain("saved_model.pb is no SavedModel: it is damaged or cut short")
    graphs = [graph for graph in saved.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        return complain("saved_model.pb has no graph for serving")
    for sentence in unsafe_operations(graphs[0]):
        complain(sentence)
    for sentence in _signature_problems(graphs[0]):
        complain(sentence)
    operations = sum(len(function.node_def) for function in graphs[0].graph_def.library.function)
    tell(("graph", f"{operations:,} operations, none that touches files, calls Python or is not TensorFlow's"))
    return None


_INTERFACE = {
    "serving_default": ({"images": ("DT_UINT8", 4)}, {"probabilities": ("DT_FLOAT", 2)}),
    "classes": ({"ping": ("DT_INT32", 1)}, {"hs_codes": ("DT_STRING", 2), "card": ("DT_STRING", 1)}),
}


def _signature_problems(graph: MetaGraphDef) -> list[str]:

    found = []
    for name, (inputs, outputs) in _INTERFACE.items():
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

    card, table = read_card(version)
    loaded = tf.saved_model.load(str(version))
    classify, describe = loaded.signatures["serving_default"], loaded.signatures["classes"]
    said = describe(ping=tf.zeros([1], tf.int32))
    if card.thresholds.novel_above is not None and "novelty" not in classify.structured_outputs:
        complain("the card has a threshold for novelty, but the graph does not give it")
    if tuple(label.decode() for label in said["hs_codes"].numpy()[0]) != table.labels:
        complain("the classes in the graph are not those of assets.extra")
    if asdict(Card.from_json(said["card"].numpy()[0].decode())) != asdict(card):
        complain("the card in the graph is not that of assets.extra")
    tell(("classes", f"{len(table)}, {card.hs_edition}; input {card.height} x {card.width} pixels"))
    checkpoint = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = [name for name, dtype in checkpoint.get_variable_to_dtype_map().items() if dtype == tf.float32]
    if digest_of_weights(checkpoint.get_tensor(name) for name in names) != card.weights_digest:
        complain("the weights are not those of the card")
    tell(("weights", f"{len(names)} tensors, {card.weights_digest}"))
    with np.load(version / "assets.extra" / GOLDEN) as golden:
        probabilities = classify(images=tf.constant(golden["images"]))["probabilities"].numpy()
        apart = float(np.abs(probabilities - golden["probabilities"]).max())
    if apart > TOLERANCE or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-5):
        complain(f"golden pictures are classified differently: by up to {apart:.4f}")
    tell(("golden pictures", f"{len(probabilities)}, at most {apart:.1e} from the export"))
    requests = list(warm_up_requests(version))
    for images in requests:
        classify(images=tf.constant(images))
    tell(("warm-up", f"requests of {', '.join(str(len(images)) for images in requests)} pictures"))
