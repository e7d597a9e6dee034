"""The numbered versions of a model, and its candidates: whole, but taken for the newest by no server.

MODEL/3/               a version: TensorFlow Serving and ours serve the largest number
MODEL/candidates/4/    a candidate: a name that is no number is no version to either
MODEL/.unfinished-…/   being written, or left by what was killed

Versions and candidates share their numbers.
"""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hs.files import CANDIDATES, alone, versions, write_whole

ABOUT = "hs_audit.json"


@dataclass(frozen=True)
class Exported:
    """A version or a candidate.

    Attributes:
        model: folder of the numbered versions.
        number: its own.
        is_candidate: whether it is no version yet.
    """

    model: Path
    number: int
    is_candidate: bool

    @property
    def path(self) -> Path:
        """Its folder."""
        return (self.model / CANDIDATES if self.is_candidate else self.model) / str(self.number)

    def __str__(self) -> str:
        return f"{'candidate' if self.is_candidate else 'version'} {self.number} in {self.path}"

    def facts(self) -> dict[str, Any]:
        """What `assets.extra/hs_audit.json` says; nothing where it is not there or no JSON."""
        try:
            found = json.loads((self.path / "assets.extra" / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def add_facts(self, facts: dict[str, Any]) -> None:
        """Adds to what it says; a version is left as it was exported, as servers may be reading it."""
        if self.is_candidate:
            for left in (self.path / "assets.extra").glob(f".{ABOUT}.*"):  # by one that was killed here
                left.unlink()
            text = json.dumps(self.facts() | facts, indent=2, sort_keys=True)
            write_whole(self.path / "assets.extra" / ABOUT, text + "\n")


def newest(model: Path, below: int | None = None) -> Exported | None:
    """The version with the largest number, of those below another if that is given."""
    numbers = [number for number in versions(model) if below is None or number < below]
    return Exported(model, max(numbers), is_candidate=False) if numbers else None


def trained_before(model: Path, key: str) -> Exported | None:
    """What a training with this key became, the latest first; None where it became nothing yet."""
    there = [Exported(model, number, is_candidate=False) for number in versions(model)]
    there += [Exported(model, number, is_candidate=True) for number in versions(model / CANDIDATES)]
    found = [one for one in there if one.facts().get("training") == key]
    return max(found, key=lambda one: one.number, default=None)


def add_version(unfinished: Path, model: Path) -> Exported:
    """Makes what was written to a folder of `model` its next version."""
    with alone(model):
        added = Exported(model, _next_number(model), is_candidate=False)
        os.rename(unfinished, added.path)
    return added


def add_candidate(unfinished: Path, model: Path) -> Exported:
    """Makes what was written to a folder of `model` its next candidate."""
    with alone(model):
        added = Exported(model, _next_number(model), is_candidate=True)
        added.path.parent.mkdir(exist_ok=True)
        os.rename(unfinished, added.path)
    return added


def promote(candidate: Exported, over: Exported | None) -> Exported | None:
    """Makes a candidate the newest version, under its number unless a version came meanwhile that has a larger one.

    Args:
        candidate: to be served from now on.
        over: the newest version as far as the caller knows.

    Returns:
        The version; None where another one is the newest by now, and nothing was done.
    """
    model = candidate.model
    with alone(model):
        if newest(model) != over:
            return None
        number = candidate.number if over is None or candidate.number > over.number else _next_number(model)
        promoted = Exported(model, number, is_candidate=False)
        os.rename(candidate.path, promoted.path)
        with suppress(OSError):  # others are there
            candidate.path.parent.rmdir()
    return promoted


def _next_number(model: Path) -> int:
    # Candidates first: what `mv` promotes between both looks is seen at least once.
    return 1 + max([*versions(model / CANDIDATES), *versions(model)], default=0)
