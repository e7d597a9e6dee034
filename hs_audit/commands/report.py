"""`hs-audit report`: writes the page that officers open, again."""

import argparse
from pathlib import Path

from hs.errors import UsageError
from hs_audit.run_argument import add_run_argument, run_of
from pipeline.report.page import write_report
from pipeline.runs.published import outside, read_worklist


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path(), help="folder of report.html (default: the current one)"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page of a published run anew."""
    published = run_of(args)
    manifest, folder = published.manifest, outside(published, args.output)
    worklist = read_worklist(published.folder / "worklist.parquet", published.stores)
    page = folder / "report.html"
    try:
        write_report(page, manifest, worklist, manifest["configuration"]["worklist"]["report_findings"])
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from error
    print(page)
    return 0
