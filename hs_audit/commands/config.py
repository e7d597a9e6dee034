"""`hs-audit config NAME`: prints a commented configuration to start from."""

import argparse
from importlib.resources import files

from hs.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("name", help=f"one of {', '.join(_names())}")


def run(args: argparse.Namespace) -> int:
    """Prints the configuration."""
    if args.name not in _names():
        raise UsageError(f"there is no configuration {args.name!r}; there are {', '.join(_names())}")
    print((files("hs_audit") / "configs" / f"{args.name}.yaml").read_text(encoding="utf-8"), end="")
    return 0


def _names() -> list[str]:
    configs = (files("hs_audit") / "configs").iterdir()
    return sorted(path.name.removesuffix(".yaml") for path in configs if path.name.endswith(".yaml"))
