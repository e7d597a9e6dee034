"""Training: cases → a calibrated classifier.

    examples ──► three folds held out in turn ──► calibration, thresholds, number of epochs
        └──────► all of them ──► the classifier

Each fit has two phases where the backbone is pretrained: a head on its features, then its last blocks with the head.
Whatever is computed is kept in a work folder, so that a training that was interrupted goes on where it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.pictures.decoding import PictureSize
from hs.text import counted
from model.cases.reading import Cases
from model.keys import key_of
from model.measures import negative_log_likelihood
from model.task import Task
from model.training.backbones import Backbone
from model.training.calibration import fit_calibration
from model.training.curves import Curve, curve_of
from model.training.enough import check_enough, different_cases, large_enough, left_out, small_codes
from model.training.epochs import Fitted, Shown, fit, outputs
from model.training.examples import Examples, Preparation, prepare
from model.training.folding import folded
from model.training.folds import Folds, deal, hold_out, quarters_shifted
from model.training.held_out import HeldOut, together
from model.training.networks import Cut, Devices, cut, fresh_copy, head
from model.training.novelty import MOST_EXAMPLES, Seen, look_at, look_at_frozen, marks
from model.training.precedents import Precedents, look_for_precedents
from model.training.recipes import Phase, Recipe
from model.training.row_files import RowFile
from model.training.thresholds import Unseen, aims_of, thresholds_by_mistake, wrong_flagged
from model.training.trained import Trained, held_out_metrics
from model.training.unknown_goods import KnownGoods, by_scenes, draw, novelty_held_out
from model.training.work import one_at_a_time

_BATCHES_AT_ONCE = 64  # whole ones, as a network's answer depends in its last bits on the batch around a picture
_MAPS_AT_ONCE = 256  # of VGG 100 MB
_PARTS_OF_FROZEN = 5  # docs/verdicts.md: held out by thirds, known goods look newer than those of other shops are


@dataclass(frozen=True)
class _Learner:
    """What learns: the tail of a backbone, if any, the head on it, both as one; and whether a part before is frozen."""

    tail: keras.Model | None
    head: keras.Model
    both: keras.Model | None
    frozen: bool = False

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
        if self.recipe.groups:
            cases.column(self.recipe.groups)  # says at once where there is none
        parts = self._cut()
        cases, examples = self._enough_examples(cases, parts, 1 if tune_on else self.recipe.folds)
        places = _numbered(cases.column(self.recipe.groups))[examples.cases] if self.recipe.groups else None
        learned = None
        if tune_on is None:
            folds = self._folds(examples, places)
            said, novelty, held_out, curves = self._on_folds(examples, parts, folds.fold_of)
            labels, groups, shifted = examples.labels[held_out], examples.groups[held_out], folds.shifted[held_out]
            # Confusions are counted on other folds; where one alone is held out, on others of its groups.
            blocks = folds.fold_of[held_out]
            if self.recipe.measured == 1:
                blocks = deal(groups, labels, self.recipe.folds, self.recipe.seed)
            known = self._known_goods(examples, places) if novelty is None else _by_way(novelty, groups, shifted)
        else:
            tune_on = tune_on.without(set(tune_on.codes()) - set(examples.classes))
            others = self._examples(tune_on, parts, 0)  # measured as they are, without variants
            learned, said, novelty, labels, curves = self._on_others(examples, parts, others)
            groups, shifted = others.groups, None
            blocks = deal(groups, labels, self.recipe.folds, self.recipe.seed)
            known = [KnownGoods(novelty, groups)]
        losses = [negative_log_likelihood(logits, labels) for logits in said]
        epochs = int(np.argmin(losses)) + 1 if self.recipe.early_stopping else self.recipe.last.epochs
        logits = said[np.argmin(losses)]
        calibration, probabilities = fit_calibration(logits, labels, blocks)
        if learned is None or epochs < self.recipe.last.epochs:
            everything = np.arange(len(examples.labels))
            learned, _, of_all = self._fit("all", examples, parts, everything, epochs=epochs)
            curves += of_all
        unseen = Unseen(probabilities, labels, groups, ClassTable(examples.classes))
        thresholds = thresholds_by_mistake(unseen, aims_of(self.recipe.precision, self.recipe.wrong_share))
        unknown = draw(known, self.recipe.unknown_share)
        thresholds = {mistake: replace(drawn, **asdict(unknown)) for mistake, drawn in thresholds.items()}
        flagged = wrong_flagged(unseen, thresholds[Mistake.AT_RANDOM], Mistake.AT_RANDOM)
        return Trained(
            self._assembled(parts, learned),
            self._seen(learned, examples, np.arange(len(examples.labels))),
            self._precedents(learned, examples, [case.case_id for case in cases.rows(False)]),
            examples.classes,
            calibration,
            thresholds,
            held_out_metrics(logits, probabilities, labels, shifted) | {"held_out_flagged_share_of_wrong": flagged},
            epochs,
            examples.unreadable,
            {"groups": _about_groups(examples)},
            tuple(curves),
        )

    def held_out(self, cases: Cases) -> HeldOut:
        """What is said of each case by what learned neither from it nor from its like; nothing is exported.

        Cases that were generated are learned from and not told of; those of codes that are left out are neither.

        Args:
            cases: to learn from and to tell of.

        Raises:
            UsageError: if there are fewer than two codes, or a code has fewer different cases than there are folds.
        """
        parts = self._cut()
        large, examples = self._enough_examples(cases, parts, self.recipe.folds)
        folds = self._folds(examples, None)
        said, _, pictures, _ = self._on_folds(examples, parts, folds.fold_of)
        numbers = np.flatnonzero([code not in large.without_codes for code in cases.codes()])
        return together(said[-1], numbers[examples.cases[pictures]], examples.labels[pictures], examples.classes)

    def _enough_examples(self, cases: Cases, parts: Cut, least: int) -> tuple[Cases, Examples]:
        """The cases whose codes may have enough, and examples of all codes that have: what is left out is said."""
        wanted = self.recipe.drop_small_codes
        cases, small = large_enough(cases, least, wanted)
        if small:
            self.say(left_out(small, wanted))
        examples = self._examples(cases, parts, self.recipe.variants)
        if examples.grouping:
            for sentence in examples.grouping.sentences:
                self.say(sentence)
        if small := small_codes(examples, wanted):
            self.say(left_out(small, wanted))
            examples = examples.without(small)
        check_enough(dict.fromkeys(set(cases.codes()) - set(small), 0) | different_cases(examples), least)
        return cases, examples

    def _folds(self, examples: Examples, places: np.ndarray | None) -> Folds:
        """Which pictures are held out together; says so where it is not as a matter of course."""

        def features_of(pictures: np.ndarray) -> np.ndarray:
            if examples.features is not None:
                return examples.features.read(examples.rows(pictures))
            return _coarse(examples.inputs.read(examples.rows(pictures)))  # nothing has learned to see yet

        recipe = self.recipe
        how = (recipe.folds, recipe.seed, recipe.held_out)
        in_bursts = examples.grouping.in_bursts if examples.grouping else None
        folds = hold_out(examples.labels, examples.groups, *how, features_of, places, in_bursts)
        if places is None and recipe.held_out == "both":
            quarters = quarters_shifted(in_bursts)
            why = f", as {in_bursts:.0%} of the pictures are of a burst" if in_bursts is not None else ""
            self.say(f"held out: {counted(quarters, 'quarter')} of each code by looks, {4 - quarters} at random{why}")
        if places is not None:
            known = places[places >= 0]
            alone = examples.labels[~folds.shifted] if recipe.held_out != "alike" else []
            codes = ", ".join(examples.classes[label] for label in np.unique(alone).astype(int))
            self.say(
                f"held out by {recipe.groups}: {counted(len(np.unique(known)), 'value')}; "
                f"{counted(int((places < 0).sum()), 'picture')} without one"
                + (f"; cases of {codes} are of one value alone, and held out like others" if codes else "")
            )
        return folds

    def _cut(self) -> Cut:
        """The backbone in two; one without weights learns as a whole, as random ones are worth nothing."""
        if not self.backbone.pretrained:
            return cut(self.backbone.network, 1.0)
        return cut(self.backbone.network, self.recipe.tail_share if self.recipe.tail else 0.0)

    def _examples(self, cases: Cases, parts: Cut, variants: int) -> Examples:
        how = Preparation(self.backbone, parts, self.size, variants, self.recipe.seed)
        learns = parts.tail.count_params() if parts.tail else 0
        facts = [cases.digest(), cases.all_pictures, self.backbone.name, self.backbone.known_by, learns, "thumbnails"]
        key = key_of(*facts, asdict(self.size), variants, self.recipe.seed)
        looking = self.task(f"looking at the cases of {cases.path.name}", cases.count)
        with looking as advance, one_at_a_time(self.folder / f"pictures-{key}.lock"):
            return prepare(cases, how, self.folder / f"pictures-{key}", advance)

    def _on_folds(
        self, examples: Examples, parts: Cut, fold_of: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[Curve]]:
        """Logits [E, N, C] and novelty [N] from networks that had not seen the like, the pictures, int [N], and curves.

        Novelty is None where it goes by what is frozen: see `_known_goods`.
        """
        said, novelty, pictures = [], [], []
        curves: list[Curve] = []
        for fold in range(self.recipe.measured):
            held_out = np.flatnonzero((fold_of == fold) & ~examples.generated)
            name = f"part {fold + 1} of {self.recipe.folds} held out"
            learned_from = np.flatnonzero(fold_of != fold)
            learner, fitted, of_fold = self._fit(name, examples, parts, learned_from, held_out=(examples, held_out))
            said.append(fitted.held_out)
            curves += of_fold
            if not learner.frozen:
                seen = self._seen(learner, examples, learned_from)
                novelty.append(self._novelty(seen, learner, examples, held_out))
            pictures.append(held_out)
        together = np.concatenate(novelty) if novelty else None
        return np.concatenate(said, axis=1), together, np.concatenate(pictures), curves

    def _on_others(
        self, examples: Examples, parts: Cut, others: Examples
    ) -> tuple[_Learner, np.ndarray, np.ndarray, np.ndarray, list[Curve]]:
        """What learned from all cases; logits [E, N, C], novelty [N] and labels [N] of others, whose codes it knows."""
        numbers, everything = np.arange(len(others.labels)), np.arange(len(examples.labels))
        learned, fitted, curves = self._fit("all", examples, parts, everything, held_out=(others, numbers))
        novelty = self._novelty(self._seen(learned, examples, everything), learned, others, numbers)
        return learned, fitted.held_out, novelty, _labels(others, numbers, examples.classes), curves

    def _seen(self, learner: _Learner, examples: Examples, pictures: np.ndarray) -> Seen:
        """What a learner has seen; of very many pictures an even choice."""
        rows = self._features(learner, examples, _evenly(pictures))
        return look_at_frozen(rows) if learner.frozen else look_at(rows)

    def _precedents(self, learner: _Learner, examples: Examples, case_ids: list[str]) -> Precedents:
        """The original pictures, and whose they are; those that were generated only where there are no others."""
        originals = np.flatnonzero(~examples.generated)
        pictures = originals if len(originals) else np.arange(len(examples.labels))
        whose = [case_ids[case] for case in examples.cases[pictures].tolist()]
        features_of = partial(self._features, learner, examples)
        return look_for_precedents(features_of, pictures, examples.labels[pictures], whose, MOST_EXAMPLES)

    def _novelty(self, seen: Seen, learner: _Learner, examples: Examples, pictures: np.ndarray) -> np.ndarray:
        """How unlike these pictures are to what was seen, float32 [n]; few features are held at a time."""
        at_once = _BATCHES_AT_ONCE * self.recipe.last.batch_size
        parts = [pictures[start : start + at_once] for start in range(0, len(pictures), at_once)]
        return np.concatenate([seen.novelty(self._features(learner, examples, part)) for part in parts])

    def _features(self, learner: _Learner, examples: Examples, pictures: np.ndarray) -> np.ndarray:
        """What novelty goes by, float32 [n, F]: what is frozen tells unknown goods better than what has learned."""
        if learner.tail is None or learner.frozen:
            return _marks(examples, pictures)
        found = outputs(learner.tail, examples.inputs, examples.rows(pictures), self.recipe.last.batch_size)
        return found.astype(np.float32, copy=False)  # a tail in mixed precision gives half of it

    def _known_goods(self, examples: Examples, places: np.ndarray | None) -> list[KnownGoods]:
        """Known goods held out like the cases, and as from elsewhere: what is frozen needs no training for either."""
        pictures = _evenly(np.flatnonzero(~examples.generated))
        rows = _marks(examples, pictures)
        labels, groups = examples.labels[pictures], examples.groups[pictures]
        places = None if places is None else places[pictures]

        def features_of(some: np.ndarray) -> np.ndarray:
            assert examples.features is not None
            return examples.features.read(examples.rows(pictures[some]))

        dealt = (_PARTS_OF_FROZEN, self.recipe.seed)
        folds = hold_out(labels, groups, *dealt, self.recipe.held_out, features_of, places)
        known = _by_way(novelty_held_out(rows, folds.fold_of), groups, folds.shifted)
        if places is None and self.recipe.held_out != "alike":
            known.append(by_scenes(rows, labels, groups, *dealt))
        return known

    def _fit(
        self,
        name: str,
        examples: Examples,
        parts: Cut,
        pictures: np.ndarray,
        *,
        epochs: int | None = None,
        held_out: tuple[Examples, np.ndarray] | None = None,
    ) -> tuple[_Learner, Fitted, list[Curve]]:
        """Both phases from the beginning; the last one has so many epochs, and is measured on what is held out."""
        recipe, curves = self.recipe, []
        facts = [asdict(recipe), asdict(self.devices), examples.name, examples.classes, name, pictures.tolist()]
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
                looked_at = (fitted.held_out, _labels(*measured, examples.classes)) if measured else None
                curves.append(curve_of(name, part, fitted.losses, looked_at, recipe.label_smoothing))
        return learner, fitted, curves

    def _learner(self, parts: Cut, classes: int) -> _Learner:
        top = head(self.backbone.network.output_shape[1], classes, self.recipe.dropout)
        if parts.tail is None:
            return _Learner(None, top, None, frozen=True)
        pretrained = self.backbone.pretrained
        tail = fresh_copy(
            parts.tail,
            self.devices.precision,
            keep_weights=pretrained,
            keep_statistics=pretrained,
            any_size=self.recipe.last.window < 1,
        )
        both = keras.Sequential([keras.Input(tail.input_shape[1:]), tail, top])
        return _Learner(tail, top, both, frozen=parts.stem is not None)

    def _assembled(self, parts: Cut, learned: _Learner) -> keras.Model:
        """The whole network in float32, pixels → logits and what novelty goes by; the backbone learns from its tail."""
        if learned.tail is not None and parts.tail is not None:
            parts.tail.set_weights(learned.tail.get_weights())
        features, classes = learned.head.get_weights()[0].shape
        single = head(features, classes, self.recipe.dropout)
        single.set_weights(learned.head.get_weights())
        found = self.backbone.network.output
        goes_by = parts.stem.output if learned.frozen and parts.stem is not None else found
        return folded(keras.Model(self.backbone.network.input, [single(found), goes_by]))


def _numbered(column: list[str | None]) -> np.ndarray:
    """Values as numbers, int [N]; -1 where nothing is said."""
    number = {value: place for place, value in enumerate(sorted({value for value in column if value is not None}))}
    return np.array([-1 if value is None else number[value] for value in column])


def _by_way(novelty: np.ndarray, groups: np.ndarray, shifted: np.ndarray) -> list[KnownGoods]:
    """Known goods by how they were held out."""
    return [KnownGoods(novelty[way], groups[way]) for way in (shifted, ~shifted) if way.any()]


def _evenly(pictures: np.ndarray) -> np.ndarray:
    """Of very many pictures as many as novelty can be told by."""
    return pictures[:: -(-len(pictures) // MOST_EXAMPLES)]


def _marks(examples: Examples, pictures: np.ndarray) -> np.ndarray:
    """What novelty goes by where that is frozen, float32 [n, F]; few maps are held at a time."""
    rows = examples.rows(pictures)
    parts = [rows[start : start + _MAPS_AT_ONCE] for start in range(0, len(rows), _MAPS_AT_ONCE)]
    return np.concatenate([marks(examples.inputs.read(part)) for part in parts])


def _coarse(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [n, H, W, 3] in so few that what is left is how goods lie and what colour they have: float32."""
    step = max(1, pixels.shape[1] // 8)
    few = pixels[:, ::step, ::step].astype(np.float32)
    return (few - few.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(pixels), -1)


def _labels(examples: Examples, pictures: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """The true classes of pictures, int [n], as a classifier of these classes numbers them."""
    column = {code: number for number, code in enumerate(classes)}
    return np.array([column[examples.classes[label]] for label in examples.labels[pictures]])


def _rows(examples: Examples, part: str) -> RowFile:
    rows = examples.inputs if part == "blocks" else examples.features
    assert rows is not None
    return rows


def _held_out_rows(held_out: tuple[Examples, np.ndarray], part: str) -> tuple[RowFile, np.ndarray]:
    examples, pictures = held_out
    return _rows(examples, part), examples.rows(pictures)


def _about_groups(examples: Examples) -> dict[str, Any]:
    found = examples.grouping
    return {
        "cases": len(np.unique(examples.cases)),
        "groups": len(np.unique(examples.groups)),
        "told": [found.sentence, *found.refusals] if found else [],
    }
