"""Batch normalisation made part of the convolution before it: the same answers in less time."""

from collections import Counter
from typing import Any

import keras
import numpy as np

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def folded(network: keras.Model) -> keras.Model:
    """A copy of a network that only infers, without the batch normalisations that follow a convolution.

    TensorFlow does this itself for plain convolutions with constant weights, but neither for depthwise ones nor for
    variables, as exported networks have them: each then reads and writes the largest maps three times more.

    Args:
        network: where a layer is called twice, all of it stays as it is.
    """
    copy = _copy(network)
    try:
        sources = {layer.name: keras.tree.flatten(layer.input) for layer in copy.layers}
    except ValueError:  # a layer that is called twice has no one input
        return copy
    readers = Counter(id(tensor) for tensors in sources.values() for tensor in tensors)
    readers.update(id(tensor) for tensor in copy.outputs)
    made_by = {id(layer.output): layer for layer in copy.layers if isinstance(layer, _CONVOLUTIONS)}
    pairs = {}
    for layer in copy.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            (source,) = sources[layer.name]
            before = made_by.get(id(source))
            if before is not None and readers[id(source)] == 1 and _can_take_up(before, layer):
                pairs[before.name] = layer
    return _folded(copy, pairs)


def _can_take_up(convolution: keras.layers.Layer, normalisation: keras.layers.BatchNormalization) -> bool:
    # Groups and data formats other than the usual are left alone: no network of ours has them.
    return (
        convolution.activation is keras.activations.linear
        and convolution.data_format == "channels_last"
        and normalisation.axis in (-1, 3)
    )


def _folded(network: keras.Model, pairs: dict[str, keras.layers.BatchNormalization]) -> keras.Model:
    gone = {layer.name for layer in pairs.values()}

    def copy_of(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        return layer.__class__.from_config(config | ({"use_bias": True} if layer.name in pairs else {}))

    def call(layer: keras.layers.Layer, *inputs: Any, **how: Any) -> Any:
        return inputs[0] if layer.name in gone else layer(*inputs, **how)

    copy = keras.models.clone_model(network, clone_function=copy_of, call_function=call)
    for layer in network.layers:
        if layer.name in pairs:
            copy.get_layer(layer.name).set_weights(_weights(layer, pairs[layer.name]))
        elif layer.name not in gone:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _weights(
    convolution: keras.layers.Layer, normalisation: keras.layers.BatchNormalization
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias that do the work of both."""
    mean, variance = (values.numpy() for values in (normalisation.moving_mean, normalisation.moving_variance))
    scale = 1 / np.sqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        scale = scale * normalisation.gamma.numpy()
    kernel, *bias = convolution.get_weights()
    shift = ((bias[0] if bias else 0) - mean) * scale
    if normalisation.center:
        shift = shift + normalisation.beta.numpy()
    # The kernel of a depthwise convolution is [h, w, C, m], its outputs are numbered by C first.
    by_output = scale.reshape(kernel.shape[2:]) if isinstance(convolution, keras.layers.DepthwiseConv2D) else scale
    return kernel * by_output, shift


def _copy(network: keras.Model) -> keras.Model:
    if isinstance(network, keras.Sequential):
        network = keras.Model(network.inputs, network.outputs)
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy
