"""The networks that pictures go through: pixels 0..255 in, features out. One table names them all."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras

from hs.errors import UsageError
from hs.files import sha256_of
from model.training.foreign_files import check_apart
from model.training.networks import enlarged, weights_digest

Architecture = Callable[[int, str | None], keras.Model]


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes:
        name: what the card and the logs call it.
        network: float32 [N, H, W, 3] 0..255 → float32 [N, F]; its own preprocessing is its first layers.
        pretrained: its weights were learned elsewhere; otherwise all of it has yet to learn.
        learned_at: side in pixels of the pictures that it learned from, where it is given larger ones.
    """

    name: str
    network: keras.Model
    pretrained: bool
    learned_at: int | None = None

    @property
    def known_by(self) -> object:
        """What decides on what it will learn: its weights, or their shapes where they are random and yet to learn."""
        return weights_digest(self.network) if self.pretrained else [each.shape for each in self.network.weights]

    @property
    def height_width(self) -> tuple[int, int]:
        """The input's size in pixels."""
        return self.network.input_shape[1:3]


@dataclass(frozen=True)
class Known:
    """A network that can be had by name.

    Attributes:
        build: (input side, weights: imagenet or None) → the network.
        side: of the input in pixels, where none is given.
        imagenet: the file with weights learned on ImageNet, and where it is published; None where there is none.
    """

    build: Architecture
    side: int
    imagenet: str | None = None


def _applied(application: str, mode: str) -> Architecture:
    def build(side: int, weights: str | None) -> keras.Model:
        images = keras.Input((side, side, 3), name="images")
        network = getattr(keras.applications, application)
        return network(include_top=False, weights=weights, input_tensor=_PREPROCESSING[mode](images), pooling="avg")

    return build


def _around_zero(images: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Rescaling(1 / 127.5, offset=-1)(images)


def _caffe(images: keras.KerasTensor) -> keras.KerasTensor:
    """BGR less the mean colour of ImageNet, as VGG and ResNet were trained."""
    blue_green_red = keras.ops.flip(images, axis=-1)
    return keras.layers.Normalization(mean=[103.939, 116.779, 123.68], variance=[1, 1, 1])(blue_green_red)


_PREPROCESSING = {"caffe": _caffe, "tf": _around_zero}


def _compact(side: int, weights: str | None) -> keras.Model:
    """A small convolutional network: 160,000 weights, 7 million multiplications for a picture of 64 x 64."""
    images = keras.Input((side, side, 3), name="images")
    x = _block(_around_zero(images), 16, size=5, stride=2)
    for filters in (48, 96, 128):
        x = _block(keras.layers.MaxPooling2D()(x), filters)
    pooled = [keras.layers.GlobalAveragePooling2D()(x), keras.layers.GlobalMaxPooling2D()(x)]
    return keras.Model(images, keras.layers.Concatenate(name="features")(pooled), name="compact")


def _block(x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))


_PUBLISHED = "https://storage.googleapis.com/tensorflow/keras-applications"
_NOTOP = "weights_tf_dim_ordering_tf_kernels_notop.h5"

BACKBONES = {
    "compact": Known(_compact, 64),
    "vgg16": Known(_applied("VGG16", "caffe"), 224, f"{_PUBLISHED}/vgg16/vgg16_{_NOTOP}"),
    "vgg19": Known(_applied("VGG19", "caffe"), 224, f"{_PUBLISHED}/vgg19/vgg19_{_NOTOP}"),
    "resnet50": Known(_applied("ResNet50", "caffe"), 224, f"{_PUBLISHED}/resnet/resnet50_{_NOTOP}"),
    # Its own size is 299; the paper gives all four the same.
    "inception_v3": Known(_applied("InceptionV3", "tf"), 224, f"{_PUBLISHED}/inception_v3/inception_v3_{_NOTOP}"),
}


def load_backbone(
    name: str, weights: str | None = None, sha256: str | None = None, side: int | None = None
) -> Backbone:
    """Builds a network by its name in the table, or loads a feature extractor from a `.keras` file.

    Args:
        name: of the table, or the path of a `.keras` file.
        weights: `imagenet`, `none`, or a file with the weights; None takes ImageNet's where there are any.
        sha256: what the file given (the weights, else the network) must have as its SHA-256, in hex.
        side: of the input in pixels, where it is not the network's own.

    Raises:
        UsageError: if there is no such network or file, the digest is another, the weights do not fit or cannot be
            had here, or a `.keras` file holds custom code.
    """
    if name not in BACKBONES:
        return _from_file(Path(name), weights, sha256, side)
    known = BACKBONES[name]
    weights = weights or ("imagenet" if known.imagenet else "none")
    side = side or known.side
    if weights == "imagenet":
        return Backbone(name, _with_imagenet(name, known, side), pretrained=True)
    try:
        network = known.build(side, None)
    except ValueError as error:
        raise UsageError(f"{name} cannot be built for pictures of {side} x {side}: {error}") from error
    if weights != "none":
        _load_weights(network, name, Path(weights), sha256)
    return Backbone(name, network, pretrained=weights != "none")


def _with_imagenet(name: str, known: Known, side: int) -> keras.Model:
    if known.imagenet is None:
        raise UsageError(f"there are no ImageNet weights for {name}; give --weights none, or a file")
    try:
        with _impatient():
            return known.build(side, "imagenet")
    except Exception as error:  # Keras raises a bare Exception where a download fails, ValueError where it does not fit
        file = known.imagenet.rsplit("/", 1)[-1]
        raise UsageError(
            f"the ImageNet weights of {name} cannot be had here ({str(error).splitlines()[0]}): fetch {known.imagenet} "
            f"on a machine with internet, bring it over, and give --weights PATH/{file}"
        ) from error


@contextmanager
def _impatient(timeout_s: float = 20) -> Iterator[None]:
    """A network that swallows packets must not hold up a training for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)  # Keras downloads with urllib, which takes no timeout from it
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _load_weights(network: keras.Model, name: str, path: Path, sha256: str | None) -> None:
    _check_file(path, "weights", sha256)
    try:
        network.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras each have their own
        raise UsageError(f"the weights {path} do not fit {name}: {str(error).splitlines()[0]}") from error


def _from_file(path: Path, weights: str | None, sha256: str | None, side: int | None) -> Backbone:
    if path.suffix != ".keras":
        raise UsageError(f"--backbone is {', '.join(BACKBONES)} or the path of a .keras file, got {str(path)!r}")
    if weights or side:
        raise UsageError(f"the backbone {path} comes with its own weights and size; leave out --weights and --size")
    _check_file(path, "backbone", sha256)
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras names what it refuses in a dozen kinds of exception
        raise UsageError(f"the backbone {path} cannot be loaded without running custom code: {error}") from error
    inputs, outputs = network.input_shape, network.output_shape
    if len(inputs) != 4 or None in inputs[1:] or inputs[3] != 3 or len(outputs) != 2:
        raise UsageError(f"the backbone {path} must map [N, H, W, 3] to [N, F], but maps {inputs} to {outputs}")
    return Backbone(path.stem, enlarged(network), pretrained=True, learned_at=inputs[1])


def _check_file(path: Path, what: str, sha256: str | None) -> None:
    if not path.is_file():
        raise UsageError(f"the {what} {path} does not exist")
    if sha256 is not None:
        found = sha256_of(path)
        if found != sha256.lower().removeprefix("sha256:"):
            raise UsageError(f"the {what} {path} has SHA-256 {found}, not {sha256}")
    check_apart(path, what)
