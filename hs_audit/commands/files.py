"""`hs-audit files`: the files of a run that stand now, a line each, for anything that reads Parquet.

On object storage these are the ones to read: beside them lie those of earlier attempts.
"""

import argparse
from datetime import date

from hs.errors import UsageError
from hs.storage.location import Location
from hs_audit.run_argument import add_storage_argument, stores_of
from pipeline.runs.published import published_run

_KINDS = ("findings", "dead_letters", "all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("published", metavar="RUN|DIR", help="a published run_date=… folder, or the output around it")
    parser.add_argument(
        "--run-date", type=date.fromisoformat, metavar="D", help="YYYY-MM-DD, of a run in DIR (default: RUN is one)"
    )
    parser.add_argument("--what", choices=_KINDS, default="findings", help="which files (default: findings)")
    add_storage_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the files."""
    where = Location.parse(args.published)
    if args.run_date:
        where /= f"run_date={args.run_date.isoformat()}"
    elif not where.name.startswith(("run_date=", "attempt-")):
        raise UsageError(f"{args.published} is no run_date=… folder; give one, or the night with --run-date")
    published = published_run(where.text, stores_of(args))
    if args.what == "all":
        files = [published.folder / output["path"] for output in published.manifest["outputs"]]
        files += [published.folder / name for name in ("manifest.json", "_SUCCESS")]
    else:
        files = published.files(args.what)
    for file in files:
        print(file)
    return 0
