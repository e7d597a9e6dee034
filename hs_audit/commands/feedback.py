"""`hs-audit feedback`: files what officers decided on a run, so that it teaches the nights to come.

A decisions file is what the page of a run exports, JSON or CSV. Every line is checked first, and nothing is filed if
one is wrong. Below the folder of --output:

  decisions/run_date=D/   who decided what and when, and what was shown
  cases/D.parquet         pictures under the code that holds, for `hs-audit train --cases`
  settled/run_date=D/     what later worklists do not raise again, where `worklist.settled` names the folder
  truth/run_date=D/       truth.csv, for `hs-audit score RUN --truth`
"""

import argparse

from hs.errors import UsageError
from hs.storage.location import Location
from hs.text import counted
from hs_audit.run_argument import add_run_argument, run_of
from hs_audit.terminal import PlainConsole
from pipeline.feedback.chances import chances_of
from pipeline.feedback.filing import Filed, against, conflicts, file_decisions, in_sheets, latest
from pipeline.feedback.written import read_decisions
from pipeline.runs.published import Run, findings_at, read_worklist

_MOST_SENTENCES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    parser.add_argument("decisions", nargs="+", metavar="DECISIONS", help="files that the run's page exported")
    parser.add_argument(
        "--output",
        type=Location.parse,
        metavar="FOLDER",
        help="of what is filed of all nights (default: _feedback beside the run)",
    )
    parser.add_argument(
        "--worklist",
        metavar="FILE",
        help="worklist.parquet that was worked through, where it was chosen anew (default: the run's own)",
    )


def run(args: argparse.Namespace) -> int:
    """Files the decisions and says what became of them."""
    published, console = run_of(args), PlainConsole(soft_wrap=True)
    folder = _folder(args.output, published)
    worklist = read_worklist(args.worklist or published.folder / "worklist.parquet", published.stores)
    read = [read_decisions(written, published, published.stores) for written in args.decisions]
    files = (read["path"] for read in published.manifest["inputs"])
    decisions = in_sheets((decision for each in read for decision in each.decisions), files)
    findings = findings_at(published, {each.source for each in decisions})
    wrong = [sentence for each in read for sentence in each.wrong] + against(decisions, findings)
    total = len(decisions) + sum(len(each.wrong) for each in read)
    if not total:
        raise UsageError(f"there is no decision in {', '.join(args.decisions)}")
    _refuse(wrong, f"{len(wrong):,} of {counted(total, 'decision')} cannot be filed, so nothing was")
    _refuse(
        clashing := conflicts(decisions),
        f"the files contradict each other on {counted(len(clashing), 'finding')}, so nothing was filed; settle it on "
        "the page, where two files can be merged, or give the files one after the other: the later decision counts",
    )
    filed = file_decisions(published, latest(decisions), findings, chances_of(worklist), folder, published.stores)
    _say(filed, folder, published, console)
    if nameless := sum(not decision.officer.strip() for decision in decisions):
        console.print(f"{counted(nameless, 'decision')} without an officer's name: nobody can say later who decided")
    return 0


def _folder(output: Location | None, run: Run) -> Location:
    """Where decisions on all nights are filed, by default beside the run.

    Raises:
        UsageError: if it lies in the run, where nothing is written after publication.
    """
    night = run.folder if run.folder.has_folders else run.folder.parent  # an attempt lies in its run
    if output is None:
        return night.parent / "_feedback"
    if output.is_in(night) or (output.is_local and output.path.resolve().is_relative_to(night.path.resolve())):
        raise UsageError(f"nothing is written into a published run; give an --output outside {run.name}")
    return output


def _refuse(sentences: list[str], summary: str) -> None:
    if not sentences:
        return
    console, more = PlainConsole(stderr=True, soft_wrap=True), len(sentences) - _MOST_SENTENCES
    for sentence in sentences[:_MOST_SENTENCES]:
        console.print(sentence)
    if more > 0:
        console.print(f"and {more:,} more")
    raise UsageError(summary)


def _say(filed: Filed, folder: Location, run: Run, console: PlainConsole) -> None:
    became = ", ".join(f"{filed.became[name]:,} {words}" for name, words in _WORDS.items() if filed.became[name])
    console.print(f"{counted(filed.became.total(), 'decision')} on the night of {run.manifest['run_date']}: {became}")
    rulings = ", ".join(f"{count:,} {ruling.replace('_', ' ')}" for ruling, count in sorted(filed.rulings.items()))
    console.print(f"filed of this night by now: {rulings}")
    console.print(f"{counted(filed.cases, 'case')} for training in {folder / 'cases'}")
    for why, count in filed.without_pictures.items():
        console.print(f"{counted(count, 'decision')} without pictures to learn from: {why}")
    console.print(f"{counted(filed.settled, 'matter')} settled, for worklist.settled: {folder}")
    truth = folder / "truth" / f"run_date={run.manifest['run_date']}" / "truth.csv"
    console.print(f"{counted(filed.truth, 'line')} of truth in {truth}")
    if filed.not_in_truth:
        console.print(
            f"{counted(filed.not_in_truth, 'decision')} not in it: no id, or one that names no single finding"
        )
    if not filed.written:
        console.print("all of it was filed before; nothing has changed")


_WORDS = {
    "new": "new",
    "replaced": "in place of earlier ones",
    "filed": "filed before",
    "older": "older than what is filed, which stands",
}
