"""`hs-audit replay`: scores one finding of a run again, and says what differs.

The declaration is read from the archive as it lies, and shown to the version of the model that the run pinned. Exit
code 0: the same, probabilities within 1e-5; 3: something differs. A model with other weights is refused (6), and so is
an archive that was changed since the run (7).
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hs_audit.run_argument import add_declaration_argument, add_run_argument, findings_asked_for, run_of
from hs_audit.server_arguments import add_server_arguments, require_a_server
from hs_audit.terminal import console_for, patience
from pipeline.config import load_config
from pipeline.findings.finding import Finding
from pipeline.job.in_process import STOP
from pipeline.replay import Replayed, changed_versions, configuration_of, replay, require_pinned
from pipeline.resolving import model_server, resolve
from pipeline.runs.published import Run
from pipeline.runs.tables import tables_of

DIFFERS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    add_declaration_argument(parser)
    add_server_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Scores every finding of that id again; 0 where all are the same, else 3."""
    published = run_of(args)
    findings = findings_asked_for(args, published)
    with patience("asking the model"):
        replayed = _replayed(args, published, findings)
    args.answer["findings"] = [_as_json(each) for each in replayed]
    console = console_for(110)
    for each in replayed:
        _print(each, console)
    same = all(each.is_the_same for each in replayed)
    if not same and (changed := changed_versions(published.manifest["versions"])):
        args.answer["other_versions"] = changed
        console.print(f"other versions than the run had: {'; '.join(changed)}", soft_wrap=True)
    return 0 if same else DIFFERS


def _replayed(args: argparse.Namespace, published: Run, findings: list[Finding]) -> list[Replayed]:
    config = configuration_of(published, load_config(args.config) if args.config else None)
    version = config.server.version
    config = config.overridden(input=None, output=None, server=args.server, version=version)
    require_a_server(args, config, "hs-audit replay --saved-model")
    nomenclature = tables_of(published).nomenclature
    pairs = config.verdict.pairs(nomenclature)
    with (
        tempfile.TemporaryDirectory() as folder,
        model_server(config, args.saved_model, Path(folder) / "server.log", STOP, args.trust_model) as connection,
    ):
        model = resolve(config, args.saved_model, connection, STOP)
        require_pinned(published, model)
        return [replay(published, finding, config, model, connection, pairs, nomenclature) for finding in findings]


def _as_json(replayed: Replayed) -> dict[str, Any]:
    finding = replayed.finding
    return {
        "declaration_id": finding.declaration_id,
        "item_no": finding.item_no,
        "same": replayed.is_the_same,
        "largest_difference": replayed.largest,
        "differences": replayed.differences,
    }


def _print(replayed: Replayed, console: Console) -> None:
    finding = replayed.finding
    item = "" if finding.item_no is None else f", item {finding.item_no}"
    name, model = f"{finding.declaration_id}{item}", f"{finding.model_name} version {finding.model_version}"
    if replayed.is_the_same:
        words = (
            f"the same: {finding.verdict} ({finding.reason}), probabilities within {max(replayed.largest, 1e-9):.0e}"
        )
        console.print(f"{name}: {words}; {model}", soft_wrap=True)
        return
    table = Table("", "in the run", "now", title=f"{name}: differs; {model}", title_justify="left")
    for each in replayed.differences:
        table.add_row(each.name, _shown(each.was), _shown(each.now))
    console.print(table)


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)
