"""A trained classifier → a new version in TF Serving's layout that keeps the contract."""

import dataclasses
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

from pipeline.rules.card import Card

_WARM_UP_BATCHES = (1, 8)


class _Classifier(tf.Module):
    def __init__(self, network: keras.Model, classes: tuple[str, ...], card: Card) -> None:
        super().__init__()
        self.network = network
        images = tf.TensorSpec([None, card.height, card.width, 3], tf.uint8, name="images")
        ping = tf.TensorSpec([None], tf.int32, name="ping")

        def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = network(tf.cast(images, tf.float32), training=False)
            return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32) / card.temperature)}

        def describe(ping: tf.Tensor) -> dict[str, tf.Tensor]:
            rows = tf.shape(ping)[0]
            return {
                "hs_codes": tf.tile(tf.constant([classes]), [rows, 1]),
                "card": tf.fill([rows], tf.constant(card.to_json())),
            }

        self.classify = tf.function(classify, input_signature=[images])
        self.describe = tf.function(describe, input_signature=[ping])


def weights_digest(network: keras.Model) -> str:
    """SHA-256 over all weights of a network in order, `sha256:` and 64 hex digits."""
    digest = hashlib.sha256()
    for weight in network.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return f"sha256:{digest.hexdigest()}"


def export(
    network: keras.Model, classes: tuple[str, ...], card: Card, about: dict[str, Any], folder: Path
) -> tuple[int, Path]:
    """Writes the next version of a model; it appears under its number only when it is whole.

    Args:
        network: float32 [N, H, W, 3] 0..255 → logits [N, C].
        classes: HS codes in the order of the outputs.
        card: what the model says of itself.
        about: further facts for `assets.extra/hs_audit.json`: data digest, backbone, metrics.
        folder: of the numbered versions; made if missing.

    Returns:
        The new version and its folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".unfinished-{uuid.uuid4().hex}"
    try:
        module = _Classifier(network, classes, card)
        tf.saved_model.save(
            module, str(unfinished), signatures={"serving_default": module.classify, "classes": module.describe}
        )
        extra = unfinished / "assets.extra"
        extra.mkdir()
        facts = dataclasses.asdict(card) | {"classes": classes} | about
        (extra / "hs_audit.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
        _write_warm_up(extra / "tf_serving_warmup_requests", card)
        version = 1 + max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
        os.rename(unfinished, folder / str(version))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return version, folder / str(version)


def _write_warm_up(path: Path, card: Card) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in _WARM_UP_BATCHES:
            request = PredictRequest(model_spec=ModelSpec(signature_name="serving_default"))
            images = np.zeros((rows, card.height, card.width, 3), np.uint8)
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
            writer.write(PredictionLog(predict_log=PredictLog(request=request)).SerializeToString())
