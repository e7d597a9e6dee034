"""`hs-audit check`: tells what is wrong before a night is lost."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from pipeline import check_archive, check_model, check_server


@dataclass(frozen=True)
class Subject:
    """Something that can be checked, and how."""

    help: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


SUBJECTS = {
    "archive": Subject(
        "the Parquet files of a night", check_archive.EPILOG, check_archive.add_arguments, check_archive.run
    ),
    "model": Subject(
        "an exported classifier, and that it can do no harm",
        check_model.EPILOG,
        check_model.add_arguments,
        check_model.run,
    ),
    "server": Subject(
        "a model server: what it has, what it can do",
        check_server.EPILOG,
        check_server.add_arguments,
        check_server.run,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what can be checked, and the flags of each."""
    subjects = parser.add_subparsers(dest="subject", metavar="SUBJECT", required=True)
    for name, subject in SUBJECTS.items():
        subject.add_arguments(
            subjects.add_parser(
                name,
                help=subject.help,
                description=f"Checks {subject.help}.",
                epilog=subject.epilog,
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )


def run(args: argparse.Namespace) -> int:
    """Checks one subject; returns the exit code."""
    return SUBJECTS[args.subject].run(args)
