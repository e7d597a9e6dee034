"""RUN, and ID of one of its declarations, as the commands after a run take them: a published night on any storage."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hs.errors import UsageError

if TYPE_CHECKING:
    from hs.storage.stores import Stores
    from pipeline.findings.finding import Finding
    from pipeline.runs.published import Run


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Declares RUN, and where it is said how its storage is reached."""
    parser.add_argument(
        "published", metavar="RUN", help="a published run_date=… folder, also s3://…, gs://… or abfss://…"
    )
    add_storage_argument(parser)


def add_declaration_argument(parser: argparse.ArgumentParser) -> None:
    """Declares ID."""
    parser.add_argument(
        "declaration", metavar="ID[#ITEM]", help="id of the declaration, and the item where it has several"
    )


def add_storage_argument(parser: argparse.ArgumentParser) -> None:
    """Declares where it is said how a storage is reached."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="configuration whose `storage` says how it is reached, if need be"
    )


def stores_of(args: argparse.Namespace) -> "Stores":
    """How storages are reached.

    Raises:
        UsageError: if the configuration cannot be read.
    """
    from hs.storage.stores import Stores

    if args.config is None:
        return Stores()
    from pipeline.config import load_config

    return load_config(args.config).stores()


def run_of(args: argparse.Namespace) -> "Run":
    """The run that was asked for.

    Raises:
        UsageError: if it is no published run.
        StorageLost: if its storage stayed away.
    """
    from pipeline.runs.published import published_run

    return published_run(args.published, stores_of(args))


def findings_asked_for(args: argparse.Namespace, published: "Run") -> list["Finding"]:
    """The findings of a declaration, `ID` or `ID#ITEM`; an id may itself hold a `#`.

    Raises:
        UsageError: if there are none, or they cannot be read.
    """
    from pipeline.runs.published import read_findings

    found = list(read_findings(published, [args.declaration]))
    name, hash_sign, item = args.declaration.rpartition("#")
    if not found and hash_sign and item.isdecimal():
        found = [finding for finding in read_findings(published, [name]) if finding.item_no == int(item)]
    if not found:
        raise UsageError(f"{args.published} has no finding of declaration {args.declaration}")
    return found
