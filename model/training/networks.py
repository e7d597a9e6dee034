"""A backbone cut in two: a stem that stays as it is, and a tail that learns with the classifier's head."""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from hs.errors import UsageError

_MOST_ENLARGED = 1.15  # a third more to compute
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class Devices:
    """Where and how finely training computes.

    Attributes:
        precision: Keras' policy of the part that learns; what is exported is float32 either way.
        mirrored: whether all GPUs share each batch.
    """

    precision: str = "float32"
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}")

    def scope(self) -> AbstractContextManager[object]:
        """What networks that learn are built in."""
        return tf.distribute.MirroredStrategy().scope() if self.mirrored else nullcontext()


@dataclass(frozen=True)
class Cut:
    """A backbone in two.

    Attributes:
        stem: float32 [N, H, W, 3] → activations; None where all of the backbone learns.
        tail: activations → float32 [N, F]; None where none of it learns.
        shape: of the activations of one picture.
    """

    stem: keras.Model | None
    tail: keras.Model | None
    shape: tuple[int, ...]


def cut(network: keras.Model, tail_share: float) -> Cut:
    """Cuts at the last place behind which at least a share of the weights lies.

    Places are the layers through which everything flows, such as the end of a block; shortcuts pass by the others.

    Args:
        network: the backbone.
        tail_share: 0 leaves all of it as it is, 1 lets all of it learn.
    """
    if tail_share <= 0:
        return Cut(network, None, network.output_shape[1:])
    behind = 0
    for layer in reversed(network.layers[1:]) if tail_share < 1 else ():
        if behind >= tail_share * network.count_params() and (tail := _from_here(layer, network)):
            return Cut(keras.Model(network.input, layer.output), tail, layer.output.shape[1:])
        behind += layer.count_params()
    return Cut(None, network, network.input_shape[1:])


def _from_here(layer: keras.Layer, network: keras.Model) -> keras.Model | None:
    if not isinstance(layer.output, keras.KerasTensor):
        return None
    try:
        return keras.Model(layer.output, network.output)
    except ValueError:  # a shortcut leads past this layer
        return None


def head(features: int, classes: int, dropout: float) -> keras.Model:
    """Features float32 [N, F] → logits float32 [N, C]: dropout and one dense layer, as in the paper."""
    layers = [keras.Input((features,)), keras.layers.Dropout(dropout)]
    return keras.Sequential([*layers, keras.layers.Dense(classes, name="logits")], name="hs_audit_head")


def fresh_copy(
    network: keras.Model, precision: str, *, keep_weights: bool, keep_statistics: bool, any_size: bool = False
) -> keras.Model:
    """A copy that learns apart from the original.

    Args:
        network: to be copied.
        precision: Keras' policy of the copy; its variables are float32 always.
        keep_weights: whether it starts from the original's weights, or from new random ones.
        keep_statistics: whether batch normalisation stays as it is, as is usual in fine-tuning: the statistics of a
            few thousand pictures are worse than those of ImageNet.
        any_size: whether the copy takes maps of any height and width, where such a network can.
    """

    def copy_of(layer: keras.Layer) -> keras.Layer:
        layer_config = layer.get_config() | ({"dtype": precision} if precision != "float32" else {})
        return layer.__class__.from_config(layer_config)

    inputs = keras.Input((None, None, *network.input_shape[3:])) if any_size and takes_any_size(network) else None
    copy = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy_of)
    if keep_weights:
        copy.set_weights(network.get_weights())
    for layer in copy.layers:
        if keep_statistics and isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return copy


def takes_any_size(network: keras.Model) -> bool:
    """Whether a network takes maps of any height and width: not where it flattens them, for example."""
    if len(network.input_shape) != 4:
        return False
    try:
        copy = keras.models.clone_model(network, input_tensors=keras.Input((None, None, network.input_shape[3])))
    except (ValueError, TypeError):  # a layer needs to know how large its input is
        return False
    shapes = zip(copy.output_shape, network.output_shape, strict=True)
    return all(found in (None, own) for found, own in shapes) and copy.output_shape[-1] is not None


def of_any_size(network: keras.Model) -> keras.Model:
    """The same network for pictures or maps of any height and width; one that `takes_any_size`."""
    copy = keras.models.clone_model(network, input_tensors=keras.Input((None, None, network.input_shape[3])))
    copy.set_weights(network.get_weights())
    return copy


def enlarged(network: keras.Model) -> keras.Model:
    """The same network for the largest pictures that give its last maps as many rows as its own size does.

    What begins with 260 pixels and halves them five times, rounding up, ends in 9 x 9, and so does what begins with
    288: the picture shows more, and the blocks that are fine-tuned cost what they did. Variants are cropped and so show
    goods larger than they are in pictures; a larger picture makes up for that (Touvron et al. 2019, 'Fixing the
    train-test resolution discrepancy').

    Args:
        network: pictures [N, H, W, 3] → features; one bound to its size, or that fits its maps, is returned as it is.
    """
    own, rows = network.input_shape[1], _rows_of_maps(network)
    stride = math.prod(max(1, -(-before // behind)) for before, behind in itertools.pairwise(rows))
    side = rows[-1] * stride if rows else 0
    if network.input_shape[2] != own or not own < side <= _MOST_ENLARGED * own or not takes_any_size(network):
        return network
    larger = keras.models.clone_model(network, input_tensors=keras.Input((side, side, 3), name="images"))
    larger.set_weights(network.get_weights())
    return larger if _rows_of_maps(larger)[-1] == rows[-1] else network


def _rows_of_maps(network: keras.Model) -> list[int]:
    """How many rows each map has, from the input on; none where a layer is called twice and has no one output."""
    try:
        outputs = [keras.tree.flatten(layer.output)[0] for layer in network.layers]
    except (AttributeError, ValueError):
        return []
    return [output.shape[1] for output in outputs if len(output.shape) == 4]


def as_constants(network: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network for use in a `tf.function`, its weights constants of the graph.

    TensorFlow then folds batch normalisation into the convolutions, which takes a fifth off the time of a picture.
    """
    learned = [variable.numpy() for variable in network.trainable_variables]
    others = [variable.numpy() for variable in network.non_trainable_variables]

    def call(inputs: tf.Tensor) -> tf.Tensor:
        weights = [[tf.constant(values) for values in some] for some in (learned, others)]
        return network.stateless_call(*weights, inputs, training=False)[0]

    return call


def reset_randomness(network: keras.Model, seed: Sequence[int]) -> None:
    """Lets dropout begin anew, so that an epoch is the same whether or not training was interrupted before it."""
    states = [variable for variable in network.variables if variable.name.endswith("seed_generator_state")]
    for state, number in zip(states, np.random.default_rng(seed).integers(2**31, size=len(states)), strict=True):
        state.assign(np.array([number, 0], np.uint32))


def weights_digest(network: keras.Model) -> str:
    """SHA-256 over the sorted digests of all weights, `sha256:` and 64 hex digits."""
    return digest_of_weights(network.get_weights())


def digest_of_weights(weights: Iterable[np.ndarray]) -> str:
    """As `weights_digest`, of arrays in any order."""
    # A checkpoint lists its tensors in another order than the network that wrote it.
    digests = sorted(
        hashlib.sha256(f"{weight.dtype}{weight.shape}".encode() + np.ascontiguousarray(weight).tobytes()).hexdigest()
        for weight in weights
    )
    return f"sha256:{hashlib.sha256(''.join(digests).encode()).hexdigest()}"
