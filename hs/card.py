"""The model's card: what the served classifier says of itself, as JSON in the SavedModel and over the wire."""

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from hs.codes import LEVELS

CONTRACT_VERSION = 1
RESIZE_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # Pillow's, without importing it

_ONLY_NEWER = (
    "levels", "right_flagged", "right_flagged_at_most", "known_as_unknown", "known_as_unknown_at_most",
)  # fmt: skip
_MOST_CHARACTERS = 1_000_000  # a card of 10,000 classes and all kinds of mistake has a few thousand
_MOST_PIXELS_A_SIDE = 4096
_MOST_DRAFT = 16
_MOST_TEXT = 100
_MOST_PRECEDENTS = 2**31 - 1  # they are numbered by int32


class Mistake(StrEnum):
    """Which codes stand on wrong declarations: thresholds depend on what mistakes are assumed."""

    AT_RANDOM = "at_random"
    WITHIN_CHAPTER = "within_chapter"
    WITHIN_HEADING = "within_heading"

    def could_be(self, declared: str, true: str) -> bool:
        """Tells whether a class may stand on goods of another by this kind of mistake.

        >>> Mistake.WITHIN_HEADING.could_be("870830", "870829"), Mistake.WITHIN_HEADING.could_be("392690", "870829")
        (True, False)
        """
        shared = self.shared
        return declared != true and not declared.endswith("*") and declared[:shared] == true[:shared]

    @property
    def shared(self) -> int:
        """How many digits a wrong code has in common with the true one at least."""
        return {Mistake.AT_RANDOM: 0, Mistake.WITHIN_CHAPTER: 2, Mistake.WITHIN_HEADING: 4}[self]


@dataclass(frozen=True)
class LevelThreshold:
    """Where a declared code differs at one level of the HS.

    Attributes:
        digits: the level that is judged.
        within: the coarser level whose probability is shared out; 0 is all there is.
        differs_below: the share of that probability which the declared code needs at `digits`.
        right_flagged: share of right declarations that this threshold would flag, as held-out cases say.
        right_flagged_at_most: the same, bounded at 90 % confidence.
    """

    digits: int
    within: int
    differs_below: float
    right_flagged: float | None = None
    right_flagged_at_most: float | None = None

    def __post_init__(self) -> None:
        for name in ("digits", "within"):
            _check_whole(name, getattr(self, name), 0, max(LEVELS))
        if self.digits not in LEVELS or self.within not in (0, *LEVELS) or self.within >= self.digits:
            raise ValueError(f"a level is one of {LEVELS} within a coarser, got {self.digits} within {self.within}")
        _check_numbers(self)


@dataclass(frozen=True)
class Thresholds:
    """Where the verdicts part.

    Attributes:
        differs_below: the declared code's probability under which a declaration differs, where there are no `levels`.
        agrees_above: the declared code's probability from which on a declaration agrees.
        unknown_above: normalised entropy (0 sure, 1 clueless) above which the pictures show unknown goods.
        wrong_share: share of wrong declarations that the thresholds were drawn at.
        novel_above: the model's novelty (0 seen, 1 unlike anything seen) above which they do, in place of the entropy;
            None where the model gives no novelty.
        abstain_above: novelty above which not even a firm no to the declared code is believed; None is `novel_above`.
        levels: a declaration differs where one of these says so; in place of `differs_below`, if there are any.
        right_flagged: share of right declarations that would be flagged, as held-out cases say; None in older cards.
        right_flagged_at_most: the same, bounded at 90 % confidence.
        known_as_unknown: share of known goods above `novel_above`, as held-out cases say; None in older cards.
        known_as_unknown_at_most: the same, bounded at 90 % confidence.
    """

    differs_below: float
    agrees_above: float
    unknown_above: float
    wrong_share: float = 0.05
    novel_above: float | None = None
    abstain_above: float | None = None
    levels: tuple[LevelThreshold, ...] = ()
    right_flagged: float | None = None
    right_flagged_at_most: float | None = None
    known_as_unknown: float | None = None
    known_as_unknown_at_most: float | None = None

    def __post_init__(self) -> None:
        _check_numbers(self)
        for below in (self.differs_below, *(level.differs_below for level in self.levels)):
            if below > self.agrees_above:
                raise ValueError(f"differs_below ({below}) must not exceed agrees_above ({self.agrees_above})")

    def rules(self, finest: int) -> tuple[LevelThreshold, ...]:
        """The `levels`; where there are none, `differs_below` for the finest level that is judged."""
        return self.levels or (_of_the_whole(finest, self.differs_below),)


@lru_cache(maxsize=64)  # asked for with every declaration, and checked as it is made
def _of_the_whole(digits: int, differs_below: float) -> LevelThreshold:
    return LevelThreshold(digits, 0, differs_below)


@dataclass(frozen=True)
class Card:
    """What a client must know of a model beyond its outputs.

    Attributes:
        height, width: of the input, pixels.
        resize_filter: the filter that training resized with, by its Pillow name.
        draft_multiple: JPEGs are decoded at the smallest size not under this multiple of the input; 0 at full size.
        hs_edition: the nomenclature of the classes.
        temperature: what the logits' distances from the highest are divided by inside the graph.
        thresholds: where the verdicts part, if wrong declarations have a code at random.
        thresholds_for: the same for other kinds of mistake, as far as the classes allow them.
        weights_digest: SHA-256 of the weights, `sha256:` and 64 hex digits.
        contract_version: version of this contract.
        precedents: how many pictures of cases it can show as precedents; 0 where it has none.
    """

    height: int
    width: int
    resize_filter: str
    draft_multiple: int
    hs_edition: str
    temperature: float
    thresholds: Thresholds
    weights_digest: str
    contract_version: int = CONTRACT_VERSION
    thresholds_for: dict[Mistake, Thresholds] = field(default_factory=dict)
    precedents: int = 0

    def __post_init__(self) -> None:
        if self.contract_version != CONTRACT_VERSION:
            raise ValueError(f"contract_version must be {CONTRACT_VERSION}, got {self.contract_version!r:.100}")
        for name in ("height", "width"):
            _check_whole(name, getattr(self, name), 1, _MOST_PIXELS_A_SIDE)
        _check_whole("draft_multiple", self.draft_multiple, 0, _MOST_DRAFT)
        _check_whole("precedents", self.precedents, 0, _MOST_PRECEDENTS)
        if self.resize_filter not in RESIZE_FILTERS:
            raise ValueError(
                f"resize_filter must be one of {', '.join(RESIZE_FILTERS)}, got {self.resize_filter!r:.100}"
            )
        _check_number("temperature", self.temperature, 1e-6, 1e6)
        for name in ("hs_edition", "weights_digest"):
            _check_text(name, getattr(self, name))

    def thresholds_of(self, mistake: Mistake) -> Thresholds | None:
        """Those for a kind of mistake; None where the classes allow none of its own."""
        return self.thresholds if mistake is Mistake.AT_RANDOM else self.thresholds_for.get(mistake)

    def to_json(self) -> str:
        """This card as one line of JSON with sorted keys; what only newer cards have is left out of others."""
        written = dataclasses.asdict(self)
        for drawn in (written["thresholds"], *written["thresholds_for"].values()):
            for name in _ONLY_NEWER:  # a run's id is made of this text, and an older card keeps its own
                if drawn[name] in (None, ()):
                    del drawn[name]
        if not self.precedents:
            del written["precedents"]
        return json.dumps(written, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Reads a card; keys that this version does not know are left out.

        Raises:
            ValueError: where the text is no card; the message says what is missing or wrong.
        """
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"a model card has at most {_MOST_CHARACTERS} characters, got {len(text)}")
        try:
            written = json.loads(text)
            drawn = {
                "thresholds": _thresholds(written["thresholds"]),
                "thresholds_for": {
                    _mistake(name): _thresholds(values) for name, values in written.get("thresholds_for", {}).items()
                },
            }
            return cls(**_known_fields(cls, written) | drawn)
        except (json.JSONDecodeError, AttributeError, RecursionError, TypeError) as error:
            raise ValueError(f"not a model card: {error}") from error
        except KeyError as error:
            raise ValueError(f"the model card has no {error}") from error


def _mistake(name: str) -> Mistake:
    if name not in list(Mistake):
        raise ValueError(f"thresholds_for must be for some of {', '.join(Mistake)}, got {name!r:.100}")
    return Mistake(name)


def _thresholds(written: dict[str, Any]) -> Thresholds:
    of_old = {"abstain_above": written["alien_above"]} if "alien_above" in written else {}  # its name up to 0.1.0
    levels = tuple(LevelThreshold(**_known_fields(LevelThreshold, level)) for level in written.get("levels", ()))
    return Thresholds(**_known_fields(Thresholds, of_old | written) | {"levels": levels})


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:  # True is an int, too
        raise ValueError(f"{name} must be a whole number from {least} to {most}, got {value!r:.100}")


def _check_number(name: str, value: object, least: float, most: float) -> None:
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"{name} must be in [{least:g}, {most:g}], got {value!r:.100}")


def _check_numbers(value: Any) -> None:
    """Checks that each field of a dataclass that is a share is one, or is None where it may be."""
    for field_ in dataclasses.fields(value):
        written = getattr(value, field_.name)
        if "float" in str(field_.type) and (written is not None or field_.default is dataclasses.MISSING):
            _check_number(field_.name, written, 0, 1)


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > _MOST_TEXT or not value.isprintable():
        raise ValueError(f"{name} must be a line of at most {_MOST_TEXT} characters, got {value!r:.100}")


def _known_fields(cls: type, written: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {name: value for name, value in written.items() if name in names}
