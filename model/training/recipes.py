"""How to train, as values: defaults that were chosen on held-out folds of the training cases."""

from dataclasses import dataclass, replace
from typing import Literal

from hs.errors import UsageError

Balance = Literal["none", "weights", "sampling"]
HeldOut = Literal["both", "alike", "shifted"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training with RMSprop, as in the paper.

    Attributes:
        epochs: looks at each picture; each look is at the picture itself or at one of its variants, by lot.
        learning_rate: the highest; it rises over the first tenth of the steps and falls to 0 along a cosine, or stays
            where `steady` says so.
        batch_size: pictures in a step.
        steady: whether the learning rate stays the same throughout, as in the paper.
        front: learning rate of the first layer that learns, as a share of the last one's; those between grow evenly.
        averaged: share of all steps whose weights are averaged, the later the more (exponentially); 0: none, and
            the last weights count.
        window: share of each side of the map at the cut that a step is shown, at a random place; 1 is all of it.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    steady: bool = False
    front: float = 1.0
    averaged: float = 0.0
    window: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not self.learning_rate > 0:
            raise UsageError(f"epochs, batch size and learning rate must be above 0, got {self}")
        if not 0 < self.front <= 1 or not 0 <= self.averaged <= 1 or not 0 < self.window <= 1:
            raise UsageError(f"front and window must be in (0, 1], averaged in [0, 1], got {self}")

    def steps(self, pictures: int) -> int:
        """How many steps an epoch has."""
        return -(-pictures // self.batch_size)


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        head: of a new head on the features of a pretrained backbone; None where all learns at once.
        tail: of the last blocks together with the head; None leaves the backbone as it is.
        tail_share: share of the backbone's weights, from its end, that learns in the second phase.
        variants: randomly cropped, turned and mirrored copies of each picture.
        dropout: before the last layer.
        label_smoothing: share of each label that is spread over all classes.
        balance: `weights` lets rare codes count more, `sampling` shows them more often.
        early_stopping: whether the last phase ends at the epoch that was best on the held-out folds.
        folds: parts that the training cases are cut into.
        measured: how many of them are held out in turn, for temperature, thresholds and early stopping.
        precision: share of truly wrong declarations wanted among those that the thresholds flag.
        wrong_share: share of wrong declarations among all that the thresholds assume.
        unknown_share: share of known goods that may be taken for unknown.
        seed: of everything random.
        held_out: which cases are held out together (see `model/training/folds.py`).
        groups: column of the cases whose values are held out as a whole; None goes by how the goods look.
        drop_small_codes: HS codes with fewer different cases are not learned; 0 learns all.
    """

    head: Phase | None
    tail: Phase | None
    tail_share: float = 1.0
    variants: int = 4
    dropout: float = 0.5
    label_smoothing: float = 0.0
    balance: Balance = "none"
    early_stopping: bool = False
    folds: int = 3
    measured: int = 3
    precision: float = 0.9
    wrong_share: float = 0.05
    unknown_share: float = 0.05
    seed: int = 0
    held_out: HeldOut = "both"
    groups: str | None = None
    drop_small_codes: int = 0

    def __post_init__(self) -> None:
        if self.head is None and self.tail is None:
            raise UsageError("a recipe needs a head or a tail that learns")
        if not 0 < self.tail_share <= 1:
            raise UsageError(f"the share of weights to fine-tune must be in (0, 1], got {self.tail_share}")
        if not 0 <= self.dropout < 1 or not 0 <= self.label_smoothing < 1:
            raise UsageError(f"dropout and label smoothing must be in [0, 1), got {self}")
        if self.variants < 0:
            raise UsageError(f"variants must be at least 0, got {self.variants}")
        if not 0 < self.precision < 1 or not 0 < self.wrong_share < 1:
            raise UsageError(f"precision and the share of wrong declarations must be in (0, 1), got {self}")
        if not 0 <= self.measured <= self.folds or self.folds < 2:
            raise UsageError(f"at least two folds, and no more measured than there are, got {self}")

    @property
    def last(self) -> Phase:
        """The phase that training ends with."""
        phase = self.tail or self.head
        assert phase is not None
        return phase


# docs/evaluation.md has what was tried: with 8 epochs 0.884 of held-out pictures were right, with 11 0.893.
PRETRAINED = Recipe(
    head=Phase(epochs=50, learning_rate=2e-3, batch_size=128),
    tail=Phase(epochs=11, learning_rate=8e-4, batch_size=32, window=0.8),
    tail_share=0.3,
    label_smoothing=0.1,
)
FROM_SCRATCH = Recipe(head=None, tail=Phase(epochs=30, learning_rate=2e-3, batch_size=32), variants=2, measured=1)
# What is held out is looked for errors: a head on frozen features takes seconds, and what looks like a case may speak
# for or against its code, so only what is the same picture, or of one scene, is held out with it.
CHECKING = replace(PRETRAINED, tail=None, variants=0, folds=5, measured=5, held_out="alike", drop_small_codes=5)
CHECKING_FROM_SCRATCH = replace(FROM_SCRATCH, folds=5, measured=5, held_out="alike", drop_small_codes=5)
