"""The paper's four networks, small and from scratch: trained, exported, served, and all say the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from hs_audit.cli import main
from serving.client.client import Client
from serving.client.connection import Connection
from serving.server.bundled import bundled_server
from tests.rulings import tinted_cases, write_cases

NETWORKS = ("vgg16", "vgg19", "resnet50", "inception_v3")
_IN_MINUTES = ("vgg16", "resnet50")
OF_EACH_KIND = (
    "vgg16",
    pytest.param("resnet50", marks=pytest.mark.slow),
    pytest.param("inception_v3", marks=pytest.mark.endurance),
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cases(tmp_path_factory.mktemp("cases") / "cases.parquet", tinted_cases(3))


@pytest.mark.parametrize(
    "backbone",
    [pytest.param(name, marks=pytest.mark.slow if name in _IN_MINUTES else pytest.mark.endurance) for name in NETWORKS],
)
def test_a_network_of_the_paper_trains_evaluates_and_is_served(cases, tmp_path, backbone):
    import tensorflow as tf

    model = tmp_path / "model"
    flags = ["--weights=none", "--size=75", "--epochs=1", "--variants=0", "--learning-rate=1e-4", "--batch-size=3"]
    trained = main(["train", f"--cases={cases}", f"--backbone={backbone}", f"--output={model}", *flags])
    evaluated = main(["evaluate", str(model), f"--cases={cases}", f"--output={tmp_path}"])
    checked = main(["check", "model", str(model)])

    images = np.random.default_rng(0).integers(0, 256, (5, 75, 75, 3), np.uint8)
    classify = tf.saved_model.load(str(model / "1")).signatures["serving_default"]
    saved = classify(images=tf.constant(images))["probabilities"].numpy()
    with bundled_server(model) as address:
        client = Client(Connection(address))
        served = client.classify(client.resolve("hs"), images).probabilities
        client.close()
    assert (trained, evaluated, checked) == (0, 0, 0)
    np.testing.assert_allclose(served, saved, atol=1e-5)
    assert json.loads((tmp_path / "evaluation.json").read_text())["evaluations"][0]["cases"] == 9


@pytest.mark.parametrize("name", ["compact", *OF_EACH_KIND])
def test_on_the_same_pixels_keras_and_the_exported_model_agree(tmp_path, name):
    import keras
    import tensorflow as tf

    from hs.card import Card, Thresholds
    from model.exported.export import export
    from model.training.backbones import load_backbone
    from model.training.networks import head, weights_digest

    images = np.random.default_rng(0).integers(0, 256, (4, 75, 75, 3), np.uint8)
    backbone = load_backbone(name, "none", side=75).network
    network = keras.Model(backbone.input, head(backbone.output_shape[1], 3, 0.5)(backbone.output))
    card = Card(75, 75, "bilinear", 2, "HS 2022", 1.3, Thresholds(0.1, 0.5, 0.9), weights_digest(network))
    _, version = export(network, ("870829", "392690", "87*"), card, {}, tmp_path / name)

    said = tf.saved_model.load(str(version)).signatures["serving_default"](images=tf.constant(images))

    wanted = tf.nn.softmax(network.predict(images.astype(np.float32), verbose=0) / 1.3).numpy()
    np.testing.assert_allclose(said["probabilities"].numpy(), wanted, atol=1e-5)


@pytest.mark.slow
def test_a_backbone_from_a_file_is_served_as_it_was_fine_tuned(cases, tmp_path):
    import tensorflow as tf

    from model.training.backbones import load_backbone

    load_backbone("compact").network.save(tmp_path / "own.keras")
    model, flags = tmp_path / "model", ["--epochs=2", "--variants=1", "--fine-tune=0.5"]

    code = main(["train", f"--cases={cases}", f"--backbone={tmp_path / 'own.keras'}", f"--output={model}", *flags])

    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    classify = tf.saved_model.load(str(model / "1")).signatures["serving_default"]
    with bundled_server(model) as address:
        client = Client(Connection(address))
        served = client.classify(client.resolve("hs"), images).probabilities
        client.close()
    assert code == 0
    np.testing.assert_allclose(served, classify(images=tf.constant(images))["probabilities"].numpy(), atol=1e-5)
