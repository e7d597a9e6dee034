"""`hs-audit check model`: whether a version keeps the contract, and can do no harm."""

import argparse
from pathlib import Path

from rich.console import Console

from hs.errors import ContractBroken
from hs.files import version_folder
from hs_audit.terminal import Section, print_section

EPILOG = """\
looks at the graph before it is loaded: nothing that reads or writes files, calls Python or is not
TensorFlow's own may be reached from a signature. Then signatures, classes, card, digests, warm-up
requests and golden pictures are checked.
exit codes: 0 all is well, 6 it is not"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--version", type=int, help="which of them (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """Checks one version.

    Raises:
        ContractBroken: if something is wrong; what, is printed before.
    """
    from model.quiet import quiet_import

    with quiet_import():
        from model.exported.inspection import inspect_version

    version = version_folder(args.model, args.version)
    lines, problems = inspect_version(version)
    print_section(Section(f"{version}", lines, problems), Console())
    if problems:
        raise ContractBroken(f"{version}: {len(problems)} of the contract's points do not hold")
    return 0
