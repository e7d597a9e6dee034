"""What an exported classifier says of cases, computed in this process from its SavedModel."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import tensorflow as tf

from hs.card import Card
from hs.class_table import ClassTable
from hs.errors import ContractBroken, UsageError
from hs.pictures.decoding import PictureSize
from hs.text import excerpt
from hs.verdicts import combine, which_count
from model.cases.reading import CasePicture, Cases, Unreadable
from model.declared import Declared
from model.exported.versions import ABOUT

_BATCH = 32
Signature = Callable[..., dict[str, tf.Tensor]]
Classified = tuple[CasePicture, np.ndarray, float]


@dataclass(frozen=True)
class Promises:
    """What the thresholds of a model were drawn for; None where it does not say.

    Attributes:
        precision: share of wrong declarations among those that are flagged, at least.
        unknown_share: share of known goods that are taken for unknown ones, at most.
    """

    precision: float | None = None
    unknown_share: float | None = None


@dataclass(frozen=True)
class Predictions:
    """One row per case with a readable picture; several count together as those of a declaration do in the audit.

    Attributes:
        table: what the columns stand for.
        card: of the model.
        probabilities: float32 [N, C].
        truth: the label of each case.
        labels: int [N], the same as columns.
        generated: bool [N].
        unreadable: pictures left out.
        unknown: codes that the classifier does not know → cases, left out.
        novelty: float32 [N], NaN where the model does not give it.
        novelty_of_unknown: float32 [M], of the cases that were left out.
        numbers: int [N], the position of each case in its file.
        sources: the case that each was made from, mostly itself; those of one tell less than as many different ones.
        disagree: row with several pictures → bool [mistakes, C], the codes on which they disagree, if it is declared.
        promises: of the model.
    """

    table: ClassTable
    card: Card
    probabilities: np.ndarray
    truth: tuple[str, ...]
    labels: np.ndarray
    generated: np.ndarray
    unreadable: tuple[Unreadable, ...]
    unknown: dict[str, int]
    novelty: np.ndarray
    novelty_of_unknown: np.ndarray
    numbers: np.ndarray
    sources: tuple[str, ...]
    disagree: Mapping[int, np.ndarray]
    promises: Promises

    def only(self, rows: np.ndarray) -> "Predictions":
        """These rows alone; bool [N]."""
        places = np.flatnonzero(rows).tolist()
        return replace(
            self,
            probabilities=self.probabilities[rows],
            truth=tuple(self.truth[place] for place in places),
            labels=self.labels[rows],
            generated=self.generated[rows],
            novelty=self.novelty[rows],
            numbers=self.numbers[rows],
            sources=tuple(self.sources[place] for place in places),
            disagree={new: self.disagree[place] for new, place in enumerate(places) if place in self.disagree},
        )

    @property
    def originals(self) -> "Predictions":
        """Without the cases that were generated, unless all were."""
        return self if self.generated.all() or not self.generated.any() else self.only(~self.generated)


@dataclass(frozen=True)
class _OfCase:
    """What a classifier says of one case: probabilities float32 [C], and novelty, NaN where the model gives none.

    `disagree`, bool [mistakes, C], says on which declared codes several pictures disagree; None for a single one.
    """

    hs_code: str
    generated: bool
    probabilities: np.ndarray
    novelty: float | None
    number: int
    source: str
    disagree: np.ndarray | None


def read_card(version: Path) -> tuple[Card, ClassTable]:
    """The card and the classes of an exported version.

    Raises:
        ContractBroken: if the version does not have them.
    """
    path = version / "assets.extra" / ABOUT
    try:
        text = path.read_text(encoding="utf-8")
        return Card.from_json(text), ClassTable(tuple(json.loads(text)["classes"]))
    except OSError as error:
        raise ContractBroken(f"{version} has no {path.relative_to(version)}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ContractBroken(f"{path} is no model card: {error}") from error


def read_promises(version: Path) -> Promises:
    """What a version's thresholds were drawn for, as its recipe has it; nothing is promised where it has none."""
    about = json.loads((version / "assets.extra" / ABOUT).read_text(encoding="utf-8"))
    recipe = about.get("recipe")
    written = recipe if isinstance(recipe, dict) else {}
    shares = (written.get(field.name) for field in fields(Promises))
    return Promises(*(share if type(share) is float and 0 < share < 1 else None for share in shares))


def predict(
    version: Path, cases: Cases, advance: Callable[[int], None], leave_out_unknown: bool = False
) -> Predictions:
    """Classifies the pictures of cases.

    Args:
        version: folder of an exported version.
        cases: to classify.
        advance: is told how many cases were done.
        leave_out_unknown: whether cases with a code that the classifier does not know are left out.

    Raises:
        UsageError: if there are such cases otherwise, said before any picture is decoded, or no picture can be read.
        ContractBroken: if the version lacks its card, or does not answer as that says.
    """
    card, table = read_card(version)
    unknown = unknown_codes(table, cases, leave_out_unknown)
    size = PictureSize(card.height, card.width, card.resize_filter, card.draft_multiple)
    unreadable: list[Unreadable] = []
    classify = _signature(version, len(table))
    declared = Declared(table)

    def disagree(pictures: np.ndarray) -> np.ndarray | None:
        return declared.disagree(pictures, card) if len(pictures) > 1 else None

    said = list(_of_cases(_classified(_distinct(cases, size, unreadable, advance), classify), disagree))
    known = [one for one in said if one.hs_code not in unknown]
    if not known:
        raise UsageError(f"{cases.path} has no readable picture of a code that the model knows")
    column = {label: number for number, label in enumerate(table.labels)}
    return Predictions(
        table,
        card,
        np.stack([one.probabilities for one in known]),
        tuple(one.hs_code for one in known),
        np.array([column[one.hs_code] for one in known]),
        np.array([one.generated for one in known]),
        tuple(unreadable),
        unknown,
        np.array([one.novelty for one in known], np.float32),
        np.array([one.novelty for one in said if one.hs_code in unknown], np.float32),
        np.array([one.number for one in known]),
        tuple(one.source for one in known),
        {row: one.disagree for row, one in enumerate(known) if one.disagree is not None},
        read_promises(version),
    )


def unknown_codes(table: ClassTable, cases: Cases, leave_out: bool) -> dict[str, int]:
    """HS code that a classifier does not know → how many cases have it; no picture is read.

    Raises:
        UsageError: if there are such cases, unless they are to be left out.
    """
    unknown = cases.codes_beyond(set(table.labels))
    if unknown and not leave_out:
        raise UsageError(
            f"{cases.path} has codes that the model does not know: {', '.join(unknown)}; "
            "--leave-out-unknown measures on the others"
        )
    return unknown


def _signature(version: Path, classes: int) -> Signature:
    """What classifies, its answers checked before they are believed.

    Raises:
        ContractBroken: if the version holds no such thing; when called, if an answer is not what the card says.
    """
    try:
        classify = tf.saved_model.load(str(version)).signatures["serving_default"]
    except (OSError, tf.errors.OpError, KeyError, ValueError) as error:
        raise ContractBroken(f"{version} cannot be loaded as a classifier: {excerpt(str(error))}") from error

    def checked(images: tf.Tensor) -> dict[str, tf.Tensor]:
        said = classify(images=images)
        if "probabilities" not in said:
            raise ContractBroken(f"{version} gives no probabilities but {', '.join(said)}")
        found = said["probabilities"].numpy()
        if found.shape != (len(images), classes):
            raise ContractBroken(f"{version} gives {found.shape[-1]} probabilities, and its card has {classes} classes")
        if not np.isfinite(found).all():
            raise ContractBroken(f"{version} gives probabilities that are no numbers")
        return said

    return checked


def _distinct(
    cases: Cases, size: PictureSize, unreadable: list[Unreadable], advance: Callable[[int], None]
) -> Iterator[CasePicture]:
    """The readable pictures of each case that count, chosen as the audit chooses them."""
    done = 0
    for number, pictures in groupby(cases.pictures(size, unreadable), key=lambda picture: picture.case):
        of_case = list(pictures)
        yield from (of_case[place] for place in which_count([picture.digest for picture in of_case]))
        advance(number + 1 - done)
        done = number + 1
    advance(cases.count - done)


def _classified(pictures: Iterator[CasePicture], classify: Signature) -> Iterator[Classified]:
    """Each picture with its probabilities, float32 [C], and its novelty, NaN where the model gives none."""
    while batch := list(islice(pictures, _BATCH)):
        said = classify(images=tf.constant(np.stack([picture.pixels for picture in batch])))
        novelty = said["novelty"].numpy() if "novelty" in said else np.full(len(batch), np.nan, np.float32)
        yield from zip(batch, said["probabilities"].numpy(), novelty, strict=True)


def _of_cases(
    classified: Iterator[Classified], disagree: Callable[[np.ndarray], np.ndarray | None]
) -> Iterator[_OfCase]:
    """What the pictures of each case say together, and on which declared codes they disagree."""
    for _, of_case in groupby(classified, key=lambda one: one[0].case):
        pictures, probabilities, novelty = zip(*of_case, strict=True)
        several = np.stack(probabilities)
        together = combine(several, np.array(novelty))
        first, said = pictures[0], together.probabilities.astype(np.float32)
        facts = (first.hs_code, first.generated, said, together.novelty, first.case, first.source_case)
        yield _OfCase(*facts, disagree(several))
