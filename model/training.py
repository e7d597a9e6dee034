"""Training: a head on the features of a frozen backbone, or a small network as a whole.

The temperature and the thresholds come from held-out folds of the training cases; the model that is exported learns
from all of them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
from PIL import Image

from model.backbones import Backbone
from model.calibration import calibrated, calibration_error, draw_thresholds, fit_temperature
from model.cases import CaseFile, CasePicture
from pipeline.pictures import PictureSize
from pipeline.rules.card import Thresholds
from pipeline.rules.errors import UsageError

_FEATURE_BATCH = 32


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        epochs: passes over the pictures.
        learning_rate: of RMSprop, at the start; it falls to 0 along a cosine.
        batch_size: pictures in a step.
        variants: randomly cropped, turned and mirrored copies added to each picture.
        folds: parts that the cases are cut into.
        measured: how many of the parts are held out in turn, to draw the thresholds from.
        seed: of everything random.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    variants: int
    folds: int = 3
    measured: int = 3
    seed: int = 0


# A head on frozen features, and a small network as a whole.
HEAD = Recipe(epochs=15, learning_rate=2e-3, batch_size=128, variants=4)
WHOLE = Recipe(epochs=10, learning_rate=2e-3, batch_size=32, variants=2, measured=1)


@dataclass(frozen=True)
class Examples:
    """What the trained part learns from: features, or pixels when the whole network learns.

    Attributes:
        inputs: float32 [N, F] or uint8 [N, H, W, 3].
        labels: int [N].
        groups: int [N], the case of each; variants belong to the case of their original.
        original: bool [N], False for variants.
    """

    inputs: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    original: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Examples":
        return Examples(self.inputs[rows], self.labels[rows], self.groups[rows], self.original[rows])


@dataclass(frozen=True)
class Trained:
    """A classifier with what was measured on held-out folds.

    Attributes:
        network: float32 [N, H, W, 3] 0..255 → logits [N, C].
        classes: HS codes in the order of the outputs.
        temperature, thresholds: for the card.
        metrics: what the folds say: accuracy and calibration error before and after.
        unreadable: pictures left out, by reason.
    """

    network: keras.Model
    classes: tuple[str, ...]
    temperature: float
    thresholds: Thresholds
    metrics: dict[str, float]
    unreadable: Counter[str]


def train(
    cases: CaseFile, backbone: Backbone, size: PictureSize, recipe: Recipe, progress: Callable[[str], None]
) -> Trained:
    """Trains a classifier.

    Args:
        cases: to learn from.
        backbone: the network to put a head on.
        size: of the pixels; the backbone's input.
        recipe: how.
        progress: is told, in a sentence, what is being done.

    Raises:
        UsageError: if there are fewer than two codes, or a code has fewer cases than there are folds.
    """
    keras.utils.set_random_seed(recipe.seed)
    unreadable: Counter[str] = Counter()
    progress(f"reading {cases.cases} cases")
    examples, classes = _examples(cases, backbone, size, recipe, unreadable)
    _check_enough(examples, classes, recipe.folds)
    progress(f"measuring on {recipe.measured} of {recipe.folds} held-out parts of {len(examples.labels)} pictures")
    logits, labels = _held_out_logits(examples, backbone, len(classes), recipe)
    temperature = fit_temperature(logits, labels)
    probabilities = calibrated(logits, temperature)
    progress("training on all cases")
    learner = _fit(_learner(backbone, len(classes)), examples, recipe)
    metrics = {
        "held_out_top_1": float((logits.argmax(axis=1) == labels).mean()),
        "held_out_calibration_error": calibration_error(probabilities, labels),
        "held_out_calibration_error_before": calibration_error(calibrated(logits, 1.0), labels),
    }
    thresholds = draw_thresholds(probabilities, labels)
    return Trained(_whole(backbone, learner), classes, temperature, thresholds, metrics, unreadable)


def _examples(
    cases: CaseFile, backbone: Backbone, size: PictureSize, recipe: Recipe, unreadable: Counter[str]
) -> tuple[Examples, tuple[str, ...]]:
    random = np.random.default_rng(recipe.seed)
    codes, groups, original = [], [], []

    def pixels() -> Iterator[np.ndarray]:
        for picture in cases.pictures(size, unreadable):
            for number, variant in enumerate(_with_variants(picture, recipe.variants, random)):
                codes.append(picture.hs_code)
                groups.append(picture.case)
                original.append(number == 0)
                yield variant

    inputs = _features(pixels(), backbone) if backbone.pretrained else list(pixels())
    if not codes:
        raise UsageError(f"{cases.path} has no readable picture")
    classes, labels = np.unique(codes, return_inverse=True)
    stacked = np.concatenate(inputs) if backbone.pretrained else np.stack(inputs)
    return Examples(stacked, labels, np.array(groups), np.array(original)), tuple(str(code) for code in classes)


def _features(pixels: Iterator[np.ndarray], backbone: Backbone) -> list[np.ndarray]:
    features, batch = [], []
    for picture in pixels:
        batch.append(picture)
        if len(batch) == _FEATURE_BATCH:
            features.append(backbone.network.predict_on_batch(np.stack(batch).astype(np.float32)))
            batch.clear()
    if batch:
        features.append(backbone.network.predict_on_batch(np.stack(batch).astype(np.float32)))
    return features


def _with_variants(picture: CasePicture, variants: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    yield picture.pixels
    for _ in range(variants):
        yield _variant(picture.pixels, random)


def _variant(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A crop of 0.6 to 1 of each side, turned by up to 15 degrees, mirrored half of the time; same shape."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels).rotate(random.uniform(-15, 15), Image.Resampling.BILINEAR)
    scale = random.uniform(0.6, 1.0)
    left, top = random.uniform(0, width * (1 - scale)), random.uniform(0, height * (1 - scale))
    box = (left, top, left + width * scale, top + height * scale)
    image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def _check_enough(examples: Examples, classes: tuple[str, ...], folds: int) -> None:
    if len(classes) < 2:
        raise UsageError(f"a classifier needs cases of at least two HS codes, got only {classes[0]}")
    cases_of = {classes[label]: 0 for label in range(len(classes))}
    for label in dict(zip(examples.groups, examples.labels, strict=True)).values():
        cases_of[classes[label]] += 1
    if few := [f"{code} ({count})" for code, count in cases_of.items() if count < folds]:
        raise UsageError(
            f"each HS code needs at least {folds} cases with a readable picture; too few: {', '.join(few)}"
        )


def _held_out_logits(
    examples: Examples, backbone: Backbone, classes: int, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, C] and labels [N] of the original pictures, each from a network that had not seen its case."""
    fold_of = held_out_folds(examples.labels, examples.groups, recipe.folds)
    logits, labels = [], []
    for fold in range(recipe.measured):
        learner = _fit(_learner(backbone, classes), examples[np.flatnonzero(fold_of != fold)], recipe)
        held_out = examples[np.flatnonzero((fold_of == fold) & examples.original)]
        logits.append(learner.predict(held_out.inputs, batch_size=recipe.batch_size, verbose=0))
        labels.append(held_out.labels)
    return np.concatenate(logits), np.concatenate(labels)


def held_out_folds(labels: np.ndarray, cases: np.ndarray, folds: int) -> np.ndarray:
    """The fold in which each picture is held out, int [N].

    The cases of each code are cut into blocks of neighbours: what stands together in a file of cases was often
    photographed together, and a shuffled split would measure on pictures nearly like those learned from.

    >>> held_out_folds(np.zeros(6, int), np.arange(6), 3).tolist()
    [0, 0, 1, 1, 2, 2]

    Args:
        labels: int [N], the class of each picture.
        cases: int [N], the case of each, in the order of the file.
        folds: how many.
    """
    fold_of = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        mine = labels == label
        distinct, case_of = np.unique(cases[mine], return_inverse=True)
        fold_of[mine] = case_of * folds // len(distinct)
    return fold_of


def _learner(backbone: Backbone, classes: int) -> keras.Model:
    """The part that learns, ending in logits: the head, or a fresh copy of the whole network with a head."""
    if backbone.pretrained:
        features = keras.Input(backbone.network.output_shape[1:], name="features")
        return keras.Model(features, _head(features, classes))
    network = keras.models.clone_model(backbone.network)
    return keras.Model(network.input, _head(network.output, classes))


def _head(features, classes: int):
    return keras.layers.Dense(classes, name="logits")(keras.layers.Dropout(0.5)(features))


def _fit(learner: keras.Model, examples: Examples, recipe: Recipe) -> keras.Model:
    steps = recipe.epochs * -(-len(examples.labels) // recipe.batch_size)
    learner.compile(
        optimizer=keras.optimizers.RMSprop(keras.optimizers.schedules.CosineDecay(recipe.learning_rate, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    learner.fit(examples.inputs, examples.labels, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
    return learner


def _whole(backbone: Backbone, learner: keras.Model) -> keras.Model:
    if not backbone.pretrained:
        return learner
    images = backbone.network.input
    return keras.Model(images, learner(backbone.network(images, training=False)))
