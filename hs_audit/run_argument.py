"""RUN, as the commands after a run take it: a published night on any storage."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hs.storage.stores import Stores
    from pipeline.runs.published import Run


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Declares RUN, and where it is said how its storage is reached."""
    parser.add_argument(
        "published", metavar="RUN", help="a published run_date=… folder, also s3://…, gs://… or abfss://…"
    )
    add_storage_argument(parser)


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
