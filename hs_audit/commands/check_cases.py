"""`hs-audit check cases`: rulings to look at again before a classifier learns from them, and why.

Pictures are compared with each other, and codes with the nomenclature. With --backbone a classifier learns from four
fifths of the cases at a time and says of the fifth whose code its pictures contradict (confident learning, Northcutt,
Jiang and Chuang 2021).
"""

import argparse
import csv
import io
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import UsageError
from hs.files import make_folder, whole_or_not_at_all, write_whole
from hs.spreadsheets import neutralised
from hs.storage.location import Location
from hs.text import counted
from hs_audit import flag_values as flags
from hs_audit.steps import Steps
from hs_audit.terminal import PIPE_WIDTH, Section, console_for, cut, print_section
from model.quiet import quiet_import
from pipeline.config import Config, load_config

if TYPE_CHECKING:
    from model.cases.reading import Cases
    from model.cases.suspects import Seen, Suspect

_SHOWN = 10
LIST, PAGE = "suspects.csv", "suspects.html"

EPILOG = """\
exit codes:
  0  the cases can be read; what is to be looked at again is marked with !
  2  there are no cases, one has no HS code, or, with --backbone, train would refuse them
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "cases", type=Location.parse, metavar="CASES", help="Parquet file, manifest, or folder of cases"
    )
    parser.add_argument(
        "--pictures", choices=("all", "first"), default="all", help="of each case (default: %(default)s)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML; names editions (default: HS 2022 as built in)"
    )
    parser.add_argument("--output", type=Path, default=Path(), help=f"folder for {PAGE} and {LIST} (default: .)")
    learning = parser.add_argument_group("codes against pictures")
    learning.add_argument("--backbone", metavar="NAME", help=_BACKBONE)
    learning.add_argument("--weights", help="imagenet, none, or a file (default: imagenet; compact: none)")
    learning.add_argument("--sha256", type=flags.sha256, help="of the weights, or of the .keras file (default: any)")
    learning.add_argument("--folds", type=flags.whole(2, 100), default=5, help=_FOLDS)
    learning.add_argument("--seed", type=flags.SEED, default=0, help="of everything random (default: %(default)s)")
    learning.add_argument("--work", type=Path, help="keep what is computed on the way here (default: nowhere)")


_BACKBONE = (
    "a network whose features a new head learns on: vgg16, vgg19, resnet50, inception_v3, or a .keras file; compact "
    "learns from scratch (default: none, and no classifier is asked)"
)
_FOLDS = "parts held out in turn; codes of fewer different cases are not judged (default: %(default)s)"


def run(args: argparse.Namespace) -> int:
    """Looks, prints and writes.

    Raises:
        UsageError: if there are no cases, or one has no HS code.
    """
    with quiet_import():
        from model.cases.reading import open_cases
        from model.cases.suspects import look_at, nothing_to_see, of_other_editions, under_other_codes
        from model.evaluation.suspects_page import suspects_page

    config = load_config(args.config) if args.config else Config()
    tables, day = config.tables(), config.yesterday()
    cases = open_cases(args.cases, args.pictures == "all")
    make_folder(args.output, f"--output {args.output}")  # before minutes of looking
    console = console_for(PIPE_WIDTH)
    with Steps() as steps:
        with steps.step(f"looking at the pictures of {cases.path.name}", cases.count) as advance:
            seen = look_at(cases, advance)
        found = [*under_other_codes(seen), *nothing_to_see(seen), *of_other_editions(seen, tables.nomenclature, day)]
        sections = [_pictures(seen, found), _same_picture(found), _editions(found)]
        refused, notes = "", []
        if args.backbone:
            try:
                contradicted, section = _against_pictures(cases, seen, args, steps)
                found, sections, notes = [*contradicted, *found], [*sections, section], [*section.notes]
            except UsageError as error:
                refused, notes = str(error), [f"not judged: {error}"]
    for section in sections:
        print_section(section, console)
    _write(found, args.output / LIST)
    write_whole(args.output / PAGE, suspects_page(cases, found, notes, asked=bool(args.backbone)))
    print(f"written: {args.output / PAGE}, {LIST} beside it")
    args.answer |= {
        "cases": cases.count,
        "suspects": found,
        "sections": sections,
        "written": [args.output / PAGE, args.output / LIST],
    }
    if refused:
        args.answer["error"] = refused
        console.print(f"train would end with 2: {refused}", style="yellow")
    return 2 if refused else 0


def _against_pictures(
    cases: "Cases", seen: "Seen", args: argparse.Namespace, steps: Steps
) -> tuple[list["Suspect"], Section]:
    """Cases whose code the predictions of networks contradict that had not learned from them."""
    with quiet_import():
        from model.cases.label_errors import find_label_errors
        from model.cases.suspects import Why
        from model.training.backbones import load_backbone
        from model.training.networks import Devices
        from model.training.recipes import CHECKING, CHECKING_FROM_SCRATCH
        from model.training.trainer import Trainer

    backbone = load_backbone(args.backbone, args.weights, args.sha256)
    recipe = replace(
        CHECKING if backbone.pretrained else CHECKING_FROM_SCRATCH,
        folds=args.folds, measured=args.folds, drop_small_codes=args.folds, seed=args.seed,
    )  # fmt: skip
    with _folder(args.work) as work:
        held_out = Trainer(backbone, recipe, Devices(), work, steps.step, steps.say).held_out(cases)
    errors = find_label_errors(held_out.probabilities, held_out.labels)
    suspects = []
    for row, column in zip(errors.suspects.tolist(), errors.classes.tolist(), strict=True):
        number, said = int(held_out.numbers[row]), held_out.probabilities[row]
        of_code, recommended = float(said[held_out.labels[row]]), held_out.classes[column]
        suspect = seen.suspect(number, Why.CONTRADICTED)
        suspects.append(replace(suspect, recommended=recommended, of_code=of_code, of_recommended=float(said[column])))
    count = len(held_out.labels)
    lines = [("case", "code", "probability", "recommended", "probability")]
    lines += [
        (one.case_id, one.hs_code, f"{one.of_code:.3f}", one.recommended, f"{one.of_recommended:.3f}")
        for one in suspects[:_SHOWN]
    ]
    right = float((held_out.probabilities.argmax(axis=1) == held_out.labels).mean())
    notes = [
        f"held out: {counted(count, 'case')} of {counted(len(held_out.classes), 'code')}, the first code right in "
        f"{right:.1%}; by the confident joint {errors.share:.1%} of the codes are wrong, what the classifier mistakes "
        "included"
    ]
    if count < cases.count:
        notes.append(f"not judged: {counted(cases.count - count, 'case')}")
    warnings = [
        f"{counted(len(suspects), 'case')} ({len(suspects) / count:.1%}) with pictures that contradict their code"
    ]
    return suspects, Section("codes against pictures", lines if suspects else (), warnings if suspects else (), notes)


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work:
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="hs-audit-") as folder:
        yield Path(folder)


def _pictures(seen: "Seen", found: Sequence["Suspect"]) -> Section:
    unreadable = sum(map(len, seen.unreadable.values()))
    blank = int((seen.hashes == 0).sum())
    line = f"{counted(len(seen.case_ids), 'case')}, {counted(len(seen.hashes), 'readable picture')}"
    of = Counter(str(one.why) for one in found)
    warnings = []
    if unreadable:
        warnings.append(f"{counted(unreadable, 'picture')} cannot be read; {_alone(of['unreadable'])}")
    if blank:
        warnings.append(
            f"{counted(blank, 'picture')} {'is' if blank == 1 else 'are'} nearly blank; {_alone(of['nearly_blank'])}"
        )
    return Section("pictures", [(line,)], warnings)


def _alone(cases: int) -> str:
    return f"{counted(cases, 'case')} {'has' if cases == 1 else 'have'} no other"


def _same_picture(found: Sequence["Suspect"]) -> Section:
    some = [one for one in found if one.others]
    sentences = [f"{one.case_id} ({one.hs_code}) {_WORDS[one.why]} {_named(one)}" for one in some]
    return Section("the same picture under different codes", () if some else [("none",)], cut(sentences, "more cases"))


_WORDS = {"same_picture": "has a picture of", "near_duplicate": "has nearly a picture of"}


def _named(one: "Suspect", between: str = ", ") -> str:
    return between.join(f"{other} ({code})" for other, code in one.others)


def _editions(found: Sequence["Suspect"]) -> Section:
    counts = Counter(
        (one.hs_code, one.why, one.detail) for one in found if one.why in ("older_edition", "unknown_code")
    )
    sentences = [f"{code} ({counted(count, 'case')}): {detail}" for (code, _, detail), count in sorted(counts.items())]
    return Section("codes", () if counts else [("all in force",)], cut(sentences, "more codes"))


_COLUMNS = (
    "case_id", "reason", "hs_code", "recommended", "probability_of_hs_code", "probability_of_recommended", "others",
    "detail",
)  # fmt: skip


def _write(found: Sequence["Suspect"], path: Path) -> None:
    out = io.StringIO()
    lines = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    lines.writerow(_COLUMNS)
    for one in found:
        chances = ("" if value is None else f"{value:.4f}" for value in (one.of_code, one.of_recommended))
        cells = (one.case_id, one.why, one.hs_code, one.recommended, *chances, _named(one, "; "), one.detail)
        lines.writerow([neutralised(cell) for cell in cells])
    with whole_or_not_at_all(path) as unfinished:
        unfinished.write_bytes(out.getvalue().encode("utf-8-sig"))  # without the mark, Excel takes it for cp1252
