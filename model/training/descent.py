"""How weights move: RMSprop as in the paper, slower towards the front, beside an average of what the weights were."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from model.training.recipes import Phase


class Descent(keras.optimizers.RMSprop):
    """RMSprop whose rate is another one for each variable, and which averages the weights without moving them.

    Attributes:
        rates: what the learning rate of each variable is multiplied by, in their order.
    """

    def __init__(self, learning_rate: object, rates: Sequence[float], averaged: float) -> None:
        super().__init__(learning_rate, use_ema=averaged > 0, ema_momentum=averaged)
        self.rates = tuple(rates)

    def update_step(self, gradient: object, variable: object, learning_rate: float) -> None:
        """RMSprop's step at the rate of this variable."""
        super().update_step(gradient, variable, learning_rate * self.rates[self._get_variable_index(variable)])

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Leaves the weights: Keras ends each epoch with this, and the next one goes on from where they are."""


def descent(network: keras.Model, phase: Phase, steps: int, precision: str) -> keras.optimizers.Optimizer:
    """The optimizer of a phase.

    Args:
        network: what learns.
        phase: how fast.
        steps: of an epoch.
        precision: Keras' policy of what learns; under `mixed_float16` the loss is scaled, or small gradients become 0.
    """
    rate, total = phase.learning_rate, phase.epochs * steps
    if not phase.steady:
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, total - total // 10, warmup_target=phase.learning_rate, warmup_steps=max(1, total // 10)
        )
    kept = 1 - 1 / max(1.0, phase.averaged * total)  # of the average, at each step
    optimizer = Descent(rate, rates_by_depth(network, phase.front), kept)
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer


def rates_by_depth(network: keras.Model, front: float) -> list[float]:
    """The share of the learning rate at which each variable learns, in the order of `trainable_variables`.

    Args:
        network: what learns.
        front: share of its first layer; the last one has 1, and from layer to layer it grows by the same factor.
    """
    learning = [layer for layer in _layers(network) if layer.trainable_variables]
    steps = max(1, len(learning) - 1)
    share = {
        variable.path: front ** (1 - place / steps)
        for place, layer in enumerate(learning)
        for variable in layer.trainable_variables
    }
    return [share[variable.path] for variable in network.trainable_variables]


def take_average(network: keras.Model) -> None:
    """Sets the weights to their average, where one is kept."""
    optimizer = network.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if optimizer.use_ema:
        optimizer._overwrite_model_variables_with_average_value(network.trainable_variables)


@contextmanager
def averaged(network: keras.Model) -> Iterator[None]:
    """The weights are their average within, and what they were behind."""
    before = [variable.numpy() for variable in network.trainable_variables]
    take_average(network)
    try:
        yield
    finally:
        for variable, values in zip(network.trainable_variables, before, strict=True):
            variable.assign(values)


def _layers(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """All layers from the input on, those of networks within in their place."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
