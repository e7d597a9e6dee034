"""What the bundled server costs beside computing, measured side by side."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hs.card import Card, Thresholds
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.load_generator import generate_load
from serving.server.bundled import bundled_server

CARD = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.5, 1.0), "sha256:00")
CODES = ("392690", "732690", "870829")
DIRECT = """
import sys, time
import numpy as np, tensorflow as tf
classify = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = tf.constant(np.random.default_rng(0).integers(0, 256, (int(sys.argv[2]), 224, 224, 3), np.uint8))
classify(images=images)["probabilities"].numpy()
started, requests = time.monotonic(), 0
while time.monotonic() - started < float(sys.argv[3]):
    classify(images=images)["probabilities"].numpy()
    requests += 1
print(requests * len(images) / (time.monotonic() - started))
"""


def exported(folder: Path, network) -> Path:
    from model.exported.export import export

    export(network, CODES, CARD, {}, folder)
    return folder


def direct(model: Path, batch_size: int, seconds: float) -> float:
    """Pictures a second of calling the SavedModel in a process of its own."""
    command = [sys.executable, "-c", DIRECT, str(model / "1"), str(batch_size), str(seconds)]
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "1"}  # as the server sets it
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)


def served(model: Path, batch_size: int, seconds: float) -> float:
    with bundled_server(model) as address:
        client = Client(Connection(address, deadline_s=120))
        pinned = client.resolve("hs")
        client.classify(pinned, np.zeros((batch_size, 224, 224, 3), np.uint8))
        rate = generate_load(client, pinned, batch_size, 2, seconds).pictures_per_s
        client.close()
    return rate


@pytest.mark.endurance
def test_serving_a_real_backbone_costs_at_most_a_twentieth(tmp_path):
    import keras

    from model.training.backbones import load_backbone
    from model.training.networks import head

    backbone = load_backbone("resnet50", "none").network
    network = keras.Model(backbone.input, head(backbone.output_shape[1], 3, 0.5)(backbone.output))
    model = exported(tmp_path / "resnet50", network)
    rates = [(served(model, 32, 12.0), direct(model, 32, 12.0)) for _ in range(3)]

    ratios = [ours / theirs for ours, theirs in rates]
    print("served / direct, pictures/s:", rates)
    assert statistics.median(ratios) >= 0.95, rates


@pytest.mark.endurance
def test_a_picture_costs_at_most_half_a_millisecond_beside_computing(tmp_path):
    import keras

    images = keras.Input((224, 224, 3))
    corner = keras.layers.Cropping2D(((0, 223), (0, 223)))(images)
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(corner)))
    model = exported(tmp_path / "nothing", network)

    rates = [served(model, 64, 3.0) for _ in range(3)]

    print("pictures/s of a model that does nothing:", rates)
    assert statistics.median(rates) >= 1 / 0.0005, rates
