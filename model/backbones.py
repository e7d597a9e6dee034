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
    """A small convolutional network for pictures of 96 x 96, about 0.3 million weights."""
    layers = keras.layers
    images = keras.Input((96, 96, 3), name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1)(images)
    for filters in (24, 48, 96, 160):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(160, 3, padding="same", activation="relu")(x)
    return keras.Model(images, layers.GlobalAveragePooling2D(name="features")(x), name="compact")
