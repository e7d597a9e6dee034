"""The networks that pictures go through: pixels 0..255 in, features out."""

from dataclasses import dataclass
from pathlib import Path

import keras

from pipeline.rules.errors import UsageError


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes:
        name: what the card and the logs call it.
        network: float32 [N, H, W, 3] 0..255 → float32 [N, F]; its own preprocessing is its first layer.
        pretrained: its weights are kept as they are and only a head is trained; otherwise the whole learns.
    """

    name: str
    network: keras.Model
    pretrained: bool

    @property
    def height_width(self) -> tuple[int, int]:
        """The input's size in pixels."""
        return self.network.input_shape[1:3]


def load_backbone(name: str) -> Backbone:
    """`compact`, or the path of a `.keras` file with a feature extractor.

    Raises:
        UsageError: if it is neither, cannot be loaded, or holds custom code.
    """
    if name == "compact":
        return Backbone("compact", _compact(), pretrained=False)
    path = Path(name)
    if path.suffix != ".keras":
        raise UsageError(f"--backbone is `compact` or the path of a .keras file, got {name!r}")
    if not path.is_file():
        raise UsageError(f"the backbone {path} does not exist")
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(f"the backbone {path} cannot be loaded without running custom code: {error}") from error
    return Backbone(path.stem, _checked(network, path), pretrained=True)


def _checked(network: keras.Model, path: Path) -> keras.Model:
    inputs, outputs = network.input_shape, network.output_shape
    if len(inputs) != 4 or None in inputs[1:] or inputs[3] != 3 or len(outputs) != 2:
        raise UsageError(f"the backbone {path} must map [N, H, W, 3] to [N, F], but maps {inputs} to {outputs}")
    return network


def _compact() -> keras.Model:
    """A small convolutional network for pictures of 64 x 64: 160,000 weights, 7 million multiplications a picture."""
    layers = keras.layers
    images = keras.Input((64, 64, 3), name="images")
    x = _block(layers.Rescaling(1 / 127.5, offset=-1)(images), 16, size=5, stride=2)
    for filters in (48, 96, 128):
        x = _block(layers.MaxPooling2D()(x), filters)
    features = layers.Concatenate(name="features")([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return keras.Model(images, features, name="compact")


def _block(x: keras.KerasTensor, filters: int, size: int = 3, stride: int = 1) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
