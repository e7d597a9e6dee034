"""`hs-audit check model`: whether a version keeps the contract and holds nothing but arithmetic."""

import argparse

from hs.errors import ContractBroken
from hs.files import version_folder
from hs.storage.location import Location
from hs.storage.models import model_here
from hs.storage.stores import ANYWHERE
from hs_audit import flag_values as flags
from hs_audit.terminal import PlainConsole, Section, print_section

EPILOG = """\
looks at the whole graph before it is loaded: every operation of every function must be known to be
arithmetic, nothing may run or be read as it loads, and no file may be there that a classifier does
not need. Then, in a process of its own without a network, signatures, classes, card, digests,
warm-up requests and golden pictures are checked.
exit codes: 0 all is well, 6 it is not"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("model", type=Location.parse, metavar="MODEL", help="folder of the numbered versions")
    parser.add_argument("--version", type=flags.VERSION, help="which of them (default: the newest)")


def run(args: argparse.Namespace) -> int:
    """Checks one version.

    Raises:
        ContractBroken: if something is wrong; what, is printed before.
    """
    from model.quiet import quiet_import

    with quiet_import():
        from model.exported.inspection import inspect_version

    with model_here(args.model, args.version, ANYWHERE) as model:
        version = version_folder(model, args.version)
        lines, problems = inspect_version(version)
    name = args.model / version.name
    args.answer |= {"model": args.model, "version": int(version.name), "facts": lines, "problems": problems}
    print_section(Section(f"{name}", lines, problems), PlainConsole())
    if problems:
        raise ContractBroken(f"{name}: {len(problems)} of the contract's points do not hold")
    return 0
