"""One network learns from rows on disk, epoch by epoch, and goes on where it was interrupted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from hs.files import whole_or_not_at_all
from model.training.descent import averaged, descent, take_average
from model.training.examples import Examples
from model.training.networks import reset_randomness
from model.training.recipes import Balance, Phase, Recipe
from model.training.row_files import RowFile

_CHECKPOINT_EVERY_S = 10.0


@dataclass(frozen=True)
class Shown:
    """What a network is shown.

    Attributes:
        rows: the inputs.
        pictures: int [n], numbers of the pictures to learn from.
        examples: what all pictures are.
    """

    rows: RowFile
    pictures: np.ndarray
    examples: Examples


@dataclass(frozen=True)
class Fitted:
    """What became of a fit.

    Attributes:
        losses: float [epochs], mean loss of each.
        held_out: float32 [E, m, C], logits of the held-out pictures after each epoch, or after the last one alone where
            training does not stop early.
    """

    losses: np.ndarray
    held_out: np.ndarray


class _Batches(keras.utils.PyDataset):
    """Batches read from disk as they are needed: inputs float32, labels float32 [n, C], weights float32 [n].

    Of each map only the window of its batch is shown, where there are windows: int [batches, 2, 2], first and last row
    and column.
    """

    def __init__(
        self,
        rows: RowFile,
        numbers: np.ndarray,
        batch_size: int,
        targets: tuple[np.ndarray, ...],
        windows: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self._rows, self._numbers, self._batch_size, self._targets = rows, numbers, batch_size, targets
        self._windows = windows

    def __len__(self) -> int:
        return -(-len(self._numbers) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        batch = slice(index * self._batch_size, (index + 1) * self._batch_size)
        inputs = self._rows.read(self._numbers[batch])
        if self._windows is not None:
            (top, left), (bottom, right) = self._windows[index]
            inputs = inputs[:, top:bottom, left:right]
        inputs = inputs.astype(np.float32, copy=False)
        return (inputs, *(target[batch] for target in self._targets))


def outputs(network: keras.Model, rows: RowFile, numbers: np.ndarray, batch_size: int) -> np.ndarray:
    """What a network says of these rows: float32 [n, C], its logits, or [n, F], its features."""
    return network.predict(_Batches(rows, numbers, batch_size, ()), verbose=0)


def fit(
    network: keras.Model,
    shown: Shown,
    phase: Phase,
    recipe: Recipe,
    *,
    precision: str,
    epochs: int,
    held_out: tuple[RowFile, np.ndarray] | None,
    checkpoint: Path,
    advance: Callable[[int], None],
) -> Fitted:
    """Trains a network.

    Args:
        network: inputs → logits [N, C]; learns in place.
        shown: what from.
        phase: how long and how fast.
        recipe: seed, balance and label smoothing; what an epoch draws depends on seed and number, not on what was.
        precision: Keras' policy of what learns; under `mixed_float16` the loss is scaled, or small gradients become 0.
        epochs: after how many to stop; the learning rate falls as if it were all of the phase's.
        held_out: rows to look at without learning from them: their file, and int [m] which.
        checkpoint: a file; what it says is taken up, and it is left whole however this ends.
        advance: is told how many steps were done.
    """
    steps = phase.steps(len(shown.pictures))
    _compile(network, phase, steps, recipe.label_smoothing, precision)
    losses, said = _restore(network, checkpoint)  # what the optimizer keeps is there only once it is compiled
    advance(len(losses) * steps)
    if network.input_shape[1] is not None:  # it cannot be shown a part of a map
        phase = replace(phase, window=1.0)
    seen = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: advance(1))
    saved_at = time.monotonic()
    for epoch in range(len(losses), epochs):
        batches = _epoch(shown, phase, recipe.balance, np.random.default_rng([recipe.seed, epoch]))
        reset_randomness(network, [recipe.seed, epoch])
        # Unshuffled: the epoch is drawn in its order already, from its own seed.
        history = network.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=[seen])
        losses.append(history.history["loss"][0])
        if held_out and (recipe.early_stopping or epoch + 1 == epochs):
            with averaged(network):
                said.append(outputs(network, *held_out, phase.batch_size))
        if epoch + 1 == epochs or time.monotonic() - saved_at > _CHECKPOINT_EVERY_S:
            _save(network, checkpoint, losses, said)
            saved_at = time.monotonic()
    take_average(network)  # also where all of it was restored: what is kept are the weights beside their average
    return Fitted(np.array(losses), np.array(said, np.float32))


def _compile(network: keras.Model, phase: Phase, steps: int, label_smoothing: float, precision: str) -> None:
    network.compile(
        optimizer=descent(network, phase, steps, precision),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing),
        jit_compile=False,  # XLA on a CPU makes a step ten times slower
    )
    network.optimizer.build(network.trainable_variables)


def _epoch(shown: Shown, phase: Phase, balance: Balance, random: np.random.Generator) -> _Batches:
    examples, pictures, classes = shown.examples, shown.pictures, len(shown.examples.classes)
    labels = examples.labels[pictures]
    rarity = 1 / np.bincount(labels, minlength=classes)[labels]
    if balance == "sampling":
        chosen = random.choice(len(pictures), len(pictures), p=rarity / rarity.sum())
    else:
        chosen = random.permutation(len(pictures))
    # By their mean, so that rare codes count more and the learning rate stays.
    weights = rarity[chosen] / rarity.mean() if balance == "weights" else np.ones(len(chosen))
    variants = random.integers(0, 1 + examples.variants, len(chosen))
    targets = np.eye(classes, dtype=np.float32)[labels[chosen]]
    numbers = examples.rows(pictures[chosen], variants)
    windows = _windows(shown.rows.shape, phase.window, phase.steps(len(chosen)), random)
    return _Batches(shown.rows, numbers, phase.batch_size, (targets, weights.astype(np.float32)), windows)


def _windows(shape: tuple[int, ...], share: float, batches: int, random: np.random.Generator) -> np.ndarray | None:
    """First and last row and column of a window for each batch, int [batches, 2, 2]; None where all is shown."""
    if share == 1 or len(shape) != 3:
        return None
    sides = np.array(shape[:2])
    shown = np.maximum(1, np.rint(share * sides).astype(int))
    first = random.integers(0, sides - shown + 1, (batches, 2))
    return np.stack([first, first + shown], axis=1)


def _variables(network: keras.Model) -> list[keras.Variable]:
    """All that training changes: weights, statistics, what the optimizer keeps, and the scale of the loss, if any."""
    return [*network.weights, *network.optimizer.variables]


def _save(network: keras.Model, path: Path, losses: list[float], said: list[np.ndarray]) -> None:
    values = {f"variable_{number}": variable.numpy() for number, variable in enumerate(_variables(network))}
    with whole_or_not_at_all(path) as unfinished, open(unfinished, "wb") as stream:
        np.savez(stream, losses=np.array(losses), said=np.array(said, np.float32), **values)


def _restore(network: keras.Model, path: Path) -> tuple[list[float], list[np.ndarray]]:
    if not path.exists():
        return [], []
    with np.load(path) as saved:
        for number, variable in enumerate(_variables(network)):
            variable.assign(saved[f"variable_{number}"])
        return saved["losses"].tolist(), list(saved["said"])
