"""Whether a night has moved away from the nights before it, by the counts that each has in its manifest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from hs.drift import Shift, shift
from hs.text import counted
from pipeline.findings.distributions import Counts

COMPARED = (
    "verdicts",
    "reasons",
    "declared_probability",
    "novelty",
    "chapters",
    "pictures",
    "picture_formats",
    "picture_pixels",
)
LEAST_NIGHTS = 5  # fewer do not tell how nights differ from each other
_MOST_NAMED = 3


@dataclass(frozen=True)
class EarlierNight:
    """A published night.

    Attributes:
        run_date: the night.
        model: name and version.
        counts: of its manifest.
    """

    run_date: date
    model: str
    counts: Counts


@dataclass(frozen=True)
class Earlier:
    """The nights that a night is compared with.

    Attributes:
        nights: before it, the latest first.
        left_out: those among them that cannot be compared with, and why.
    """

    nights: Sequence[EarlierNight] = ()
    left_out: Mapping[date, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is compared with, hex."""
        told = [(night.run_date.isoformat(), night.model, night.counts) for night in self.nights]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


NONE_EARLIER = Earlier()


@dataclass(frozen=True)
class Drift:
    """A night against those before it.

    Attributes:
        counts: of the night.
        model: name and version that classified it.
        earlier: nights.
        max_psi: from where on a shift that is beyond chance is warned of; None for never.
    """

    counts: Counts
    model: str
    earlier: Earlier
    max_psi: float | None

    @cached_property
    def shifts(self) -> dict[str, Shift]:
        """How far each of what is compared has moved; what either side has none of is left out."""
        found = {}
        for name in COMPARED:
            before = [night.counts.get(name, {}) for night in self.earlier.nights]
            if moved := shift(self.counts.get(name, {}), before, len(COMPARED)):
                found[name] = moved
        return found

    @property
    def warning(self) -> str | None:
        """What has moved too far, in a sentence; None where nothing has, or the nights are too few to tell."""
        if self.max_psi is None or len(self.earlier.nights) < LEAST_NIGHTS:
            return None
        moved = {name: each for name, each in self.shifts.items() if each.psi > max(self.max_psi, each.chance)}
        if not moved:
            return None
        furthest = sorted(moved, key=lambda name: -moved[name].psi)[:_MOST_NAMED]
        others = f", and {len(moved) - len(furthest)} more" if len(moved) > len(furthest) else ""
        before = self.earlier.nights[0].model
        another = "" if before == self.model else f"; {self.model} classified it, and {before} the latest of them"
        return (
            f"the night has drifted from the {counted(len(self.earlier.nights), 'night')} before it, beyond chance and "
            f"drift.max_psi of {self.max_psi:g}: "
            f"{', '.join(_told(name, moved[name]) for name in furthest)}{others}{another}"
        )

    def described(self) -> dict[str, Any]:
        """For the manifest, JSON-ready."""
        return {
            "nights": [night.run_date.isoformat() for night in self.earlier.nights],
            "left_out": {night.isoformat(): why for night, why in self.earlier.left_out.items()},
            "max_psi": self.max_psi,
            "warning": self.warning,
            "shifts": {name: _described(each) for name, each in self.shifts.items()},
        }


def _told(name: str, moved: Shift) -> str:
    return f"{name.replace('_', ' ')} by a PSI of {moved.psi:.2f} ({moved.moved}: {moved.was:.1%} → {moved.now:.1%})"


def _described(moved: Shift) -> dict[str, Any]:
    figures = {name: round(getattr(moved, name), 6) for name in ("psi", "chance", "jensen_shannon")}
    return figures | {"moved": moved.moved, "was": round(moved.was, 6), "now": round(moved.now, 6)}
