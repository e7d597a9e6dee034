"""`hs-audit dataset`: cases → train.parquet, test.parquet and a data card.

The presets are the three data sets of Lee Dongju, Kim Gunwoo and Choi Keunho (2020): `paper-1` five codes with five
variants of each of 100 pictures, `paper-2` chapter 87 as it is, `paper-3` chapter 87 made even.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hs.files import sha256_of, write_whole
from hs.storage.location import Location
from hs_audit import flag_values as flags
from hs_audit.steps import Steps
from hs_audit.terminal import PlainConsole
from model.cases.data_sets import PRESETS, Choice, Looked, plan_for
from model.cases.drawing import DataSet, Planned, draw, planned_as
from model.cases.excluding import excluded_from
from model.cases.reading import Cases, open_cases


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument(
        "--cases", type=Location.parse, required=True, help="Parquet file, manifest, or folder of cases"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the data set")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="of the paper (default: by the flags below)")
    parser.add_argument(
        "--pictures",
        choices=("all", "first"),
        default="all",
        help="of each case (default: %(default)s; presets: first)",
    )
    parser.add_argument("--exclude", type=Path, metavar="FILE", help="cases to leave out: the CSV file of check cases, "
                        "or their ids, one a line")  # fmt: skip
    parser.add_argument(
        "--size", type=flags.SIDE, default=224, help="side of generated pictures (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=flags.SEED, default=0, help="of the draw and the variants (default: %(default)s)"
    )
    own = parser.add_argument_group("without a preset")
    own.add_argument("--codes", type=flags.COUNT, metavar="N", help="the N codes with the most pictures (default: all)")
    own.add_argument("--chapter", help="digits that the codes begin with (default: any)")
    own.add_argument("--rest", action="store_true", help="the other codes of the chapter as one class, as in 87*")
    own.add_argument("--digits", type=int, choices=(2, 4, 6, 8, 10), help="cut the codes to so many (default: none)")
    own.add_argument("--split", type=flags.SHARE, default=0.7, help="share to learn from (default: %(default)s)")
    own.add_argument(
        "--train", type=flags.COUNT, metavar="N", help="originals of a code to learn from (default: the split)"
    )
    own.add_argument(
        "--test", type=flags.COUNT, metavar="N", help="originals of a code to measure on (default: the split)"
    )
    own.add_argument(
        "--variants", type=flags.whole(0, 1000), default=0, help="of each original, to learn from (default: 0)"
    )
    own.add_argument(
        "--fill", type=flags.COUNT, metavar="N", help="generate until a code has N to learn from (default: none)"
    )


def run(args: argparse.Namespace) -> int:
    """Draws and writes the data set."""
    cases = open_cases(args.cases, all_pictures=args.pictures == "all" and args.preset is None)
    excluded = excluded_from(cases, args.exclude) if args.exclude else frozenset()
    # Whole cases may not add up to the counts of a split; numbers that were asked for are kept or refused.
    exact = args.preset is not None or args.train is not None or args.test is not None
    with Steps() as steps:
        drawn = draw(
            cases, args.output, _plan(args), steps.step,
            exact=exact, seed=args.seed, side_px=args.size, excluded=excluded,
        )  # fmt: skip
    card = _card(args, cases, excluded, drawn)
    write_whole(args.output / "data_card.json", json.dumps(card, indent=2) + "\n")
    write_whole(args.output / "data_card.md", _markdown(card))
    _print(card, PlainConsole())
    print(f"written: {args.output}/train.parquet, test.parquet, data_card.json, data_card.md")
    return 0


def _plan(args: argparse.Namespace) -> Callable[[Looked], Planned]:
    if args.preset:
        return planned_as(args.preset)
    choice = Choice(**{name: getattr(args, name) for name in Choice.__dataclass_fields__})
    return lambda looked: plan_for(looked, choice)


def _card(args: argparse.Namespace, cases: Cases, excluded: frozenset[str], drawn: DataSet) -> dict[str, Any]:
    looked, sides = drawn.looked, drawn.sides
    groups = Counter(looked.groups.tolist())
    files = {name: sha256_of(args.output / name) for name in ("train.parquet", "test.parquet")}
    return {
        "name": drawn.plan.name,
        "parameters": {
            name: str(value) if isinstance(value, Path | Location) else value
            for name, value in sorted(vars(args).items())
        },
        "cases": {"path": str(cases.path), "digest": cases.digest(), "count": cases.count},
        "seed": args.seed,
        "classes": drawn.counts,
        "left_out": {
            "unreadable_pictures": dict(Counter(picture.reason for picture in looked.unreadable)),
            "excluded_cases": len(excluded),
            "cases_of_other_codes": len(looked.codes) - len(sides.of_case) - sides.left_over.total(),
            "cases_beyond_the_counts": dict(sides.left_over),
        },
        "grouping": looked.grouping.sentences,
        "cases_alike": sum(count for count in groups.values() if count > 1),
        "sha256": files,
    }


def _rows(card: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    totals: Counter[tuple[str, str]] = Counter()
    for name, sides in card["classes"].items():
        numbers = {(side, kind): sides[side][kind] for side in ("train", "test") for kind in ("originals", "generated")}
        totals.update(numbers)
        rows.append((name, *map(str, numbers.values())))
    return [*rows, ("all", *(str(totals[key]) for key in numbers))]


_HEADER = ("class", "train: originals", "generated", "test: originals", "generated")


def _markdown(card: dict[str, Any]) -> str:
    table = [_HEADER, ("---",) * len(_HEADER), *_rows(card)]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in table)
    left_out = card["left_out"]
    paragraphs = (
        f"# Data set {card['name']}",
        f"Drawn from {card['cases']['count']} cases ({card['cases']['digest']}) with seed {card['seed']}. All pictures "
        f"of a case, equal files and nearly equal pictures ({card['cases_alike']} cases) stay on one side; generated "
        "pictures, random crops, turns and mirrors, stay on the side of their original. "
        + ". ".join(card["grouping"])
        + ".",
        lines,
        f"Left out: {sum(left_out['unreadable_pictures'].values())} unreadable pictures, {left_out['excluded_cases']} "
        f"cases by request, {left_out['cases_of_other_codes']} cases of other codes, "
        f"{sum(left_out['cases_beyond_the_counts'].values())} cases beyond the counts.",
    )
    return "\n\n".join(paragraphs) + "\n"


def _print(card: dict[str, Any], console: Console) -> None:
    table = Table(*_HEADER, title=card["name"], title_justify="left")
    for row in _rows(card):
        table.add_row(*row)
    console.print(table)
    if unreadable := card["left_out"]["unreadable_pictures"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in unreadable.items())
        console.print(f"left out, unreadable pictures: {reasons}")
