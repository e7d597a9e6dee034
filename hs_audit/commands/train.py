"""`hs-audit train`: cases → a calibrated classifier, exported as a new version.

An interrupted training goes on where it was when the same command is given again; what is trained already is measured
alone. With --validation the newest version is measured, too: a worse one is left in MODEL/candidates.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hs.errors import Interrupted, UsageError
from hs.nomenclature import HS_EDITION
from hs.storage.location import Location
from hs.text import counted
from hs_audit import flag_values as flags
from hs_audit.extras import require_extra
from hs_audit.mlflow_runs import Told, tracked
from hs_audit.new_version import not_inherited, settle, validation_of
from hs_audit.recipe_flags import add_learning_arguments, add_threshold_arguments, do_not_go_together, recipe_from
from hs_audit.steps import Steps
from hs_audit.training import Training
from model.cases.overlap import pictures_of
from model.exported.versions import Exported, newest, trained_before
from model.quiet import quiet_import

if TYPE_CHECKING:
    from model.cases.reading import Cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_case_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--leave-out", type=flags.beginnings, default=(), metavar="CODES", help=_LEAVE_OUT)
    parser.add_argument("--edition", type=flags.edition, default=HS_EDITION, metavar="YEAR", help=_EDITION)
    parser.add_argument("--exclude", type=Path, metavar="LIST", help=_EXCLUDE)
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
    thresholds.add_argument(
        "--promote", action="store_true", help="make it the newest version even if it is worse on --validation"
    )
    machine = parser.add_argument_group("the machine")
    machine.add_argument("--arithmetic", type=flags.one_of(*_ARITHMETIC), default=_ARITHMETIC[0], help=_ARITHMETIC_HELP)
    machine.add_argument("--all-gpus", action="store_true", help="share each batch among all GPUs")
    add_mlflow_argument(machine)
    machine.add_argument("--work", type=Path, help="keep what is computed on the way here (default: MODEL/.work, "
                         "removed at the end)")  # fmt: skip


_EDITION = "of the HS that the codes of the cases are of (default: %(default)s)"
_LEAVE_OUT = "learn without HS codes that begin so, as 0808,2106.90, to see how unknown goods are told (default: none)"
_EXCLUDE = "learn without these cases: the CSV file of check cases, or their ids, one a line (default: none)"
_BACKBONE = "compact, vgg16, vgg19, resnet50, inception_v3, or a .keras file (default: %(default)s)"
_SIZE = "side of the input in pixels (default: 224; compact: 64; not for a .keras file)"
_ARITHMETIC = ("float32", "mixed_float16", "mixed_bfloat16")
_ARITHMETIC_HELP = f"{', '.join(_ARITHMETIC)} (default: %(default)s)"


def add_case_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares where cases come from."""
    parser.add_argument(
        "--cases", type=Location.parse, required=True, help="Parquet file, manifest, or folder of cases"
    )
    parser.add_argument("--pictures", choices=("all", "first"), default="all",
                        help="of each case (default: %(default)s)")  # fmt: skip


def add_mlflow_argument(parser: Any) -> None:
    """Declares where else is told what was decided, measured and written."""
    parser.add_argument("--mlflow", metavar="URI", help=_MLFLOW)


_MLFLOW = "log to this tracking store of MLflow: a folder, sqlite:///FILE, http://HOST (default: none)"


def run(args: argparse.Namespace) -> int:
    """Trains, exports, measures, and promotes what is not worse than the newest version."""
    if sentences := list(do_not_go_together(args)):
        raise UsageError("; ".join(sentences))
    _check_writable(args.output)
    if args.mlflow:
        require_extra("mlflow", "--mlflow")
    with quiet_import():
        from model.cases.excluding import excluded_from
        from model.cases.reading import open_cases, refuse_others
        from model.training.backbones import load_backbone
        from model.training.work import only_once, used

    cases = open_cases(args.cases, args.pictures == "all")
    others = open_cases(args.validation, args.pictures == "all") if args.validation else None
    there = cases.count
    if args.exclude:
        cases = cases.without_cases(excluded_from(cases, args.exclude))
    excluded = there - cases.count
    if args.leave_out:
        cases, others = _without(cases, args.leave_out), others and _without(others, args.leave_out)
        if unknown := [one for one in args.leave_out if not any(code.startswith(one) for code in cases.without_codes)]:
            raise UsageError(f"--leave-out: {cases.path} has no HS code that begins with {', '.join(unknown)}")
    if others and args.tune_on_validation:
        refuse_others(others, cases)
    work = args.work or args.output / ".work"
    with _told_in_a_sentence(work), Steps() as steps:
        if args.exclude:
            steps.say(f"left out: {excluded} of {counted(there, 'case')}, which {args.exclude} names")
        with steps.step(f"reading {cases.path.name}", cases.count) as advance:
            pictures = frozenset[str]().union(*pictures_of(cases, advance))
        tunes = args.tune_on_validation
        validation = validation_of(others, cases, pictures, tunes, steps) if others else None
        backbone = load_backbone(args.backbone, args.weights, args.sha256, args.size)
        recipe = recipe_from(args, backbone.pretrained)
        training = Training(args, cases, validation, pictures, backbone, recipe)
        name = f"train {args.output.name}"
        with used(work) as remove, only_once(work, training.key), tracked(args.mlflow, name) as log:
            forget = _nothing if args.work else remove
            exported = trained_before(args.output, training.key)
            if exported:
                steps.say(f"{exported} is what this command trains: it is not trained again; another --seed would be")
            elif sentence := not_inherited(newest(args.output)):
                steps.say(sentence)
            settled = settle(exported or training.exported(work, steps, forget), validation, steps, args.promote)
            forget()
            log(_told(settled))
    return 0


def _told(exported: Exported) -> Told:
    """What a training decided, measured and made, from what its version says of itself."""
    from model.training.curves import read_curves

    facts, curves = exported.facts(), read_curves(exported.path)
    validation = {name: value for name, value in (facts.get("validation") or {}).items() if type(value) in (int, float)}
    # A folder of their own: in a store of files no metric can be named as one.
    steps = {f"curves/loss/{one.phase}/{one.fit}": list(enumerate(one.losses, 1)) for one in curves}
    for curve in (curve for curve in curves if curve.held_out):
        where = f"{curve.phase}/{curve.fit}"
        steps[f"curves/held_out_loss/{where}"] = [(each.epoch, each.loss) for each in curve.held_out]
        steps[f"curves/held_out_top_1/{where}"] = [(each.epoch, each.top_1) for each in curve.held_out]
    return Told(
        {"version": str(exported)} | {name: facts.get(name) for name in _DECIDED},
        facts.get("metrics", {}) | {f"validation {name}": value for name, value in validation.items()},
        steps,
        {exported.path: f"model/{exported.number}"},
    )


_DECIDED = ("backbone", "recipe", "cases_digest", "weights_digest", "training", "libraries", "height", "width")


def _nothing() -> None:
    """Keeps what was computed."""


def _check_writable(model: Path) -> None:
    """Says before hours of training that nothing can be exported to a folder."""
    there = next(path for path in (model, *model.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"--output must be a folder, but {there} is a file")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--output {model} cannot be written: permission denied for {there}")


@contextmanager
def _told_in_a_sentence(work: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; the same command goes on from here") from error
    except OSError as error:
        raise UsageError(f"{error.filename or work} cannot be written: {error.strerror or error}") from error


def _without(cases: "Cases", beginnings: tuple[str, ...]) -> "Cases":
    """Cases but for those whose HS code begins with one of these."""
    return cases.without({code for code in cases.codes() if code.startswith(beginnings)})
