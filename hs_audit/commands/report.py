"""`hs-audit report`: writes the page that officers open, again."""

import argparse
from pathlib import Path

from hs.errors import UsageError
from pipeline.report.page import write_report
from pipeline.runs.published import outside, read_manifest, read_worklist


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("published", metavar="RUN", type=Path, help="a published run_date=… folder")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path(), help="folder of report.html (default: the current one)"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page of a published run anew."""
    manifest = read_manifest(args.published)
    folder = outside(args.published, args.output)
    worklist = read_worklist(args.published / "worklist.parquet")
    configuration, page = manifest["configuration"], folder / "report.html"
    try:
        most = configuration["worklist"]["report_findings"]
        write_report(page, manifest, worklist, configuration["columns"]["images"], most)
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from error
    print(page)
    return 0
