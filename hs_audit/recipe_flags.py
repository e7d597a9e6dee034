"""The flags that change a recipe of `hs-audit train`; their help tells the defaults that stand in the recipes."""

import argparse
from collections.abc import Iterator
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, get_args

from hs_audit import flag_values as flags
from model.training.recipes import FROM_SCRATCH, PRETRAINED, Balance, HeldOut, Recipe

IN_THE_RECIPE = frozenset(
    {field.name for field in fields(Recipe)} | {"epochs", "learning_rate", "batch_size", "fine_tune"}
)


def add_learning_arguments(learning: Any) -> None:
    """Declares what decides on how a network learns."""
    head_alone = f"the head alone: {PRETRAINED.head.epochs}; " if PRETRAINED.head else ""
    epochs = f"(default: {PRETRAINED.last.epochs}; {head_alone}from scratch: {FROM_SCRATCH.last.epochs})"
    rate, balances = flags.number(above=0, most=100), get_args(Balance)
    learning.add_argument(
        "--epochs", type=flags.whole(1, 1_000_000), help=f"looks at each picture in the last phase {epochs}"
    )
    learning.add_argument(
        "--learning-rate",
        type=rate,
        metavar="RATE",
        help=f"of RMSprop in the last phase, at its highest {_default('last.learning_rate')}",
    )
    learning.add_argument(
        "--batch-size",
        type=flags.whole(1, 65536),
        help=f"pictures in a step of the last phase {_default('last.batch_size')}",
    )
    learning.add_argument(
        "--variants",
        type=flags.whole(0, 1000),
        help=f"copies of each picture, cropped, turned and mirrored {_default('variants')}",
    )
    learning.add_argument(
        "--dropout", type=flags.number(least=0, below=1), help=f"before the last layer {_default('dropout')}"
    )
    learning.add_argument(
        "--fine-tune",
        type=flags.number(least=0, most=1),
        metavar="SHARE",
        help=f"of the backbone's weights; 0: none {_default('tail_share')}",
    )
    learning.add_argument(
        "--balance",
        type=flags.one_of(*balances),
        help=f"of rare and common codes: {', '.join(balances)} {_default('balance')}",
    )
    learning.add_argument(
        "--early-stopping", action="store_true", default=None, help="at the epoch that was best on the held-out parts"
    )
    learning.add_argument(
        "--drop-small-codes",
        type=flags.whole(0, 1_000_000),
        metavar="N",
        help=f"learn no HS code with fewer different cases; 0: refuse them {_default('drop_small_codes')}",
    )
    learning.add_argument("--seed", type=flags.SEED, help=f"of everything random {_default('seed')}")


def add_threshold_arguments(thresholds: Any) -> None:
    """Declares what decides on temperature and thresholds."""
    thresholds.add_argument(
        "--folds", type=flags.whole(2, 100), help=f"parts that the cases are cut into {_default('folds')}"
    )
    thresholds.add_argument(
        "--measured",
        type=flags.whole(1, 100),
        help=f"how many of them are held out in turn (default: all; from scratch: {FROM_SCRATCH.measured})",
    )
    thresholds.add_argument(
        "--held-out",
        type=flags.one_of(*get_args(HeldOut)),
        metavar="HOW",
        help="alike: new declarations are like the cases; shifted: they come from elsewhere, and whole looks of a "
        f"code's goods are held out; both: some of each code in either way, the more by looks the more of the pictures "
        f"come in bursts {_default('held_out')}",
    )
    thresholds.add_argument(
        "--groups",
        metavar="COLUMN",
        help="of the cases: importer, office, shop, year; whatever has one value is held out together (default: none)",
    )
    thresholds.add_argument("--precision", type=flags.SHARE, help=f"wanted of the flag {_default('precision')}")
    thresholds.add_argument(
        "--wrong-share", type=flags.SHARE, help=f"assumed of all declarations {_default('wrong_share')}"
    )


def _default(name: str) -> str:
    """What a recipe has where the flag is not given: one for pretrained backbones, and one from scratch."""
    usual, from_scratch = (attrgetter(name)(recipe) for recipe in (PRETRAINED, FROM_SCRATCH))
    return f"(default: {usual})" if usual == from_scratch else f"(default: {usual}; from scratch: {from_scratch})"


def do_not_go_together(args: argparse.Namespace) -> Iterator[str]:
    """A sentence for each pair of flags that make no sense together."""
    if (args.measured or 0) > (folds := args.folds or PRETRAINED.folds):
        yield f"--measured must be at most --folds, which is {folds}, got {args.measured}"
    if args.tune_on_validation and not args.validation:
        yield "--tune-on-validation needs --validation"


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
        "held_out": args.held_out,
        "groups": args.groups,
        "drop_small_codes": args.drop_small_codes,
        "tail_share": args.fine_tune or None,
    }
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    of_phase = {"epochs": args.epochs, "learning_rate": args.learning_rate, "batch_size": args.batch_size}
    last = replace(recipe.last, **{name: value for name, value in of_phase.items() if value is not None})
    return replace(recipe, tail=last) if recipe.tail else replace(recipe, head=last)
