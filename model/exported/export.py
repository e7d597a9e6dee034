"""A trained classifier → a new version in TF Serving's layout that keeps the contract."""

import csv
import dataclasses
import io
import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from platform import python_version
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

from hs.card import Card, Mistake
from hs.errors import UsageError
from hs.files import sha256_of
from hs.libraries import installed
from hs.nomenclature import HS_EDITION
from hs.pictures.decoding import PictureSize
from model.cases.reading import Cases
from model.exported.golden import golden_pictures
from model.exported.versions import ABOUT, add_candidate, add_version
from model.training.backbones import Backbone
from model.training.curves import LEARNING_CURVES, curves_as_json
from model.training.networks import weights_digest
from model.training.novelty import Seen
from model.training.precedents import NEAREST, Precedents
from model.training.recipes import Recipe
from model.training.trained import Trained

GOLDEN = "golden.npz"
_LIBRARIES = ("hs-audit", "tensorflow", "keras", "numpy", "scipy", "pillow", "pyarrow")
_WARM_UP_BATCHES = (1, 8)
_OF_ANOTHER = -2.0  # less than any likeness


class _Classifier(tf.Module):
    def __init__(
        self,
        network: keras.Model,
        classes: tuple[str, ...],
        card: Card,
        power: float,
        confusion: np.ndarray | None,
        seen: Seen | None,
        precedents: Precedents | None,
    ) -> None:
        super().__init__()
        self.network = network
        self.precedents = precedents and _Precedents(network, classes, card, precedents)
        images = tf.TensorSpec([None, card.height, card.width, 3], tf.uint8, name="images")
        ping = tf.TensorSpec([None], tf.int32, name="ping")

        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            said = network(tf.cast(images, tf.float32), training=False)
            logits, features = said if isinstance(said, list | tuple) else (said, None)
            logits = tf.cast(logits, tf.float32)
            behind = tf.reduce_max(logits, axis=1, keepdims=True) - logits
            probabilities = tf.nn.softmax(-(behind**power) / card.temperature)
            if confusion is not None:
                probabilities = probabilities @ tf.constant(confusion)
            return {"probabilities": probabilities} | ({"novelty": _novelty(features, seen)} if seen else {})

        def describe(ping: tf.Tensor) -> dict[str, tf.Tensor]:
            # Each output has a row for each of the input: a server that merges requests cuts answers apart by them.
            rows = tf.shape(ping)[0]
            return {
                "hs_codes": tf.tile(tf.constant([classes]), [rows, 1]),
                "card": tf.fill([rows], tf.constant(card.to_json())),
            }

        self.classify = tf.function(classify, input_signature=[images], autograph=False)
        self.describe = tf.function(describe, input_signature=[ping], autograph=False)

    @property
    def signatures(self) -> dict[str, Any]:
        """By their names in the contract."""
        given = {"serving_default": self.classify, "classes": self.describe}
        return given | (self.precedents.signatures if self.precedents else {})


class _Precedents(tf.Module):
    """Which pictures of cases others are most like; of the network only what leads to the features is computed.

    Rows are variables, as a graph with constants of their size could not be loaded, and float16: half the bytes, and no
    part of the weights that the card has a digest of.
    """

    def __init__(self, network: keras.Model, classes: tuple[str, ...], card: Card, precedents: Precedents) -> None:
        super().__init__()
        self.rows = tf.Variable(precedents.rows, trainable=False)
        # int64, as GPUs compare: int32 lies in the memory of the processor there.
        self.classes = tf.Variable(precedents.classes.astype(np.int64), trainable=False)
        self.case_ids = tf.Variable(np.array([one.encode() for one in precedents.case_ids], object), trainable=False)
        count, at_once = len(precedents.rows), min(NEAREST, len(precedents.rows))
        images = tf.TensorSpec([None, card.height, card.width, 3], tf.uint8, name="images")
        hs_code = tf.TensorSpec([None], tf.string, name="hs_code")
        index = tf.TensorSpec([None], tf.int32, name="index")

        front = keras.Model(network.inputs, network.outputs[1])

        def unit(images: tf.Tensor) -> tf.Tensor:
            return _unit(front(tf.cast(images, tf.float32), training=False), precedents.directions)

        def similarities(unit: tf.Tensor) -> tf.Tensor:
            return tf.matmul(unit, tf.cast(self.rows, tf.float32), transpose_b=True)

        def nearest(images: tf.Tensor) -> dict[str, tf.Tensor]:
            similarity, place = tf.math.top_k(similarities(unit(images)), at_once)
            return {"index": place, "similarity": similarity}

        def nearest_of(images: tf.Tensor, hs_code: tf.Tensor) -> dict[str, tf.Tensor]:
            named = tf.equal(hs_code[:, None], tf.constant([classes]))
            wanted = tf.where(tf.reduce_any(named, axis=1), tf.argmax(tf.cast(named, tf.int32), axis=1), -1)
            new = _unlike_the_one_before(images)  # a picture asked about for several codes in a row is computed once
            of_each = tf.gather(unit(tf.boolean_mask(images, new)), tf.cumsum(tf.cast(new, tf.int32)) - 1)
            among = tf.where(tf.equal(self.classes[None], wanted[:, None]), similarities(of_each), _OF_ANOTHER)
            similarity, place = tf.math.top_k(among, at_once)
            there = similarity > _OF_ANOTHER
            return {"index": tf.where(there, place, -1), "similarity": tf.where(there, similarity, 0.0)}

        def describe(index: tf.Tensor) -> dict[str, tf.Tensor]:
            # What no row has is answered by nothing: an error would fail all requests that it is merged with.
            there, place = (index >= 0) & (index < count), tf.clip_by_value(index, 0, count - 1)
            codes = tf.gather(tf.constant(classes), tf.gather(self.classes, place))
            return {
                "case_id": tf.where(there, tf.gather(self.case_ids, place), ""),
                "hs_code": tf.where(there, codes, ""),
            }

        self.nearest = tf.function(nearest, input_signature=[images], autograph=False)
        self.nearest_of = tf.function(nearest_of, input_signature=[images, hs_code], autograph=False)
        self.describe = tf.function(describe, input_signature=[index], autograph=False)

    @property
    def signatures(self) -> dict[str, Any]:
        """By their names in the contract."""
        return {"nearest": self.nearest, "nearest_of": self.nearest_of, "precedents": self.describe}


def _unlike_the_one_before(images: tf.Tensor) -> tf.Tensor:
    """Which pictures, uint8 [N, H, W, 3], are others than the one before them, bool [N]; the first always is."""
    differing = tf.reduce_any(tf.not_equal(images[1:], images[:-1]), axis=[1, 2, 3])
    return tf.concat([tf.ones_like(images[:1, 0, 0, 0], tf.bool), differing], axis=0)


def _unit(features: tf.Tensor, directions: np.ndarray) -> tf.Tensor:
    """Features within some directions, float32 [N, D] of length 1."""
    return tf.math.l2_normalize(_marks(tf.cast(features, tf.float32)) @ tf.constant(directions), axis=1)


def _novelty(features: tf.Tensor, seen: Seen) -> tf.Tensor:
    """`Seen.novelty` in the graph."""
    unit = _unit(features, seen.directions)
    likeness = tf.reduce_max(tf.matmul(unit, tf.constant(seen.examples), transpose_b=True), axis=1)
    return tf.clip_by_value(1 - likeness, 0.0, 1.0)


def _marks(maps: tf.Tensor) -> tf.Tensor:
    """`marks` in the graph."""
    places = list(range(1, len(maps.shape) - 1))
    return tf.concat([tf.reduce_mean(maps, places), tf.math.reduce_std(maps, places)], axis=1) if places else maps


def export(
    network: keras.Model,
    classes: tuple[str, ...],
    card: Card,
    about: dict[str, Any],
    folder: Path,
    *,
    power: float = 1.0,
    confusion: np.ndarray | None = None,
    seen: Seen | None = None,
    precedents: Precedents | None = None,
    attachments: dict[str, str] | None = None,
    candidate: bool = False,
) -> tuple[int, Path]:
    """Writes the next version of a model; it appears under its number only when it is whole.

    Args:
        network: float32 [N, H, W, 3] 0..255 → logits [N, C]; with `seen` also → features [N, F], or maps
            [N, h, w, F / 2].
        classes: HS codes in the order of the outputs.
        card: what the model says of itself.
        about: further facts for `assets.extra/hs_audit.json`: data digest, backbone, metrics.
        folder: of the numbered versions; made if missing.
        power: what the logits' distances from the highest are raised to before the card's temperature divides them.
        confusion: float32 [C, C], what the probabilities are multiplied with at the end; None leaves them.
        seen: what the network learned from; None leaves out how unlike to that a picture is.
        precedents: pictures of cases that others can be held beside, by the same features as `seen`; the card says
            how many. None leaves out the signatures for that.
        attachments: further text files for `assets.extra`, by name.
        candidate: whether it becomes a candidate instead, which no server takes for the newest version.

    Returns:
        The number, and the folder of that name.

    Raises:
        UsageError: if it cannot be written, for example because the disk is full; nothing is left behind then.
    """
    attachments = attachments or {}
    # No number, so no server takes it for a version; what the same training left when it was killed goes.
    unfinished = folder / f".unfinished-{about.get('training') or uuid.uuid4().hex}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        card = dataclasses.replace(card, precedents=len(precedents.rows) if precedents else 0)
        module = _Classifier(network, classes, card, power, confusion, seen, precedents)
        tf.saved_model.save(module, str(unfinished), signatures=module.signatures)
        extra = unfinished / "assets.extra"
        extra.mkdir()
        _write_warm_up(extra / "tf_serving_warmup_requests", card)
        pictures = golden_pictures(card.height, card.width)
        said = module.classify(tf.constant(pictures))["probabilities"].numpy()
        np.savez_compressed(extra / GOLDEN, images=pictures, probabilities=said)
        for name, text in attachments.items():
            (extra / name).write_text(text, encoding="utf-8")
        facts = dataclasses.asdict(card) | {"classes": classes} | about | {"files": digests(unfinished)}
        (extra / ABOUT).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        added = add_candidate(unfinished, folder) if candidate else add_version(unfinished, folder)
    except (OSError, tf.errors.OpError) as error:
        raise UsageError(f"the model cannot be written to {folder}: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return added.number, added.path


def export_trained(
    trained: Trained,
    backbone: Backbone,
    recipe: Recipe,
    cases: Cases,
    output: Path,
    *,
    about: dict[str, Any] | None = None,
    attachments: dict[str, str] | None = None,
    candidate: bool = False,
    edition: str = HS_EDITION,
) -> tuple[int, Path]:
    """Writes what was trained as the next version of `output`, or as a candidate: its number, and its folder.

    Args:
        trained: the classifier.
        backbone: what it was made of.
        recipe: how.
        cases: what it learned from.
        output: folder of the numbered versions.
        about: further facts for `assets.extra/hs_audit.json`.
        attachments: further text files for `assets.extra`, by name.
        candidate: whether it becomes a candidate.
        edition: of the HS that the codes of the cases are of.
    """
    size = PictureSize(*backbone.height_width)
    card = Card(
        size.height,
        size.width,
        size.resize_filter,
        size.draft_multiple,
        edition,
        trained.calibration.temperature,
        trained.thresholds[Mistake.AT_RANDOM],
        weights_digest(trained.network),
        thresholds_for=trained.thresholds,
    )
    facts = {
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": {"python": python_version()} | installed(*_LIBRARIES),
        "backbone": backbone.name,
        "cases_digest": cases.digest(),
        "metrics": trained.metrics,
        "power": trained.calibration.power,
        "recipe": dataclasses.asdict(recipe) | {"epochs": trained.epochs},
        "unreadable": dict(Counter(left_out.reason for left_out in trained.unreadable)),
    }
    left_out = io.StringIO()
    rows = [dataclasses.astuple(picture) for picture in trained.unreadable]
    csv.writer(left_out).writerows([("case_id", "picture", "reason"), *rows])
    return export(
        trained.network,
        trained.classes,
        card,
        facts | trained.about | (about or {}),
        output,
        power=trained.calibration.power,
        confusion=trained.calibration.confusion,
        seen=trained.seen,
        precedents=trained.precedents,
        attachments={
            "unreadable.csv": left_out.getvalue(),
            LEARNING_CURVES: curves_as_json(trained.curves),
            **(attachments or {}),
        },
        candidate=candidate,
    )


def digests(version: Path) -> dict[str, str]:
    """SHA-256 in hex of every file of a version but the one that lists them, by its path there."""
    files = sorted(path for path in version.rglob("*") if path.is_file() and path.name != ABOUT)
    return {str(file.relative_to(version)): sha256_of(file) for file in files}


def _write_warm_up(path: Path, card: Card) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in _WARM_UP_BATCHES:
            request = PredictRequest(model_spec=ModelSpec(signature_name="serving_default"))
            images = np.zeros((rows, card.height, card.width, 3), np.uint8)
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
            writer.write(PredictionLog(predict_log=PredictLog(request=request)).SerializeToString())


def warm_up_requests(version: Path) -> Iterator[np.ndarray]:
    """The pictures of a version's warm-up requests, uint8 [N, H, W, 3] each."""
    path = version / "assets.extra" / "tf_serving_warmup_requests"
    for record in tf.data.TFRecordDataset(str(path)):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        yield tf.make_ndarray(request.inputs["images"])
