"""The table of networks: their own preprocessing, their weights, and where they can be cut."""

import hashlib
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from hs.errors import UsageError
from model.training.backbones import BACKBONES, load_backbone
from model.training.networks import cut, fresh_copy

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 75, 75, 3)).astype(np.float32)
PAPER = ("vgg16", "vgg19", "resnet50", pytest.param("inception_v3", marks=pytest.mark.slow))
LARGEST = pytest.param("inception_v3", 0.7, marks=pytest.mark.endurance)


@pytest.mark.parametrize("name", PAPER)
def test_preprocessing_is_the_networks_own(name):
    keras.utils.set_random_seed(0)
    ours = load_backbone(name, "none", side=75).network
    application = {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50", "inception_v3": "InceptionV3"}[name]
    module = getattr(keras.applications, {"resnet50": "resnet"}.get(name, name))
    theirs = getattr(keras.applications, application)(
        include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg"
    )
    theirs.set_weights([weight for weight in ours.get_weights() if weight.shape not in ((3,), (), (1, 1, 1, 3))])

    features = ours.predict(PICTURES, verbose=0)

    np.testing.assert_allclose(
        features, theirs.predict(module.preprocess_input(PICTURES.copy()), verbose=0), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "share"), [("compact", 0.3), ("compact", 0.7), ("vgg16", 0.3), ("vgg19", 0.7), ("resnet50", 0.3), LARGEST]
)
def test_a_cut_changes_nothing_and_leaves_enough_behind_it(name, share):
    network = load_backbone(name, "none", side=75).network

    parts = cut(network, share)

    whole = network.predict(PICTURES, verbose=0)
    np.testing.assert_allclose(parts.tail.predict(parts.stem.predict(PICTURES, verbose=0), verbose=0), whole, atol=1e-5)
    assert parts.tail.count_params() >= share * network.count_params()
    assert parts.stem.count_params() + parts.tail.count_params() == network.count_params()


def test_a_copy_learns_apart_from_its_original():
    network = load_backbone("compact").network
    before = [weight.copy() for weight in network.get_weights()]

    copy = fresh_copy(network, "float32", keep_weights=True, keep_statistics=False)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])

    assert all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))


def test_weights_come_from_a_file_with_the_digest_that_was_given(tmp_path):
    original = load_backbone("vgg16", "none", side=32).network
    path = tmp_path / "vgg16.weights.h5"
    original.save_weights(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    loaded = load_backbone("vgg16", str(path), digest, side=32)

    assert loaded.pretrained
    assert all(np.array_equal(a, b) for a, b in zip(original.get_weights(), loaded.network.get_weights(), strict=True))
    with pytest.raises(UsageError, match=f"has SHA-256 {digest}, not {'0' * 64}"):
        load_backbone("vgg16", str(path), "0" * 64, side=32)
    with pytest.raises(UsageError, match="do not fit resnet50"):
        load_backbone("resnet50", str(path), side=32)


@pytest.mark.parametrize("name", PAPER)
def test_without_internet_a_sentence_says_which_file_to_bring(name, monkeypatch, tmp_path):
    def no_internet(*_, **__):
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr("socket.getaddrinfo", no_internet)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))

    with pytest.raises(UsageError, match="on a machine with internet, bring it over, and give --weights PATH/") as told:
        load_backbone(name)

    assert BACKBONES[name].imagenet in str(told.value)


def _custom(path: Path) -> Path:
    images = keras.Input((8, 8, 3))
    squared = keras.layers.Lambda(lambda pixels: pixels**2)(images)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(squared)).save(path)
    return path


def _feature_map(path: Path) -> Path:
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.Conv2D(2, 3)(images)).save(path)
    return path


def _garbage(path: Path) -> Path:
    path.write_bytes(b"not a zip file")
    return path


def _spaces(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 40_000_000)
    return path


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (_spaces, "has 40000000 bytes in config.json, more than 16777216"),
        (_custom, "cannot be loaded without running custom code"),
        (_feature_map, r"must map \[N, H, W, 3\] to \[N, F\]"),
        (_garbage, "is no .keras file"),
    ],
)
def test_a_file_that_is_no_feature_extractor_is_one_sentence(tmp_path, write, sentence):
    with pytest.raises(UsageError, match=sentence):
        load_backbone(str(write(tmp_path / "x.keras")))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("alexnet",), "--backbone is compact, vgg16"),
        (("compact", "imagenet"), "there are no ImageNet weights for compact"),
        (("vgg16", "absent.h5"), "does not exist"),
        (("inception_v3", "none", None, 32), "cannot be built for pictures of 32 x 32"),
    ],
)
def test_a_network_that_cannot_be_had_is_one_sentence(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        load_backbone(*arguments)


def halving(side: int, halvings: int, flat: bool = False):
    """A network that halves its maps so often, rounding up, and looks at the last ones once more."""
    x = images = keras.Input((side, side, 3))
    for _ in range(halvings):
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same")(x)
    x = keras.layers.Conv2D(2, 1)(x)
    return keras.Model(images, (keras.layers.Flatten if flat else keras.layers.GlobalAveragePooling2D)()(x))


@pytest.mark.parametrize(
    ("side", "halvings", "flat", "enlarged_to"),
    [
        (260, 5, False, 288),  # both end in 9 x 9
        (224, 5, False, 224),  # fits its maps
        (33, 5, False, 33),  # 64 would be twice as much
        (260, 5, True, 260),  # bound to its size
    ],
)
def test_a_network_is_given_the_largest_pictures_that_its_last_maps_have_room_for(side, halvings, flat, enlarged_to):
    from model.training.networks import enlarged

    network = halving(side, halvings, flat)

    larger = enlarged(network)

    assert larger.input_shape[1:] == (enlarged_to, enlarged_to, 3)
    assert larger.output_shape == network.output_shape
    for before, after in zip(network.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_variants_have_the_size_that_a_network_learned_at_where_its_maps_stay_the_same():
    from hs.pictures.decoding import PictureSize
    from model.training.backbones import Backbone
    from model.training.examples import Preparation, _batches, _networks
    from model.training.networks import enlarged

    network = halving(260, 5)
    backbone = Backbone("own", enlarged(network), pretrained=True, learned_at=260)
    late, early = (cut(backbone.network, share) for share in (0.02, 0.3))
    sides = [Preparation(backbone, at, PictureSize(288, 288), 2, 0).variants_side for at in (late, early)]
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3), np.uint8) for side in (288, 260, 260, 260, 288)]

    batches = list(_batches(pictures, 2))
    answers = [_networks(Preparation(backbone, late, PictureSize(288, 288), 2, 0))(batch) for batch in batches]

    assert (late.shape[:2], early.shape[:2]) == ((9, 9), (36, 36))
    assert sides == [260, None]
    assert [batch.shape[:2] for batch in batches] == [(1, 288), (2, 260), (1, 260), (1, 288)]
    assert {maps.shape[1:3] for maps, _ in answers} == {(9, 9)}
    expected = network.predict(np.stack(pictures[1:3]).astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers[1][1], expected, rtol=1e-4, atol=1e-4)
