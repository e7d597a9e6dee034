"""A grid of experiments from one YAML file: what it says, and which cells it has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hs.settings import Settings, load_settings
from model.cases.data_sets import PRESETS

Count = Annotated[int, Field(ge=1)]


class Drawn(Settings):
    """A data set: a preset of the paper, or made before by `hs-audit dataset`."""

    preset: Literal["paper-1", "paper-2", "paper-3"] | None = None
    path: Path | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "Drawn":
        if (self.preset is None) == (self.path is None):
            raise ValueError(f"give a preset, one of {', '.join(PRESETS)}, or the path of a data set")
        return self


class Sweep(Settings):
    """Cells that are compared with each other: every combination of what is listed."""

    name: str
    datasets: Annotated[list[str], Field(min_length=1)]
    backbones: Annotated[list[str], Field(min_length=1)]
    epochs: Annotated[list[Count], Field(min_length=1)]
    batch_sizes: Annotated[list[Count], Field(min_length=1)] | None = None
    best_batch_size_of: str | None = None

    @model_validator(mode="after")
    def _one_batch_size_rule(self) -> "Sweep":
        if (self.batch_sizes is None) == (self.best_batch_size_of is None):
            raise ValueError("give batch_sizes, or best_batch_size_of with the name of an earlier sweep")
        return self


class Learning(Settings):
    """How each cell learns; the paper's values where nothing is given.

    Attributes:
        learning_rate: of RMSprop.
        steady: whether it stays the same throughout.
        dropout: before the last layer.
        fine_tune: share of the backbone's weights that learns with the head; 0 is the head alone.
        label_smoothing: share of each label that is spread over all classes.
        variants: random copies of each picture, cropped, turned and mirrored; data sets of the paper bring theirs.
        front: learning rate of the first layer fine-tuned, as a share of the last one's.
        averaged: share of the steps of fine-tuning whose weights are averaged; 0 keeps the last.
        window: share of each side of the map that a step of fine-tuning is shown.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    steady: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    fine_tune: Annotated[float, Field(ge=0, le=1)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    variants: Annotated[int, Field(ge=0)] = 0
    front: Annotated[float, Field(gt=0, le=1)] = 1.0
    averaged: Annotated[float, Field(ge=0, le=1)] = 0.0
    window: Annotated[float, Field(gt=0, le=1)] = 1.0


class Experiments(Settings):
    """A grid of experiments."""

    cases: str | None = None
    output: Path
    seed: int = 0
    size: Annotated[int, Field(ge=32)] = 224
    weights: str | dict[str, str] = "imagenet"
    datasets: Annotated[dict[str, Drawn], Field(min_length=1)]
    learning: Learning = Learning()
    sweeps: Annotated[list[Sweep], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_known(self) -> "Experiments":
        earlier: set[str] = set()
        for sweep in self.sweeps:
            if unknown := set(sweep.datasets) - self.datasets.keys():
                raise ValueError(f"sweep {sweep.name!r} names an unknown data set, {sorted(unknown)[0]!r}")
            if sweep.best_batch_size_of and sweep.best_batch_size_of not in earlier:
                raise ValueError(
                    f"sweep {sweep.name!r} refers to {sweep.best_batch_size_of!r}, which is no earlier sweep"
                )
            if sweep.name in earlier:
                raise ValueError(f"two sweeps are called {sweep.name!r}")
            earlier.add(sweep.name)
        if self.cases is None and any(drawn.preset for drawn in self.datasets.values()):
            raise ValueError("presets are drawn from cases, so `cases` must be given")
        return self

    def weights_of(self, backbone: str) -> str | None:
        """`imagenet`, `none` or a file, of one backbone."""
        return self.weights if isinstance(self.weights, str) else self.weights.get(backbone)


class Cell(Settings):
    """One training and its measurement."""

    sweep: str
    dataset: str
    backbone: str
    epochs: Count
    batch_size: Count


def cells_of(sweep: Sweep, best_batch_size: int | None) -> Iterator[Cell]:
    """Every combination of a sweep, in the order of the file."""
    batch_sizes = sweep.batch_sizes if sweep.batch_sizes or best_batch_size is None else [best_batch_size]
    for dataset in sweep.datasets:
        for backbone in sweep.backbones:
            for epochs in sweep.epochs:
                for batch_size in batch_sizes or ():
                    yield Cell(
                        sweep=sweep.name, dataset=dataset, backbone=backbone, epochs=epochs, batch_size=batch_size
                    )


def load_experiments(path: Path) -> Experiments:
    """Reads a grid.

    Raises:
        UsageError: where a key is missing, wrong or unknown.
    """
    return load_settings(path, Experiments)
