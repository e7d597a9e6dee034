"""A version with another card: the same network, byte by byte, under the next number."""

import dataclasses
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hs.card import Card
from hs.errors import ContractBroken, UsageError
from model.exported.export import digests
from model.exported.versions import ABOUT, Exported, add_version

_OF_ITS_THRESHOLDS = ("training", "validation")  # what a version says of itself that another card does not keep
_FINGERPRINT = "fingerprint.pb"  # of the graph, which is another one now


def with_card(version: Exported, earlier: Card, card: Card, about: dict[str, Any]) -> Exported:
    """Exports a version anew with another card.

    Args:
        version: what is copied.
        earlier: its card.
        card: the new one.
        about: further facts for `assets.extra/hs_audit.json`.

    Raises:
        ContractBroken: if its graph does not have its card.
        UsageError: if the new version cannot be written; nothing is left behind then.
    """
    unfinished = version.model / f".unfinished-{uuid.uuid4().hex}"  # no number, so no server takes it for a version
    try:
        shutil.copytree(version.path, unfinished)
        graph = unfinished / "saved_model.pb"
        graph.write_bytes(_exchanged(graph, earlier, card))
        (unfinished / _FINGERPRINT).unlink(missing_ok=True)
        facts = {name: fact for name, fact in version.facts().items() if name not in _OF_ITS_THRESHOLDS}
        facts |= dataclasses.asdict(card) | about | {"files": digests(unfinished)}
        (unfinished / "assets.extra" / ABOUT).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        return add_version(unfinished, version.model)
    except OSError as error:
        raise UsageError(f"the model cannot be written to {version.model}: {_why(error)}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _why(error: OSError) -> str:
    """Of a folder that could not be copied, what was said of the first file."""
    return str(error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or error)


def _exchanged(graph: Path, earlier: Card, card: Card) -> bytes:
    """The graph with another card in the constant that the signature `classes` tells."""
    try:
        saved = SavedModel.FromString(graph.read_bytes())
    except DecodeError as error:
        raise ContractBroken(f"{graph} is no SavedModel: it is damaged or cut short") from error
    exchanged = 0
    for meta in saved.meta_graphs:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                values = node.attr["value"].tensor.string_val if node.op == "Const" else ()
                for place, value in enumerate(values):
                    if _is(value, earlier):
                        values[place] = card.to_json().encode()  # type: ignore[index]
                        exchanged += 1
    if not exchanged:
        raise ContractBroken(f"{graph} does not have the card of assets.extra")
    return saved.SerializeToString()


def _is(value: bytes, card: Card) -> bool:
    """Whether a constant is a card; an older version may have written it with other words."""
    try:
        return Card.from_json(value.decode()) == card
    except ValueError:
        return False
