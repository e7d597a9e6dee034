"""Whether another way to learn teaches more: two thirds of the cases are learned from, and the other third measured on.

python -m benchmarks.ways_to_learn [WAY …] --cases FILE --backbone FILE.keras [--held-out shifted] [--times 3] [--third]
                                   [--epochs 11] [--variants 4] [--seed 0] [--work DIR]

Each way is held beside the first of those that are named; named are all where none is. All make the same crops, and all
are measured on the same pictures as they are. With `--epochs 0` a head learns alone, on frozen features.
"""

import argparse
import io
import math
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.special import softmax

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.pictures.decoding import PictureSize
from hs.storage.location import Location
from hs_audit.steps import Steps
from model.cases.reading import open_cases
from model.cases.variants import variant
from model.evaluation.paired import difference_of_shares
from model.measures import negative_log_likelihood, top_k
from model.quiet import quiet_import
from model.training.calibration import fit_temperature
from model.training.recipes import PRETRAINED, HeldOut, Phase, Recipe
from model.training.row_files import RowFile
from model.training.thresholds import Aims, Unseen, thresholds_by_mistake, wrong_flagged

with quiet_import():
    import keras

    from model.training.backbones import Backbone, load_backbone
    from model.training.epochs import Shown, fit
    from model.training.examples import Examples, Preparation, Vary, prepare
    from model.training.folds import hold_out
    from model.training.networks import Cut, cut, fresh_copy, head

_PARTS = 3
_NO_BOUND = 0.01  # what is asked for at 90 % confidence: as good as nothing
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
_BRIGHTNESS = np.array([0.299, 0.587, 0.114])  # of red, green and blue


def in_another_light(pixels: np.ndarray, random: np.random.Generator, far: float = 1.0) -> np.ndarray:
    """The same photo with other brightness, white balance, saturation, contrast and gamma, uint8 [H, W, 3].

    Args:
        pixels: uint8 [H, W, 3].
        random: what decides.
        far: how much may change; at 1 brightness and contrast by a third, saturation by half.
    """
    gains = np.exp(far * (random.uniform(-0.35, 0.35) + random.normal(0, 0.06, 3)))
    saturation, contrast, gamma = np.exp(far * random.uniform(-1, 1, 3) * (0.4, 0.3, 0.25))
    colours = contrast * gains[:, None] * (saturation * np.eye(3) + (1 - saturation) * _BRIGHTNESS)
    rows = np.column_stack([colours, np.full(3, (1 - contrast) * 128)])
    curve = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(int).tolist()
    return np.asarray(Image.fromarray(pixels).convert("RGB", tuple(rows.ravel().tolist())).point(curve * 3))


def by_another_camera(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same photo blurred, a poor JPEG, noisy, or with something before it, each by lot: uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    if random.random() < 0.4:
        share = random.uniform(0.25, 0.7)
        small = image.resize((max(1, int(width * share)), max(1, int(height * share))), Image.Resampling.BILINEAR)
        image = small.resize((width, height), Image.Resampling.BILINEAR)
    if random.random() < 0.4:
        saved = io.BytesIO()
        image.save(saved, "JPEG", quality=int(random.integers(12, 60)))
        image = Image.open(saved)
    seen = np.array(image)
    if random.random() < 0.3:
        seen = np.clip(seen + random.normal(0, random.uniform(4, 14), seen.shape), 0, 255).astype(np.uint8)
    if random.random() < 0.5:
        area, longer = random.uniform(0.05, 0.25), math.exp(random.uniform(-0.8, 0.8))
        high, wide = (max(1, int(side * math.sqrt(area * by))) for side, by in ((height, longer), (width, 1 / longer)))
        top, left = random.integers(0, height - high + 1), random.integers(0, width - wide + 1)
        seen[top : top + high, left : left + wide] = random.integers(0, 256, 3)
    return seen


def with_styles_mixed(maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Maps with mean and spread of each channel partly another picture's, in half of the batches (Zhou et al. 2021).

    Args:
        maps: float [n, H, W, C] of a batch.
        random: what decides.
    """
    if random.random() < 0.5:
        return maps
    maps = maps.astype(np.float32)
    mean, spread = maps.mean(axis=(1, 2), keepdims=True), maps.std(axis=(1, 2), keepdims=True) + 1e-4
    own = random.beta(0.3, 0.3, (len(maps), 1, 1, 1)).astype(np.float32)
    own, other = np.maximum(own, 1 - own), random.permutation(len(maps))
    mixed_mean, mixed_spread = (own * of + (1 - own) * of[other] for of in (mean, spread))
    return (maps - mean) / spread * mixed_spread + mixed_mean


def _then(change: Change) -> Vary:
    """A variant as ever, and then changed; the crop is the same, whatever the change draws."""

    def vary(pixels: np.ndarray, random: np.random.Generator, side: int | None) -> np.ndarray:
        return change(
            variant(pixels, random, side), np.random.default_rng(random.bit_generator.state["state"]["state"])
        )

    return vary


@dataclass(frozen=True)
class Way:
    """What is different about what is learned from, or about how.

    Attributes:
        pictures: what is done to them, by its name: variants of one kind are computed once.
        change: to the maps of a batch, at each step; None leaves them.
        tail: of the phase of the last blocks: its attributes.
    """

    pictures: str = "as-they-are"
    change: Change | None = None
    tail: Mapping[str, Any] = field(default_factory=dict)


PICTURES: dict[str, Vary] = {
    "as-they-are": variant,
    "light": _then(in_another_light),
    "far-light": _then(lambda pixels, random: in_another_light(pixels, random, 2.0)),
    "camera": _then(lambda pixels, random: by_another_camera(in_another_light(pixels, random), random)),
}
_FALLING: dict[str, Any] = {"steady": False, "averaged": 0.0}
_STEADY: dict[str, Any] = {"steady": True, "averaged": 1 / 6}
WAYS = {
    "default": Way(),
    **{name: Way(name) for name in PICTURES if name != "as-they-are"},
    "styles": Way(change=with_styles_mixed),
    **{f"falling-{rate:g}": Way(tail=_FALLING | {"learning_rate": rate}) for rate in (8e-4, 4e-4, 2e-4)},
    **{f"steady-{rate:g}": Way(tail=_STEADY | {"learning_rate": rate}) for rate in (8e-4, 4e-4, 2e-4, 1e-4)},
}


@dataclass(frozen=True)
class Changed(RowFile):
    """Rows that are changed as they are read."""

    change: Change
    random: np.random.Generator

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The rows of these numbers, changed."""
        return self.change(super().read(rows), self.random)


def main() -> None:
    """Prints a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", choices=[*WAYS, []], metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--cases", type=Location.parse, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--held-out", choices=("alike", "shifted"), default="shifted", help="(default: %(default)s)")
    parser.add_argument("--times", type=int, default=_PARTS, help="thirds that are measured on (default: %(default)s)")
    parser.add_argument("--third", action="store_true", help="learn from a third, not from two")
    parser.add_argument("--epochs", type=int, help="of the last blocks (default: those of `hs-audit train`)")
    parser.add_argument("--variants", type=int, default=4, help="of each picture (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keep what is computed on the way here")
    args = parser.parse_args()
    columns = ("top-1", "top-3", "negative log-likelihood", "best recall: heading, chapter, random")
    table = Table("way", *columns, "top-1 against the first, 95 %")
    with nullcontext(args.work) if args.work else tempfile.TemporaryDirectory() as folder:
        bench = _bench(args.backbone, args.variants, args.epochs, args.seed)
        first = None
        for name in args.ways or WAYS:
            way = WAYS[name]
            examples = bench.examples(args.cases, PICTURES[way.pictures], Path(folder) / way.pictures)
            found = bench.measure(way, examples, args.held_out, args.times, args.third)
            first = first or found
            table.add_row(name, *found.cells(first))
    Console(width=120).print(table)


@dataclass(frozen=True)
class Found:
    """Predictions of the pictures that were measured.

    Attributes:
        logits: float [N, C].
        labels: int [N].
        groups: int [N], pictures that tell as much as one.
        classes: HS codes, what the columns stand for.
    """

    logits: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    classes: tuple[str, ...]

    def cells(self, first: "Found") -> list[str]:
        """Top-1, top-3, negative log-likelihood at the best temperature, recalls, and how much above the first's."""
        right, was_right = (found.logits.argmax(axis=1) == found.labels for found in (self, first))
        above = difference_of_shares(right, was_right, np.unique(self.groups, return_inverse=True)[1])
        tempered = self.logits / fit_temperature(self.logits, self.labels)
        likelihood = negative_log_likelihood(tempered, self.labels)
        shares = (top_k(self.logits, self.labels, 1), top_k(self.logits, self.labels, 3), likelihood)
        recalls = self._recalls(softmax(tempered, axis=1))
        told = ", ".join(f"{recalls[mistake]:.2f}" for mistake in reversed(Mistake) if mistake in recalls)
        difference = f"{above.mean:+.3f} ({above.low:+.3f} to {above.high:+.3f})"
        return [*(f"{share:.3f}" for share in shares), told, difference]

    def _recalls(self, probabilities: np.ndarray) -> dict[Mistake, float]:
        """Share of wrong codes found by thresholds drawn on these very pictures for nine right flags in ten."""
        unseen = Unseen(probabilities, self.labels, self.groups, ClassTable(self.classes))
        drawn = thresholds_by_mistake(unseen, Aims(surely=_NO_BOUND))
        return {mistake: wrong_flagged(unseen, thresholds, mistake) for mistake, thresholds in drawn.items()}


@dataclass(frozen=True)
class Bench:
    """What all ways share.

    Attributes:
        backbone: the network.
        parts: where it begins to learn.
        recipe: how; without a tail a head learns alone.
    """

    backbone: Backbone
    parts: Cut
    recipe: Recipe

    def examples(self, cases: Location, vary: Vary, folder: Path) -> Examples:
        """Pictures with their variants, each made by `vary`."""
        size = PictureSize(*self.backbone.height_width)
        how = Preparation(self.backbone, self.parts, size, self.recipe.variants, self.recipe.seed, vary)
        opened = open_cases(cases)
        with Steps() as steps, steps.step(f"looking at the cases: {folder.name}", opened.count) as advance:
            return prepare(opened, how, folder, advance)

    def measure(self, way: Way, examples: Examples, held_out: HeldOut, times: int, third: bool) -> Found:
        """Measures on one part after the other, each time learned from the next one, or from both others."""
        features = examples.features
        assert features is not None

        def features_of(pictures: np.ndarray) -> np.ndarray:
            return features.read(examples.rows(pictures))

        dealt = hold_out(examples.labels, examples.groups, _PARTS, self.recipe.seed, held_out, features_of)
        said, measured = [], []
        for part in range(times):
            mine = dealt.fold_of == part
            measured.append(np.flatnonzero(mine))
            learned_from = dealt.fold_of == (part + 1) % _PARTS if third else ~mine
            said.append(self._said(way, examples, np.flatnonzero(learned_from), measured[-1]))
        pictures = np.concatenate(measured)
        return Found(np.concatenate(said), examples.labels[pictures], examples.groups[pictures], examples.classes)

    def _said(self, way: Way, examples: Examples, learned_from: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Logits [m, C] of a network that learned as `train` lets it: a head, then the last blocks with it."""
        keras.utils.set_random_seed(self.recipe.seed)
        features, rows, recipe = examples.features, examples.inputs, self.recipe
        assert features is not None
        assert recipe.head is not None
        top = head(features.shape[0], len(examples.classes), recipe.dropout)

        def learn(network: keras.Model, rows: RowFile, phase: Phase) -> np.ndarray:
            changed = rows
            if way.change and rows is not features:
                changed = Changed(rows.path, rows.shape, rows.dtype, way.change, np.random.default_rng(recipe.seed))
            with tempfile.TemporaryDirectory() as folder:
                fitted = fit(
                    network,
                    Shown(changed, learned_from, examples),
                    phase,
                    recipe,
                    precision="float32",
                    epochs=phase.epochs,
                    held_out=(rows, examples.rows(measured)),
                    checkpoint=Path(folder) / "fit.npz",
                    advance=lambda steps: None,
                )
            return fitted.held_out[-1]

        said = learn(top, features, recipe.head)
        if recipe.tail is None or self.parts.tail is None:
            return said
        tail = fresh_copy(self.parts.tail, "float32", keep_weights=True, keep_statistics=True, any_size=True)
        both = keras.Sequential([keras.Input(tail.input_shape[1:]), tail, top])
        return learn(both, rows, replace(recipe.tail, **way.tail))


def _bench(backbone: str, variants: int, epochs: int | None, seed: int) -> Bench:
    network, tail = load_backbone(backbone), PRETRAINED.tail
    assert tail is not None
    if epochs is not None:
        tail = replace(tail, epochs=epochs) if epochs else None
    recipe = replace(PRETRAINED, tail=tail, variants=variants, seed=seed)
    return Bench(network, cut(network.network, recipe.tail_share), recipe)


if __name__ == "__main__":
    main()
