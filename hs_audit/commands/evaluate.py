"""`hs-audit evaluate`: what a model promised and keeps on cases that it has not seen, as a page, as JSON, as tables.

Several models, such as one recipe with several seeds, stand side by side with their mean; of two the page shows what
changed from the first to the second, case by case.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hs.files import make_folder, version_folder, write_whole
from hs.storage.location import Location
from hs.storage.models import model_here
from hs.storage.stores import ANYWHERE
from hs_audit import flag_values as flags
from hs_audit.commands.train import add_case_arguments, add_mlflow_argument
from hs_audit.mlflow_runs import Told, tracked
from hs_audit.steps import Steps
from hs_audit.terminal import PlainConsole
from model.quiet import quiet_import

if TYPE_CHECKING:
    from model.cases.reading import Cases
    from model.evaluation.summary import Evaluation
    from model.evaluation.tables import TextTable
    from model.exported.predictions import Predictions


@dataclass(frozen=True)
class _Measured:
    """A model: what it is worth and says of the original pictures, and what JSON tells of it."""

    evaluation: "Evaluation"
    said: "Predictions"
    facts: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("models", type=Location.parse, nargs="+", metavar="MODEL",
                        help="folder of the numbered versions; several are compared, with their mean")  # fmt: skip
    parser.add_argument("--version", type=flags.VERSION, help="which of them (default: the newest)")
    add_case_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path(),
                        help="folder for evaluation.html, .json and the tables in Markdown (default: .)")  # fmt: skip
    parser.add_argument(
        "--wrong-share", type=flags.SHARE, help="assumed of all declarations (default: that of the model's card)"
    )
    parser.add_argument("--seed", type=flags.SEED, default=0, help="of the simulated nights (default: %(default)s)")
    parser.add_argument("--leave-out-unknown", action="store_true", help="leave out cases whose code the model lacks")
    add_mlflow_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes."""
    with quiet_import():
        from model.cases.reading import open_cases

    cases = open_cases(args.cases, args.pictures == "all")
    _look_ahead(args, cases)
    several = len(args.models) > 1
    with tracked(args.mlflow, f"evaluate {', '.join(model.name for model in args.models)}") as log:
        measured = []
        for number, model in enumerate(args.models, 1):
            folder = args.output / str(number) if several else args.output
            measured.append(_measure(model, cases, args, folder))
        args.answer |= _side_by_side(measured, cases, args) if several else measured[0].facts
        args.answer["written"] = [args.output / name for name in _WRITTEN]
        print(f"written: {args.output / 'evaluation.html'}, evaluation.json and evaluation-tables.md beside it")
        log(_told(measured, args))
    return 0


_WRITTEN = ("evaluation.html", "evaluation.json", "evaluation-tables.md")


def _told(measured: list[_Measured], args: argparse.Namespace) -> Told:
    """What was measured of each model, by its number where there are several, and all that was written."""
    from model.evaluation.promises import figures

    several = len(measured) > 1
    begins = [f"{number}." if several else "" for number in range(1, len(measured) + 1)]
    folders = [Path(), *(Path(str(number)) for number in range(1, len(measured) + 1) if several)]
    return Told(
        {f"{begin}{name}": value for begin, one in zip(begins, measured, strict=True)
         for name, value in one.facts.items() if name != "evaluations"},
        {f"{begin}{' '.join(name).strip()}": value for begin, one in zip(begins, measured, strict=True)
         for name, value in figures(one.evaluation).items()},
        files={args.output / folder / name: folder.name for folder in folders for name in _WRITTEN},
    )  # fmt: skip


def _side_by_side(measured: list[_Measured], cases: "Cases", args: argparse.Namespace) -> dict[str, Any]:
    """Writes and prints what is told of several models together; the facts."""
    from model.evaluation.as_json import changes_as_json, over_models_as_json
    from model.evaluation.changes import pictures_of_changes, what_changed
    from model.evaluation.page import comparison_page
    from model.evaluation.tables import changes_table, comparison

    evaluations = [one.evaluation for one in measured]
    changes = what_changed(*(one.said for one in measured)) if len(measured) == 2 else None
    facts: dict[str, Any] = {
        "models": [one.facts for one in measured],
        "figures": over_models_as_json(evaluations),
        "changes": changes_as_json(changes) if changes else None,
    }
    written = [*([changes_table(changes)] if changes else []), comparison(evaluations)]
    names = [f"{number} {model.name}" for number, model in enumerate(args.models, 1)]
    pages = [f"{number}/evaluation.html" for number in range(1, len(names) + 1)]
    models = list(zip(names, evaluations, pages, strict=True))
    page = comparison_page(cases, models, changes, pictures_of_changes(cases, changes) if changes else {})
    write_whole(args.output / "evaluation.json", json.dumps(facts, indent=2) + "\n")
    write_whole(args.output / "evaluation.html", page)
    write_whole(args.output / "evaluation-tables.md", "\n".join(table.markdown() for table in written))
    _print(written, PlainConsole())
    return facts


def _look_ahead(args: argparse.Namespace, cases: "Cases") -> None:
    """Finds out before any picture is decoded what would otherwise end a model's turn, after minutes for the others."""
    from model.exported.predictions import read_card, unknown_codes

    for location in args.models:
        if location.is_local:
            _, table = read_card(version_folder(location.path, args.version))
            unknown_codes(table, cases, args.leave_out_unknown)
    make_folder(args.output, f"--output {args.output}")


def _measure(location: Location, cases: "Cases", args: argparse.Namespace, folder: Path) -> _Measured:
    """Measures a model and writes what is told of it."""
    from model.evaluation.as_json import as_json
    from model.evaluation.gallery import error_gallery
    from model.evaluation.page import evaluation_page
    from model.evaluation.promises import without_own
    from model.evaluation.summary import evaluate
    from model.evaluation.tables import tables
    from model.evaluation.unknown import words_of
    from model.exported.predictions import predict
    from model.training.curves import read_curves

    with (
        model_here(location, args.version, ANYWHERE) as model,
        Steps() as steps,
        steps.step(f"{location.name}: classifying {cases.path.name}", cases.count) as advance,
    ):
        version = version_folder(model, args.version)
        said, curves = predict(version, cases, advance, args.leave_out_unknown), read_curves(version)
    evaluations = evaluate(said, args.wrong_share or said.card.thresholds.wrong_share, args.seed)
    facts = _facts(location, int(version.name), cases, said, args) | {"evaluations": list(map(as_json, evaluations))}
    folder.mkdir(parents=True, exist_ok=True)
    written = [table for one in evaluations for table in tables(one)]
    write_whole(folder / "evaluation.json", json.dumps(facts, indent=2) + "\n")
    name = f"{location.name}, version {version.name}"
    gallery = error_gallery(cases, said.originals, evaluations[0])
    write_whole(folder / "evaluation.html", evaluation_page(name, cases, said, evaluations, gallery, curves))
    write_whole(folder / "evaluation-tables.md", "\n".join(table.markdown() for table in written))
    if len(args.models) == 1:
        console = PlainConsole()
        _print(written, console)
        for words in (without_own(evaluations[-1]), words_of(evaluations[-1].unknown)):
            if words:
                console.print(words)
    return _Measured(evaluations[0], said.originals, facts)


def _facts(
    location: Location, version: int, cases: "Cases", said: "Predictions", args: argparse.Namespace
) -> dict[str, Any]:
    return {
        "model": str(location),
        "version": version,
        "weights_digest": said.card.weights_digest,
        "cases": str(cases.path),
        "cases_digest": cases.digest(),
        "seed": args.seed,
        "left_out": {"unreadable_pictures": len(said.unreadable), "unknown_codes": said.unknown},
    }


def _print(tables: Iterable["TextTable"], console: Console) -> None:
    for each in tables:
        if each.rows:
            table = Table(*each.header, title=each.title, title_justify="left")
            for row in each.rows:
                table.add_row(*row)
            console.print(table)
