"""`hs-audit train`: cases → a calibrated classifier, exported as a new version.

An interrupted training goes on where it was when the same command is given again.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import Interrupted, UsageError
from hs.storage.location import Location
from hs_audit import flag_values as flags
from hs_audit.recipe_flags import add_learning_arguments, add_threshold_arguments, do_not_go_together, recipe_from
from hs_audit.steps import Steps
from model.measures import calibration_error, top_k
from model.quiet import quiet_import

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
    network.add_argument("--sha256", type=flags.sha256, help="of the weights, or of the .keras file (default: any)")
    network.add_argument("--size", type=flags.whole(32, 4096), help=_SIZE)
    add_learning_arguments(parser.add_argument_group("learning"))
    thresholds = parser.add_argument_group("temperature and thresholds")
    add_threshold_arguments(thresholds)
    thresholds.add_argument(
        "--validation", type=Location.parse, metavar="CASES", help="other cases to measure on (default: none)"
    )
    thresholds.add_argument(
        "--tune-on-validation", action="store_true", help="draw all of it from these, not the folds"
    )
    machine = parser.add_argument_group("the machine")
    machine.add_argument("--arithmetic", type=flags.one_of(*_ARITHMETIC), default=_ARITHMETIC[0], help=_ARITHMETIC_HELP)
    machine.add_argument("--all-gpus", action="store_true", help="share each batch among all GPUs")
    machine.add_argument("--work", type=Path, help="keep what is computed on the way here (default: MODEL/.work, "
                         "removed at the end)")  # fmt: skip


_BACKBONE = "compact, vgg16, vgg19, resnet50, inception_v3, or a .keras file (default: %(default)s)"
_SIZE = "side of the input in pixels (default: 224; compact: 64; a .keras file: its own)"
_ARITHMETIC = ("float32", "mixed_float16", "mixed_bfloat16")
_ARITHMETIC_HELP = f"{', '.join(_ARITHMETIC)} (default: %(default)s)"


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares where cases come from."""
    parser.add_argument(
        "--cases", type=Location.parse, required=True, help="Parquet file, manifest, or folder of cases"
    )
    parser.add_argument("--pictures", choices=("all", "first"), default="all",
                        help="of each case (default: %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Trains and exports."""
    if sentences := list(do_not_go_together(args)):
        raise UsageError("; ".join(sentences))
    with quiet_import():
        from model.cases.reading import open_cases, refuse_others
        from model.exported.export import export_trained
        from model.training.backbones import load_backbone
        from model.training.networks import Devices
        from model.training.trainer import Trainer

    started = time.monotonic()
    cases = open_cases(args.cases, args.pictures == "all")
    others = open_cases(args.validation, args.pictures == "all") if args.validation else None
    if others:
        refuse_others(others, cases)
    backbone = load_backbone(args.backbone, args.weights, args.sha256, args.size)
    recipe = recipe_from(args, backbone.pretrained)
    work = args.work or args.output / ".work"
    with Steps() as steps, _kept_for_the_next_try(work, forever=args.work is not None):
        trainer = Trainer(backbone, recipe, Devices(args.arithmetic, args.all_gpus), work, steps.step, steps.say)
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
            _measure(path, others.without(set(others.codes()) - set(trained.classes)), steps)
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
