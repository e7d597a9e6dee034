"""`hs-audit explain`: one finding of a run in full: what was read, each picture, each level, each threshold."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hs.codes import LEVELS, HSCode
from hs.errors import UsageError
from hs.nomenclature import description
from hs.text import printable
from hs.verdicts import Reason, Verdict
from hs.words import LANGUAGES, explain, level_name, picture_words, repair_words, verdict_words
from pipeline.runs.published import findings_of, read_manifest

Finding = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    parser.add_argument("published", metavar="RUN", type=Path, help="a published run_date=… folder")
    parser.add_argument(
        "declaration", metavar="ID[#ITEM]", help="id of the declaration, and the item where it has several"
    )
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the sentences (default: en)")


def run(args: argparse.Namespace) -> int:
    """Prints every finding of that id."""
    manifest = read_manifest(args.published)
    findings = find(args.published, args.declaration)
    if not findings:
        raise UsageError(f"{args.published} has no finding of declaration {args.declaration}")
    console = Console(width=None if Console().is_terminal else 110)
    for finding in findings:
        _print(finding, manifest, args.language, console)
    return 0


def find(run_folder: Path, declaration: str) -> list[Finding]:
    """The findings of a declaration, `ID` or `ID#ITEM`; an id may itself hold a `#`.

    Raises:
        UsageError: if the findings cannot be read.
    """
    try:
        found = list(_of(run_folder, declaration, None))
        name, hash_sign, item = declaration.rpartition("#")
        if not found and hash_sign and item.isdecimal():
            found = list(_of(run_folder, name, int(item)))
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"the findings in {run_folder} cannot be read: {error}") from error
    return found


def _of(run_folder: Path, name: str, item: int | None) -> Iterator[Finding]:
    for part in findings_of(run_folder):
        for batch in pq.ParquetFile(part).iter_batches(8192):
            mine = batch.filter(pc.equal(batch.column("declaration_id"), name))
            yield from (finding for finding in mine.to_pylist() if item in (None, finding["item_no"]))


def _print(finding: Finding, manifest: dict[str, Any], language: str, console: Console) -> None:
    declared = HSCode(finding["declared_hs_code_normalized"]) if finding["declared_hs_code_normalized"] else None
    recommended = [HSCode(best["hs_code"]) for best in finding["recommendations"]]
    why = explain(Reason(finding["reason"]), declared, finding["differs_at"], recommended, language)
    item = "" if finding["item_no"] is None else f", item {finding['item_no']}"
    verdict = verdict_words(Verdict(finding["verdict"]), language)
    console.rule(escape(printable(f"{finding['declaration_id']}{item}")), align="left")
    console.print(f"[bold]{verdict}[/bold] ({finding['reason']}): {why}", highlight=False)
    facts = Table.grid(padding=(0, 2))
    for label, text in _facts(finding, declared, manifest, language):
        facts.add_row(label, escape(printable(text)))
    console.print(facts)
    if any(finding[f"declared_probability_{level}"] is not None for level in LEVELS):
        console.print(_levels(finding, manifest["thresholds"], language))
    if finding["recommendations"]:
        console.print(_recommendations(finding))
    console.print(_pictures(finding, language) if finding["pictures"] else "no pictures\n")


def _facts(
    finding: Finding, declared: HSCode | None, manifest: dict[str, Any], language: str
) -> Iterator[tuple[str, str]]:
    yield "declared as", repr(finding["declared_hs_code"])
    repair = f" ({repair_words(finding['code_repair'], language)})" if finding["code_repair"] else ""
    yield "read as", f"{declared or 'no code'}{repair}"
    if declared:
        yield "which is", description(declared) or "not in the nomenclature"
    share = manifest["configuration"]["verdict"]["assumed_wrong_share"]
    if finding["risk"] is not None:
        yield "risk", f"{finding['risk']:.4f} that the code is wrong, if {share:.0%} of all declarations are"
    thresholds = manifest["thresholds"]
    if finding["novelty"] is not None and thresholds["novel_above"] is not None:
        limit = thresholds.get("abstain_above", thresholds.get("alien_above"))  # its name in older manifests
        abstain = f"; above {limit:.4f} even against the code" if limit else ""
        yield "novelty", f"{finding['novelty']:.4f}; unknown goods above {thresholds['novel_above']:.4f}{abstain}"
    else:
        yield "unknown goods", f"above a normalised entropy of {thresholds['unknown_above']:.4f}"
    yield "thresholds", f"of the {thresholds['from']}"
    yield "model", f"{finding['model_name']} version {finding['model_version']}"
    yield "row", f"{finding['source_row']} of row group {finding['source_row_group']} of {finding['source_file']}"
    yield "run", f"{finding['run_id']} of {finding['run_date']}"


def _levels(finding: Finding, thresholds: dict[str, Any], language: str) -> Table:
    low, high = thresholds["differs_below"], thresholds["agrees_above"]
    table = Table(
        "level",
        "declared",
        "probability",
        "differs below",
        "agrees from",
        title="levels that were judged",
        title_justify="left",
    )
    code = HSCode(finding["declared_hs_code_normalized"])
    for level in LEVELS:
        probability, prefix = finding[f"declared_probability_{level}"], code.at(level)
        if probability is not None:
            here = " ◄ differs" if level == finding["differs_at"] else ""
            table.add_row(
                level_name(level, language), f"{prefix}{here}", f"{probability:.4f}", f"{low:.4f}", f"{high:.4f}"
            )
    return table


def _recommendations(finding: Finding) -> Table:
    table = Table("recommended", "probability", "which is", title="what the pictures speak for", title_justify="left")
    for best in finding["recommendations"]:
        table.add_row(str(HSCode(best["hs_code"])), f"{best['probability']:.4f}", best["description"] or "")
    return table


def _pictures(finding: Finding, language: str) -> Table:
    disagreement = finding["disagreement"]
    title = "pictures" if disagreement is None else f"pictures; on average two of them disagree on {disagreement:.0%}"
    table = Table("picture", "what became of it", "counts for", "SHA-256", title=title, title_justify="left")
    for number, picture in enumerate(finding["pictures"], start=1):
        words = picture_words(picture["status"], picture["detail"], language)
        weight = "" if picture["weight"] is None else f"{picture['weight']:.0%}"
        table.add_row(str(number), escape(printable(words)), weight, picture["sha256"][:16] + "…")
    return table
