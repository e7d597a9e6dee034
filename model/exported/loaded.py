"""A version as it answers: loaded, asked its golden pictures and its warm-up requests.

Loading runs what others wrote, so this runs in a process of its own: `python -m model.exported.loaded VERSION`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hs.card import Card
from hs.class_table import ClassTable
from hs.words import promise_words
from model.exported.export import GOLDEN, warm_up_requests
from model.exported.golden import TOLERANCE
from model.exported.predictions import read_card
from model.training.networks import digest_of_weights

Tell = Callable[[tuple[str, str]], None]
Complain = Callable[[str], None]


def check_loaded(version: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """What a loaded version is, as lines of two cells, and what is wrong with it.

    Args:
        version: its folder; its graph must have been looked at.
    """
    lines: list[tuple[str, str]] = []
    problems: list[str] = []
    tell, complain = lines.append, problems.append
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
    for mistake, drawn in card.thresholds_for.items():
        if drawn.right_flagged is not None and drawn.right_flagged_at_most is not None:
            name = mistake.value.replace("_", " ")
            tell((f"mistakes {name}", promise_words(drawn.right_flagged, drawn.right_flagged_at_most)))
    checkpoint = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    # Weights alone: a checkpoint also holds the graph of its objects.
    names = [name for name, dtype in checkpoint.get_variable_to_dtype_map().items() if dtype == tf.float32]
    if digest_of_weights(checkpoint.get_tensor(name) for name in names) != card.weights_digest:
        complain("the weights are not those of the card")
    tell(("weights", f"{len(names)} tensors, {card.weights_digest}"))
    with np.load(version / "assets.extra" / GOLDEN) as golden:
        golden_images = golden["images"]
        probabilities = classify(images=tf.constant(golden_images))["probabilities"].numpy()
        apart = float(np.abs(probabilities - golden["probabilities"]).max())
    if apart > TOLERANCE or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-5):
        complain(f"golden pictures are classified differently: by up to {apart:.4f}")
    tell(("golden pictures", f"{len(probabilities)}, at most {apart:.1e} from the export"))
    _check_precedents(loaded.signatures, card, table, golden_images, tell, complain)
    requests = list(warm_up_requests(version))
    for images in requests:
        classify(images=tf.constant(images))
    tell(("warm-up", f"requests of {', '.join(str(len(images)) for images in requests)} pictures"))
    return lines, problems


def _check_precedents(
    signatures: Mapping[str, Any], card: Card, table: ClassTable, images: np.ndarray, tell: Tell, complain: Complain
) -> None:
    """Holds what the card says of precedents against what the signatures for them answer."""
    if bool(card.precedents) != ("precedents" in signatures):
        return complain(f"the card has {card.precedents} precedents, but the signatures for them are another matter")
    if not card.precedents:
        return None
    for said in (
        signatures["nearest"](images=tf.constant(images)),
        signatures["nearest_of"](images=tf.constant(images), hs_code=tf.constant([table.labels[0]] * len(images))),
    ):
        index = said["index"].numpy()
        if index.shape != said["similarity"].shape or len(index) != len(images):
            return complain("the nearest cases of a picture are not as many as their similarities")
        if index.min() < -1 or index.max() >= card.precedents:
            return complain("a nearest case is none of those that the card counts")
    described = signatures["precedents"](index=tf.constant([0, card.precedents - 1]))
    if unknown := {code.decode() for code in described["hs_code"].numpy().tolist()} - set(table.labels):
        return complain(f"a precedent has a code that is no class: {', '.join(sorted(unknown))}")
    return tell(("precedents", f"{card.precedents:,} pictures of cases, {index.shape[1]} are shown at once"))


def main() -> None:
    """Prints both as JSON; TensorFlow's own words go to stderr."""
    lines, problems = check_loaded(Path(sys.argv[1]))
    print(json.dumps({"lines": lines, "problems": problems}))


if __name__ == "__main__":
    main()
