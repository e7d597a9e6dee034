"""`hs-audit report`: writes the page that officers open, again."""

import argparse
from pathlib import Path

import pyarrow as pa

from hs.errors import UsageError
from hs.storage.location import Location
from hs_audit.run_argument import add_run_argument, run_of
from pipeline.report.page import write_report
from pipeline.runs.published import Run, findings_of, outside, read_worklist
from pipeline.runs.tables import tables_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    parser.add_argument(
        "--worklist", type=Path, metavar="FILE", help="a worklist.parquet chosen anew (default: the run's own)"
    )
    parser.add_argument(
        "--cases",
        type=Location.parse,
        metavar="CASES",
        help="Parquet file of the cases that the model learned from, or folder of such, for the pictures of rulings "
        "(default: the run's own report.cases)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", default=Path(), help="folder of report.html (default: the current one)"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page of a published run anew."""
    published = run_of(args)
    manifest, folder = published.manifest, outside(published, args.output)
    worklist = _worklist(published, args.worklist)
    page, configuration = folder / "report.html", manifest["configuration"]
    cases = args.cases or configuration.get("report", {}).get("cases")  # an older run has no such settings
    most = configuration["worklist"]["report_findings"]
    findings, nomenclature = (findings_of(published), published.stores), tables_of(published).nomenclature
    try:
        write_report(page, manifest, worklist, findings, most, cases and str(cases), nomenclature)
    except pa.ArrowException as error:
        raise UsageError(f"the findings in {published.name} cannot be read: {error}") from error
    except OSError as error:
        raise UsageError(f"{page} cannot be written: {error.strerror}") from error
    print(page)
    return 0


def _worklist(published: Run, chosen_anew: Path | None) -> pa.Table:
    """The lines to show.

    Raises:
        UsageError: if they cannot be read, or are another run's.
    """
    if chosen_anew is None:
        return read_worklist(published.folder / "worklist.parquet", published.stores)
    worklist = read_worklist(chosen_anew)
    runs = set(worklist["run_id"].to_pylist()) if "run_id" in worklist.column_names else set()
    if runs - {published.manifest["run_id"]}:
        raise UsageError(f"{chosen_anew} is a worklist of another run than {published.name}")
    return worklist
