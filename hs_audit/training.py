"""One training of `hs-audit train`: what decides on it, and from there to an exported candidate."""

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import UsageError
from hs.libraries import installed
from hs.nomenclature import HS_EDITION
from hs_audit.new_version import Validation
from hs_audit.recipe_flags import IN_THE_RECIPE
from hs_audit.steps import Steps
from model.cases.overlap import LEARNED_FROM, as_text
from model.exported.versions import Exported
from model.keys import key_of
from model.training.recipes import Recipe

if TYPE_CHECKING:
    from model.cases.reading import Cases
    from model.training.backbones import Backbone
    from model.training.trained import Trained

_NAMED = 10
# Where something lies changes no classifier, nor what becomes of it later: contents count, and what the recipe says.
_NOT_BY_THEIR_FLAG = frozenset(
    {"cases", "exclude", "output", "backbone", "weights", "sha256", "validation", "promote", "work", "mlflow"}
)


@dataclass(frozen=True)
class Training:
    """What decides on a classifier.

    Attributes:
        args: the flags.
        cases: to learn from.
        validation: to measure on, and to draw thresholds from where the flags say so.
        pictures: names of the pictures of `cases`.
        backbone: the network to learn with.
        recipe: how.
    """

    args: argparse.Namespace
    cases: "Cases"
    validation: Validation | None
    pictures: frozenset[str]
    backbone: "Backbone"
    recipe: Recipe

    @property
    def tuned_on(self) -> Validation | None:
        """The cases that thresholds are drawn from, if not from held-out ones."""
        return self.validation if self.validation and self.validation.tunes else None

    @property
    def key(self) -> str:
        """Stands for all that decides: equal for the same command on the same cases, also where they were moved."""
        flags = {
            name: value for name, value in vars(self.args).items() if name not in _NOT_BY_THEIR_FLAG | IN_THE_RECIPE
        }
        if self.args.edition == HS_EDITION:
            del flags["edition"]  # what was trained before there were others is still what it was
        tuned_on = self.tuned_on and self.tuned_on.cases.digest()
        network = [self.backbone.name, self.backbone.known_by]
        return key_of(installed("hs-audit"), self.cases.digest(), tuned_on, network, asdict(self.recipe), flags)

    def exported(self, work: Path, steps: Steps, forget: Callable[[], None]) -> Exported:
        """Trains, and exports a candidate.

        Args:
            work: folder for what is computed on the way.
            steps: tell how far it is.
            forget: is called where these cases cannot be learned from, so that nothing in `work` is of use.
        """
        from model.exported.export import export_trained
        from model.training.networks import Devices
        from model.training.trainer import Trainer

        started = time.monotonic()
        devices = Devices(self.args.arithmetic, self.args.all_gpus)
        trainer = Trainer(self.backbone, self.recipe, devices, work, steps.step, steps.say)
        try:
            trained = trainer.train(self.cases, self.tuned_on.cases if self.tuned_on else None)
        except UsageError:
            forget()
            raise
        _tell_unreadable(trained, steps)
        tuned_on = frozenset[str]().union(*self.tuned_on.pictures) if self.tuned_on else frozenset()
        number, _ = export_trained(
            trained,
            self.backbone,
            self.recipe,
            self.cases,
            self.args.output,
            about={"training": self.key},
            attachments={LEARNED_FROM: as_text(self.pictures | tuned_on)},
            candidate=True,
            edition=self.args.edition,
        )
        exported = Exported(self.args.output, number, is_candidate=True)
        steps.say(
            f"trained on {len(trained.classes)} codes: held-out top-1 "
            f"{trained.metrics['held_out_top_1']:.3f}, calibration error "
            f"{trained.metrics['held_out_calibration_error']:.3f}, flags "
            f"{trained.metrics['held_out_flagged_share_of_wrong']:.0%} of wrong declarations at precision "
            f"{self.recipe.precision}; {time.monotonic() - started:.0f} s"
        )
        return exported


def _tell_unreadable(trained: "Trained", steps: Steps) -> None:
    for left_out in trained.unreadable[:_NAMED]:
        steps.say(f"left out: case {left_out.case_id}, picture {left_out.picture or '?'}: {left_out.reason}")
    if (more := len(trained.unreadable) - _NAMED) > 0:
        steps.say(f"and {more} more pictures left out; all are in assets.extra/unreadable.csv")
