"""Training: cases → a calibrated classifier.

    examples ──► three folds held out in turn ──► calibration, thresholds, number of epochs
        └──────► all of them ──► the classifier

Each fit has two phases where the backbone is pretrained: a head on its features, then its last blocks with the head.
Whatever is computed is kept in a work folder, so that a training that was interrupted goes on where it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from scipy.special import softmax

from hs.card import Mistake, Thresholds
from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from model.cases.reading import Cases, Unreadable
from model.keys import key_of
from model.measures import calibration_error, negative_log_likelihood, top_k
from model.task import Task
from model.training.backbones import Backbone
from model.training.calibration import Calibration, fit_calibration, flagged_share, thresholds_by_mistake
from model.training.epochs import Fitted, Shown, fit, outputs
from model.training.examples import Examples, Preparation, prepare
from model.training.networks import Cut, Devices, cut, fresh_copy, head, weights_digest
from model.training.novelty import MOST_EXAMPLES, Seen, look_at
from model.training.recipes import Phase, Recipe
from model.training.row_files import RowFile
from model.training.unknown_goods import KnownGoods, draw

_BATCHES_AT_ONCE = 64  # whole ones, as a network's answer depends in its last bits on the batch around a picture


@dataclass(frozen=True)
class Trained:
    """A classifier with what was measured on held-out cases.

    Attributes:
        network: float32 [N, H, W, 3] 0..255 → logits [N, C] and features [N, F].
        seen: what it learned from, to tell unknown goods.
        classes: HS codes in the order of the outputs.
        calibration: logits → probabilities.
        thresholds: for the card, by the kind of mistake.
        metrics: what the held-out cases say.
        epochs: how many the last phase had.
        unreadable: pictures left out.
    """

    network: keras.Model
    seen: Seen
    classes: tuple[str, ...]
    calibration: Calibration
    thresholds: dict[Mistake, Thresholds]
    metrics: dict[str, float]
    epochs: int
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True)
class _Learner:
    """What learns: the tail of a backbone, if any, the head on it, and both as one network."""

    tail: keras.Model | None
    head: keras.Model
    both: keras.Model | None

    def phases(self, recipe: Recipe) -> Iterator[tuple[str, Phase, keras.Model]]:
        if recipe.head:
            yield "head", recipe.head, self.head
        if recipe.tail and self.both is not None:
            yield "blocks", recipe.tail, self.both


def _nobody(sentence: str) -> None:
    """Listens to none."""


@dataclass(frozen=True)
class Trainer:
    """What every fit of a training shares.

    Attributes:
        backbone: the network to learn with; its weights are changed by `train`.
        recipe: how.
        devices: where.
        folder: for what is computed on the way.
        task: tells how far it is.
        say: is told in a sentence what was found.
    """

    backbone: Backbone
    recipe: Recipe
    devices: Devices
    folder: Path
    task: Task
    say: Callable[[str], None] = _nobody

    @property
    def size(self) -> PictureSize:
        """Of the pixels that the backbone takes."""
        return PictureSize(*self.backbone.height_width)

    def train(self, cases: Cases, tune_on: Cases | None = None) -> Trained:
        """Trains a classifier.

        Args:
            cases: to learn from.
            tune_on: cases of the same codes to draw temperature, thresholds and epochs from, instead of held-out folds.

        Raises:
            UsageError: if there are fewer than two codes, or a code has fewer different cases than there are folds.
        """
        least = 1 if tune_on else self.recipe.folds
        codes = Counter(cases.codes())
        _check_enough(codes, least)  # what can be said before any picture is decoded, which takes minutes
        parts = self._cut()
        examples = self._examples(cases, parts, self.recipe.variants)
        if examples.grouping:
            for sentence in (examples.grouping.sentence, *examples.grouping.refusals):
                self.say(sentence)
        _check_enough(dict.fromkeys(codes, 0) | _different_cases(examples), least)
        learned = None
        if tune_on is None:
            said, novelty, held_out = self._on_folds(examples, parts)
            labels, groups = examples.labels[held_out], examples.groups[held_out]
        else:
            others = self._examples(tune_on, parts, 0)  # measured as they are, without variants
            learned, said, novelty, labels = self._on_others(examples, parts, others)
            groups = others.groups
        losses = [negative_log_likelihood(logits, labels) for logits in said]
        epochs = int(np.argmin(losses)) + 1 if self.recipe.early_stopping else self.recipe.last.epochs
        logits = said[np.argmin(losses)]
        blocks = held_out_folds(labels, groups, self.recipe.folds)
        calibration, probabilities = fit_calibration(logits, labels, blocks)
        if learned is None or epochs < self.recipe.last.epochs:
            learned, _ = self._fit("all", examples, parts, np.arange(len(examples.labels)), epochs=epochs)
        thresholds = thresholds_by_mistake(
            probabilities, labels, examples.classes, self.recipe.precision, self.recipe.wrong_share
        )
        unknown = draw([KnownGoods(novelty, groups)], self.recipe.unknown_share)
        thresholds = {mistake: replace(drawn, **asdict(unknown)) for mistake, drawn in thresholds.items()}
        flagged = flagged_share(probabilities, labels, thresholds[Mistake.AT_RANDOM].differs_below)
        return Trained(
            self._assembled(parts, learned),
            self._seen(learned, examples, np.arange(len(examples.labels))),
            examples.classes,
            calibration,
            thresholds,
            _metrics(logits, probabilities, labels) | {"held_out_flagged_share_of_wrong": flagged},
            epochs,
            examples.unreadable,
        )

    def _cut(self) -> Cut:
        """The backbone in two; one without weights learns as a whole, as random ones are worth nothing."""
        if not self.backbone.pretrained:
            return cut(self.backbone.network, 1.0)
        return cut(self.backbone.network, self.recipe.tail_share if self.recipe.tail else 0.0)

    def _examples(self, cases: Cases, parts: Cut, variants: int) -> Examples:
        how = Preparation(self.backbone, parts, self.size, variants, self.recipe.seed)
        learns = parts.tail.count_params() if parts.tail else 0
        network = self.backbone.network  # random weights decide on nothing: a new network draws its own
        weights = weights_digest(network) if self.backbone.pretrained else [each.shape for each in network.weights]
        facts = [cases.digest(), cases.all_pictures, self.backbone.name, weights, learns, "thumbnails"]
        key = key_of(*facts, asdict(self.size), variants, self.recipe.seed)
        with self.task(f"looking at the cases of {cases.path.name}", cases.count) as advance:
            return prepare(cases, how, self.folder / f"pictures-{key}", advance)

    def _on_folds(self, examples: Examples, parts: Cut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits [E, N, C] and novelty [N] from networks that had not seen the like, and the pictures, int [N]."""
        fold_of = held_out_folds(examples.labels, examples.groups, self.recipe.folds)
        said, novelty, pictures = [], [], []
        for fold in range(self.recipe.measured):
            held_out = np.flatnonzero((fold_of == fold) & ~examples.generated)
            name = f"part {fold + 1} of {self.recipe.folds} held out"
            learned_from = np.flatnonzero(fold_of != fold)
            learner, fitted = self._fit(name, examples, parts, learned_from, held_out=(examples, held_out))
            said.append(fitted.held_out)
            seen = self._seen(learner, examples, learned_from)
            novelty.append(self._novelty(seen, learner, examples, held_out))
            pictures.append(held_out)
        return np.concatenate(said, axis=1), np.concatenate(novelty), np.concatenate(pictures)

    def _on_others(
        self, examples: Examples, parts: Cut, others: Examples
    ) -> tuple[_Learner, np.ndarray, np.ndarray, np.ndarray]:
        """What learned from all cases; logits [E, N, C], novelty [N] and labels [N] of others, whose codes it knows."""
        numbers, everything = np.arange(len(others.labels)), np.arange(len(examples.labels))
        learned, fitted = self._fit("all", examples, parts, everything, held_out=(others, numbers))
        novelty = self._novelty(self._seen(learned, examples, everything), learned, others, numbers)
        column = {code: number for number, code in enumerate(examples.classes)}
        labels = np.array([column[others.classes[label]] for label in others.labels])
        return learned, fitted.held_out, novelty, labels

    def _seen(self, learner: _Learner, examples: Examples, pictures: np.ndarray) -> Seen:
        """What a learner has seen; of very many pictures an even choice."""
        step = -(-len(pictures) // MOST_EXAMPLES)
        return look_at(self._features(learner, examples, pictures[::step]))

    def _novelty(self, seen: Seen, learner: _Learner, examples: Examples, pictures: np.ndarray) -> np.ndarray:
        """How unlike these pictures are to what was seen, float32 [n]; few features are held at a time."""
        at_once = _BATCHES_AT_ONCE * self.recipe.last.batch_size
        parts = [pictures[start : start + at_once] for start in range(0, len(pictures), at_once)]
        return np.concatenate([seen.novelty(self._features(learner, examples, part)) for part in parts])

    def _features(self, learner: _Learner, examples: Examples, pictures: np.ndarray) -> np.ndarray:
        """What the head is shown of these pictures, float32 [n, F]."""
        if learner.tail is None:
            return _rows(examples, "head").read(examples.rows(pictures))
        found = outputs(learner.tail, examples.inputs, examples.rows(pictures), self.recipe.last.batch_size)
        return found.astype(np.float32, copy=False)  # a tail in mixed precision gives half of it

    def _fit(
        self,
        name: str,
        examples: Examples,
        parts: Cut,
        pictures: np.ndarray,
        *,
        epochs: int | None = None,
        held_out: tuple[Examples, np.ndarray] | None = None,
    ) -> tuple[_Learner, Fitted]:
        """Both phases from the beginning; the last one has so many epochs, and is measured on what is held out."""
        recipe = self.recipe
        facts = [asdict(recipe), asdict(self.devices), examples.name, name]
        keras.utils.set_random_seed(recipe.seed)  # before the learner is made: its first weights are drawn from it
        with self.devices.scope():
            learner = self._learner(parts, len(examples.classes))
            for part, phase, network in learner.phases(recipe):
                last = phase is recipe.last
                length = epochs or phase.epochs if last else phase.epochs
                measured = held_out if last else None
                key = key_of(*facts, part, length, measured and measured[0].name)
                with self.task(f"{name}: {part}", length * phase.steps(len(pictures))) as advance:
                    fitted = fit(
                        network,
                        Shown(_rows(examples, part), pictures, examples),
                        phase,
                        recipe,
                        precision=self.devices.precision,
                        epochs=length,
                        held_out=_held_out_rows(measured, part) if measured else None,
                        checkpoint=self.folder / f"fit-{key}.npz",
                        advance=advance,
                    )
        return learner, fitted

    def _learner(self, parts: Cut, classes: int) -> _Learner:
        top = head(self.backbone.network.output_shape[1], classes, self.recipe.dropout)
        if parts.tail is None:
            return _Learner(None, top, None)
        pretrained = self.backbone.pretrained
        tail = fresh_copy(parts.tail, self.devices.precision, keep_weights=pretrained, keep_statistics=pretrained)
        return _Learner(tail, top, keras.Sequential([keras.Input(parts.shape), tail, top]))

    def _assembled(self, parts: Cut, learned: _Learner) -> keras.Model:
        """The whole network in float32, pixels → logits and features; the backbone takes up what its tail learned."""
        if learned.tail is not None and parts.tail is not None:
            parts.tail.set_weights(learned.tail.get_weights())
        features, classes = learned.head.get_weights()[0].shape
        single = head(features, classes, self.recipe.dropout)
        single.set_weights(learned.head.get_weights())
        found = self.backbone.network.output
        return keras.Model(self.backbone.network.input, [single(found), found])


def held_out_folds(labels: np.ndarray, groups: np.ndarray, folds: int) -> np.ndarray:
    """The fold in which each picture is held out, int [N].

    The groups of each code are cut into blocks of neighbours: what stands together in a file of cases was often
    photographed together, and a shuffled split would measure on pictures nearly like those learned from.

    >>> held_out_folds(np.zeros(6, int), np.arange(6), 3).tolist()
    [0, 0, 1, 1, 2, 2]

    Args:
        labels: int [N], the class of each picture.
        groups: int [N], what stays together, in the order of the file.
        folds: how many.
    """
    fold_of: dict[int, int] = {}
    for label in np.unique(labels):
        distinct = np.unique(groups[labels == label])
        for place, group in enumerate(distinct.tolist()):
            # A group of two codes stays in one fold: that of the first.
            fold_of.setdefault(group, place * folds // len(distinct))
    return np.array([fold_of[group] for group in groups.tolist()])


def _rows(examples: Examples, part: str) -> RowFile:
    rows = examples.inputs if part == "blocks" else examples.features
    assert rows is not None
    return rows


def _held_out_rows(held_out: tuple[Examples, np.ndarray], part: str) -> tuple[RowFile, np.ndarray]:
    examples, pictures = held_out
    return _rows(examples, part), examples.rows(pictures)


def _different_cases(examples: Examples) -> dict[str, int]:
    """HS code → how many cases there are, those alike as one."""
    labels, groups = examples.labels, examples.groups
    return {code: len(np.unique(groups[labels == label])) for label, code in enumerate(examples.classes)}


def _check_enough(different: Mapping[str, int], least: int) -> None:
    """Refuses what cannot be learned from, given how many different cases each HS code has."""
    if len(different) < 2:
        raise UsageError(f"a classifier needs cases of at least two HS codes, got {', '.join(different) or 'none'}")
    if few := [f"{code} ({count})" for code, count in sorted(different.items()) if count < least]:
        raise UsageError(
            f"each HS code needs at least {least} different cases with a readable picture; too few: {', '.join(few)}"
        )


def _metrics(logits: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {
        "held_out_pictures": len(labels),
        "held_out_top_1": top_k(probabilities, labels, 1),
        "held_out_top_3": top_k(probabilities, labels, 3),
        "held_out_calibration_error": calibration_error(probabilities, labels),
        "held_out_calibration_error_before": calibration_error(softmax(logits, axis=1), labels),
    }
