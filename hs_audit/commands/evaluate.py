"""`hs-audit evaluate`: what a model is worth on cases that it has not seen, as a page and as JSON."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from hs.files import version_folder, write_whole
from hs.storage.location import Location
from hs.storage.models import model_here
from hs.storage.stores import ANYWHERE
from hs_audit import flag_values as flags
from hs_audit.commands.train import add_case_arguments
from hs_audit.steps import Steps
from hs_audit.terminal import PlainConsole
from model.quiet import quiet_import

if TYPE_CHECKING:
    from model.evaluation.summary import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("model", type=Location.parse, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--version", type=flags.VERSION, help="which of them (default: the newest)")
    add_case_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path(), help="folder for evaluation.html and .json (default: .)")
    parser.add_argument(
        "--wrong-share", type=flags.SHARE, default=0.05, help="of the simulated nights (default: %(default)s)"
    )
    parser.add_argument("--seed", type=flags.SEED, default=0, help="of these nights (default: %(default)s)")
    parser.add_argument("--leave-out-unknown", action="store_true", help="leave out cases whose code the model lacks")


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes."""
    with quiet_import():
        from model.cases.reading import open_cases
        from model.evaluation.page import evaluation_page
        from model.evaluation.summary import as_json, evaluate, unknown_as_json, unknown_goods, words_of
        from model.exported.predictions import predict

    cases = open_cases(args.cases, args.pictures == "all")
    with (
        model_here(args.model, args.version, ANYWHERE) as model,
        Steps() as steps,
        steps.step(f"classifying {cases.path.name}", cases.count) as advance,
    ):
        version = version_folder(model, args.version)
        said = predict(version, cases, advance, args.leave_out_unknown)
    evaluations, unknown = evaluate(said, args.wrong_share, args.seed), unknown_goods(said)
    args.output.mkdir(parents=True, exist_ok=True)
    facts = {
        "model": str(args.model),
        "version": int(version.name),
        "weights_digest": said.card.weights_digest,
        "cases": str(cases.path),
        "cases_digest": cases.digest(),
        "wrong_share": args.wrong_share,
        "seed": args.seed,
        "left_out": {"unreadable_pictures": len(said.unreadable), "unknown_codes": said.unknown},
        "unknown_goods": unknown_as_json(unknown),
        "evaluations": [as_json(evaluation) for evaluation in evaluations],
    }
    write_whole(args.output / "evaluation.json", json.dumps(facts, indent=2) + "\n")
    name = f"{args.model.name}, version {version.name}"
    page = evaluation_page(name, cases, said, evaluations, unknown, args.wrong_share)
    write_whole(args.output / "evaluation.html", page)
    console = PlainConsole()
    _print(evaluations, console)
    if unknown:
        console.print(words_of(unknown))
    print(f"written: {args.output / 'evaluation.html'}, {args.output / 'evaluation.json'}")
    return 0


def _print(evaluations: "Sequence[Evaluation]", console: Console) -> None:
    for one in evaluations:
        ks = next(iter(one.levels.values()), {})
        table = Table(
            "digits", *(f"first {k}" for k in ks), title=f"{one.cases} cases ({one.name})", title_justify="left"
        )
        for level, rates in one.levels.items():
            table.add_row(str(level), *(str(rates[k]) for k in ks))
        console.print(table)
        console.print(f"calibration error {one.calibration_error:.3f}, mean F1 {one.macro_f1:.3f}")
