"""`hs-audit evaluate`: what a model is worth on cases that it has not seen, as a page and as JSON."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from model.quiet import quiet_import
from model.train import add_case_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--version", type=int, help="which of them (default: the newest)")
    add_case_arguments(parser)
    parser.add_argument("--output", type=Path, default=Path(), help="folder for evaluation.html and .json (default: .)")
    parser.add_argument(
        "--wrong-share", type=float, default=0.05, help="of the simulated nights (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of these nights (default: %(default)s)")
    parser.add_argument("--leave-out-unknown", action="store_true", help="leave out cases whose code the model lacks")


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes."""
    with quiet_import():
        from model.cases import open_cases
        from model.evaluation import as_json, evaluate, unknown_as_json, unknown_goods
        from model.predictions import predict, version_of
        from model.progress import Steps

    version = version_of(args.model, args.version)
    cases = open_cases(args.cases, args.pictures == "all")
    with Steps() as steps, steps.step(f"classifying {cases.path.name}", cases.count) as advance:
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
    (args.output / "evaluation.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (args.output / "evaluation.html").write_text(
        _page(version, cases, said, evaluations, unknown, args), encoding="utf-8"
    )
    _print(evaluations, unknown, Console())
    print(f"written: {args.output / 'evaluation.html'}, {args.output / 'evaluation.json'}")
    return 0


def _page(version: Path, cases, said, evaluations, unknown, args: argparse.Namespace) -> str:
    from model.calibration import reliability
    from model.evaluation import KS
    from model.figures import confusion_picture, inspected_curve, reliability_diagram
    from model.metrics import BUDGETS, NIGHTS
    from model.pages import class_name, render

    pictures = {}
    for one in evaluations:
        rows = said.only(~said.generated) if one.name == "originals" else said
        pictures[one.name] = {
            "inspected": inspected_curve(one.nights),
            "reliability": reliability_diagram(reliability(rows.probabilities, rows.labels)),
            "confusion": confusion_picture(one.confusion, [each.label for each in one.classes]),
        }
    notes = f"{len(said.unreadable)} pictures could not be read. " if said.unreadable else ""
    if unknown:
        notes += f"{_unknown_words(unknown)} "
    if said.unknown:
        notes += f"Cases of codes that the model does not know were left out: {', '.join(sorted(said.unknown))}."
    return render(
        "evaluation.html",
        model=f"{version.parent.name}, version {version.name}",
        cases=cases.path.name,
        facts=f"{len(said.truth)} cases of {len(set(said.truth))} of the classifier's {len(said.table)} classes, "
        "each judged by the mean of its pictures.",
        notes=notes,
        evaluations=evaluations,
        pictures=pictures,
        names={label: class_name(label) for label in said.table.labels},
        ks=KS,
        budgets=BUDGETS,
        wrong_share=args.wrong_share,
        nights=NIGHTS,
    )


def _unknown_words(unknown) -> str:
    words = f"Taken for unknown goods: {unknown.false_alarms} cases of codes that the classifier knows"
    if unknown.auroc is not None:
        words += f", {unknown.caught} of others; AUROC {unknown.auroc:.3f}"
    return f"{words}."


def _print(evaluations, unknown, console: Console) -> None:
    from model.evaluation import KS

    for one in evaluations:
        table = Table(
            "digits", *(f"first {k}" for k in KS), title=f"{one.cases} cases ({one.name})", title_justify="left"
        )
        for level, rates in one.levels.items():
            table.add_row(str(level), *(str(rates[k]) for k in KS))
        console.print(table)
        console.print(f"calibration error {one.calibration_error:.3f}, mean F1 {one.macro_f1:.3f}", highlight=False)
    if unknown:
        console.print(_unknown_words(unknown), highlight=False)
