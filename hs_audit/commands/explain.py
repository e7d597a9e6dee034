"""`hs-audit explain`: one finding of a run in full: what was read, each picture, each level, each threshold."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hs.codes import HSCode
from hs.nomenclature import description
from hs.text import excerpt
from hs.words import LANGUAGES, level_name, picture_words, promise_words, repair_words, verdict_words
from hs_audit.run_argument import add_declaration_argument, add_run_argument, findings_asked_for, run_of
from hs_audit.terminal import console_for
from pipeline.findings.finding import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags."""
    add_run_argument(parser)
    add_declaration_argument(parser)
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="of the sentences (default: en)")


def run(args: argparse.Namespace) -> int:
    """Prints every finding of that id."""
    published = run_of(args)
    findings = findings_asked_for(args, published)
    console = console_for(110)
    for finding in findings:
        _print(finding, published.manifest, args.language, console)
    return 0


def _print(finding: Finding, manifest: dict[str, Any], language: str, console: Console) -> None:
    item = "" if finding.item_no is None else f", item {finding.item_no}"
    console.rule(f"{finding.declaration_id}{item}", align="left")
    verdict = verdict_words(finding.verdict, language)
    console.print(Text(verdict, "bold") + Text(f" ({finding.reason}): {finding.why(language)}"))
    facts = Table.grid(padding=(0, 2))
    for label, text in (*_as_declared(finding, language), *_as_judged(finding, manifest), *_where_from(finding)):
        facts.add_row(label, text)
    console.print(facts)
    if finding.declared and finding.declared_probabilities:
        console.print(_levels(finding.declared, finding, manifest["thresholds"], language))
    if finding.recommendations:
        console.print(_recommendations(finding))
    console.print(_pictures(finding, language) if finding.pictures else "no pictures\n")


def _as_declared(finding: Finding, language: str) -> Iterator[tuple[str, str]]:
    yield "declared as", repr(finding.declared_hs_code)
    repair = f" ({repair_words(finding.code_repair, language)})" if finding.code_repair else ""
    yield "read as", f"{finding.declared or 'no code'}{repair}"
    if finding.declared:
        of_another = f"a code of {finding.declared_edition}" if finding.declared_edition else "not in the nomenclature"
        yield "which is", description(finding.declared) or of_another
    if finding.hs_edition:
        yield "edition", f"{finding.hs_edition}, in force on the date of the declaration"


def _as_judged(finding: Finding, manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    share, thresholds = manifest["configuration"]["verdict"]["assumed_wrong_share"], manifest["thresholds"]
    if finding.risk is not None:
        yield "risk", f"{finding.risk:.4f} that the code is wrong, if {share:.0%} of all declarations are"
    if finding.novelty is not None and thresholds["novel_above"] is not None:
        limit = thresholds.get("abstain_above", thresholds.get("alien_above"))  # its name in older manifests
        abstain = f"; above {limit:.4f} even against the code" if limit else ""
        yield "novelty", f"{finding.novelty:.4f}; unknown goods above {thresholds['novel_above']:.4f}{abstain}"
    else:
        yield "unknown goods", f"above a normalised entropy of {thresholds['unknown_above']:.4f}"
    yield "thresholds", f"of the {thresholds['from']}{_promise(thresholds)}"
    yield from _self_test(manifest)
    for partner in finding.partners:
        code = excerpt(str(partner.declared or "no code"), 13)
        importer = "" if partner.importer is None else f", importer {excerpt(partner.importer, 40)}"
        yield (
            "same picture",
            f"{partner.run_date} {excerpt(partner.declaration_id or 'no id', 60)}: {code}{importer}, "
            f"{partner.distance} of 64 bits differ",
        )
    for sha256 in finding.stock_pictures:
        yield "tells nothing", f"picture {sha256[:16]}…, which too many others use"
    for one in finding.precedents:
        yield (
            "like the ruling",
            f"{excerpt(one.case_id, 100)}: {excerpt(one.hs_code, 11)}, similarity {one.similarity:.2f}",
        )


def _self_test(manifest: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """How planted codes of the expected kind fared in the night; nothing where there were none."""
    selftest = manifest.get("selftest")  # an older run has none
    if selftest and (kind := selftest["kinds"][selftest["expected"]])["planted"]:
        found, as_declared = kind["recall"], kind["false_alarms"]
        low, high = found["interval"]
        yield (
            "self-test",
            f"of {kind['planted']} wrong codes planted {selftest['expected'].replace('_', ' ')} {found['count']} "
            f"differed ({low:.0%} to {high:.0%}); {as_declared['count']} of the same declarations did as declared",
        )


def _where_from(finding: Finding) -> Iterator[tuple[str, str]]:
    yield "model", f"{finding.model_name} version {finding.model_version}"
    yield "row", f"{finding.source.row} of row group {finding.source.row_group} of {finding.source.file}"
    yield "run", f"{finding.run_id} of {finding.run_date}"


def _levels(declared: HSCode, finding: Finding, thresholds: dict[str, Any], language: str) -> Table:
    high = f"{thresholds['agrees_above']:.4f}"
    header = ("level", "declared", "probability", "differs below", "agrees from")
    table = Table(*header, title="levels that were judged", title_justify="left")
    for level, probability in finding.declared_probabilities.items():
        here = " ◄ differs" if level == finding.differs_at else ""
        low = _differs_below(level, finding.declared_probabilities, thresholds, language)
        table.add_row(level_name(level, language), f"{declared.at(level)}{here}", f"{probability:.4f}", low, high)
    return table


def _differs_below(level: int, probabilities: Mapping[int, float], thresholds: dict[str, Any], language: str) -> str:
    """The probability below which a level speaks, and what it is a share of where that is not all there is."""
    if not thresholds.get("levels"):  # of an older model, or of the configuration
        return f"{thresholds['differs_below']:.4f}"
    found = [
        (rule["differs_below"] * probabilities.get(rule["within"], 1.0), rule["within"], rule["differs_below"])
        for rule in thresholds["levels"]
        if rule["digits"] == level
    ]
    if not found:
        return ""
    below, within, share = max(found)
    return f"{below:.4f}" + (f" ({share:.1%} of the {level_name(within, language)})" if within else "")


def _promise(thresholds: dict[str, Any]) -> str:
    """What share of right declarations is flagged, where the card says so."""
    if thresholds.get("right_flagged_at_most") is None:
        return ""
    return f"; {promise_words(thresholds['right_flagged'], thresholds['right_flagged_at_most'])}"


def _recommendations(finding: Finding) -> Table:
    table = Table("recommended", "probability", "which is", title="what the pictures speak for", title_justify="left")
    for best in finding.recommendations:
        table.add_row(str(best.hs_code), f"{best.probability:.4f}", best.description or "")
    return table


def _pictures(finding: Finding, language: str) -> Table:
    disagreement = finding.disagreement
    title = "pictures" if disagreement is None else f"pictures; on average two of them disagree on {disagreement:.0%}"
    table = Table("picture", "what became of it", "counts for", "SHA-256", title=title, title_justify="left")
    for number, picture in enumerate(finding.pictures, start=1):
        words = picture_words(picture.status, picture.detail, language)
        weight = "" if picture.weight is None else f"{picture.weight:.0%}"
        table.add_row(str(number), words, weight, picture.sha256[:16] + "…")
    return table
