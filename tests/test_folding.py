"""Batch normalisation as part of the convolution before it: the same answers."""

import keras
import numpy as np
import pytest

from model.training.folding import folded
from model.training.networks import cut

PICTURES = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)


def normalised(x: keras.KerasTensor, **how: object) -> keras.KerasTensor:
    return keras.layers.BatchNormalization(moving_mean_initializer=keras.initializers.RandomUniform(-1, 1),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2),
        gamma_initializer=keras.initializers.RandomUniform(0.5, 2),
        beta_initializer=keras.initializers.RandomUniform(-1, 1), **how)(x)  # fmt: skip


def network() -> keras.Model:
    """Blocks as of EfficientNet, with a shortcut, and what cannot be folded: a map that is read twice."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    images = keras.Input((32, 32, 3))
    x = layers.ReLU(6)(normalised(layers.Conv2D(8, 3, strides=2, use_bias=False)(layers.Rescaling(1 / 255)(images))))
    before = x
    x = layers.ReLU(6)(normalised(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x), scale=False))
    x = normalised(layers.Conv2D(8, 1)(x), center=False)
    x = layers.Add()([x, before])
    read_twice = layers.Conv2D(8, 1)(x)
    x = layers.Add()([normalised(read_twice), read_twice])
    x = normalised(layers.Conv2D(8, 1, activation="relu")(x))
    return keras.Model(images, layers.GlobalAveragePooling2D()(normalised(x)))


def normalisations(of: keras.Model) -> int:
    return sum(isinstance(layer, keras.layers.BatchNormalization) for layer in of.layers)


def test_a_folded_network_gives_the_same_answers():
    whole = network()

    small = folded(whole)

    np.testing.assert_allclose(small.predict(PICTURES, verbose=0), whole.predict(PICTURES, verbose=0), atol=1e-5)
    assert (normalisations(whole), normalisations(small)) == (6, 3)


@pytest.mark.parametrize("part", ["stem", "tail"])
def test_parts_of_a_network_are_folded_alike(part):
    parts = cut(network(), 0.3)
    one = getattr(parts, part)
    inputs = PICTURES if part == "stem" else parts.stem.predict(PICTURES, verbose=0)

    small = folded(one)

    np.testing.assert_allclose(small.predict(inputs, verbose=0), one.predict(inputs, verbose=0), atol=1e-5)
    assert normalisations(small) < normalisations(one)


def test_a_network_that_calls_a_layer_twice_stays_as_it_is():
    images = keras.Input((32, 32, 3))
    shared = keras.layers.Conv2D(3, 1)
    twice = keras.Model(images, normalised(shared(shared(images))))

    same = folded(twice)

    np.testing.assert_array_equal(same.predict(PICTURES, verbose=0), twice.predict(PICTURES, verbose=0))
    assert normalisations(same) == 1
