"""`hs-audit train`: cases → a calibrated classifier, exported as a new version.

An interrupted training goes on where it was when the same command is given again.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import Interrupted, UsageError
from hs.storage.location import Location
from hs_audit.steps import Steps
from model.measures import calibration_error, top_k
from model.quiet import quiet_import
from model.training.recipes import FROM_SCRATCH, PRETRAINED, Recipe

if TYPE_CHECKING:
    from model.cases.reading import Cases
    from model.training.trainer import Trained

_NAMED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_case_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="MODEL", help="folder of the numbered versions")
    network = parser.add_argument_group("the network")
    network.add_argument("--backbone", default="compact", metavar="NAME", help=_BACKBONE)
    network.add_argument("--weights", help="imagenet, none, or a file (default: imagenet; compact: none)")
    network.add_argument("--sha256", help="which the weights, or the .keras file, must have")
    network.add_argument("--size", type=int, help="side of the input in pixels (default: 224; compact: 64)")
    learning = parser.add_argument_group("learning")
    learning.add_argument("--epochs", type=int, help=_EPOCHS)
    learning.add_argument("--learning-rate", type=float, help="of RMSprop in the last phase, at its highest")
    learning.add_argument("--batch-size", type=int, help="pictures in a step of the last phase")
    learning.add_argument("--variants", type=int, help="copies of each picture, cropped, turned and mirrored")
    learning.add_argument("--dropout", type=float, help="before the last layer")
    learning.add_argument(
        "--fine-tune", type=float, metavar="SHARE", help="of the backbone's weights (default: 0.3); 0: none"
    )
    learning.add_argument("--balance", choices=("none", "weights", "sampling"), help="of rare and common codes")
    learning.add_argument("--early-stopping", action="store_true", default=None, help="at the epoch the folds did best")
    learning.add_argument("--seed", type=int, help="of everything random (default: 0)")
    thresholds = parser.add_argument_group("temperature and thresholds")
    thresholds.add_argument("--folds", type=int, help="parts that the cases are cut into")
    thresholds.add_argument("--measured", type=int, help="how many of them are held out in turn")
    thresholds.add_argument("--precision", type=float, help="wanted of the flag (default: 0.9)")
    thresholds.add_argument("--wrong-share", type=float, help="assumed of all declarations (default: 0.05)")
    thresholds.add_argument("--validation", type=Location.parse, metavar="CASES", help="other cases to measure on")
    thresholds.add_argument(
        "--tune-on-validation", action="store_true", help="draw all of it from these, not the folds"
    )
    machine = parser.add_argument_group("the machine")
    machine.add_argument("--arithmetic", default="float32", help="or mixed_float16, mixed_bfloat16")
    machine.add_argument("--all-gpus", action="store_true", help="share each batch among all GPUs")
    machine.add_argument("--work", type=Path, help="keep what is computed on the way here (default: MODEL/.work, "
                         "removed at the end)")  # fmt: skip


_EPOCHS = "looks at each picture in the last phase (default: 11; the head alone: 50; from scratch: 30)"
_BACKBONE = "compact, vgg16, vgg19, resnet50, inception_v3, or a .keras file (default: %(default)s)"


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares where cases come from."""
    parser.add_argument(
        "--cases", type=Location.parse, required=True, help="Parquet file, manifest, or folder of cases"
    )
    parser.add_argument("--pictures", choices=("all", "first"), default="all",
                        help="of each case (default: %(default)s)")  # fmt: skip


def recipe_from(args: argparse.Namespace, pretrained: bool) -> Recipe:
    """The default recipe with what the flags change."""
    recipe = PRETRAINED if pretrained else FROM_SCRATCH
    if pretrained and args.fine_tune == 0:
        recipe = replace(recipe, tail=None)
    given = {
        "variants": args.variants,
        "dropout": args.dropout,
        "balance": args.balance,
        "early_stopping": args.early_stopping,
        "seed": args.seed,
        "folds": args.folds,
        "measured": args.measured or (args.folds if pretrained else None),  # all: 3 of --folds 2 would be refused
        "precision": args.precision,
        "wrong_share": args.wrong_share,
        "tail_share": args.fine_tune or None,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    of_phase = {"epochs": args.epochs, "learning_rate": args.learning_rate, "batch_size": args.batch_size}
    last = replace(recipe.last, **{name: value for name, value in of_phase.items() if value is not None})
    return replace(recipe, tail=last) if recipe.tail else replace(recipe, head=last)


def run(args: argparse.Namespace) -> int:
    """Trains and exports."""
    with quiet_import():
        from model.cases.reading import open_cases, refuse_others
        from model.exported.export import export_trained
        from model.training.backbones import load_backbone
        from model.training.networks import Devices
        from model.training.trainer import Trainer

    started = time.monotonic()
    cases = open_cases(args.cases, args.pictures == "all")
    if args.tune_on_validation and not args.validation:
        raise UsageError("--tune-on-validation needs --validation")
    others = open_cases(args.validation, args.pictures == "all") if args.validation else None
    if others:
        refuse_others(others, cases)
    backbone = load_backbone(args.backbone, args.weights, args.sha256, args.size)
    recipe = recipe_from(args, backbone.pretrained)
    work = args.work or args.output / ".work"
    with Steps() as steps, _kept_for_the_next_try(work, forever=args.work is not None):
        trainer = Trainer(backbone, recipe, Devices(args.arithmetic, args.all_gpus), work, steps.step)
        trained = trainer.train(cases, others if args.tune_on_validation else None)
        _tell_unreadable(trained, steps)
        version, path = export_trained(trained, backbone, recipe, cases, args.output)
        steps.say(
            f"version {version} with {len(trained.classes)} codes in {path}: held-out top-1 "
            f"{trained.metrics['held_out_top_1']:.3f}, calibration error "
            f"{trained.metrics['held_out_calibration_error']:.3f}, flags "
            f"{trained.metrics['held_out_flagged_share_of_wrong']:.0%} of wrong declarations at precision "
            f"{recipe.precision}; {time.monotonic() - started:.0f} s"
        )
        if others:
            _measure(path, others, steps)
    return 0


@contextmanager
def _kept_for_the_next_try(work: Path, forever: bool) -> Iterator[None]:
    """What was computed on the way goes when it is of no more use: not when training was interrupted."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; the same command goes on from here") from error
    except UsageError:
        if not forever:
            shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        raise UsageError(f"{error.filename or work} cannot be written: {error.strerror or error}") from error
    if not forever:
        shutil.rmtree(work, ignore_errors=True)


def _tell_unreadable(trained: "Trained", steps: Steps) -> None:
    for left_out in trained.unreadable[:_NAMED]:
        steps.say(f"left out: case {left_out.case_id}, picture {left_out.picture or '?'}: {left_out.reason}")
    if (more := len(trained.unreadable) - _NAMED) > 0:
        steps.say(f"and {more} more pictures left out; all are in assets.extra/unreadable.csv")


def _measure(version: Path, cases: "Cases", steps: Steps) -> None:
    from model.exported.predictions import predict

    with steps.step(f"measuring on {cases.path.name}", cases.count) as advance:
        said = predict(version, cases, advance)
    steps.say(
        f"on {cases.path.name}: top-1 {top_k(said.probabilities, said.labels, 1):.3f}, "
        f"top-3 {top_k(said.probabilities, said.labels, 3):.3f}, "
        f"calibration error {calibration_error(said.probabilities, said.labels):.3f}"
    )
