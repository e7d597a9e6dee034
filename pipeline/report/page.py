"""The page that officers work with: the worklist, one case open at a time, then the night in figures.

    manifest + worklist ──► entries, figures
    archive ──► pictures (read again, one pass for each row group) ──► report.html, which needs nothing beside it
                                                                        and has each picture once

The entries travel as JSON that the page's script shows as text alone. Every text may come from a hostile archive:
`hs.html` escapes it, cuts it where it is long, and shows what hides in it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from hs.editions import BUILT_IN, Nomenclature
from hs.files import whole_or_not_at_all
from hs.html import Inline, as_json, template
from hs.pictures.shrinking import Shrunk
from hs.ranking import By
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.words import LANGUAGES, catalogue
from pipeline.findings.evidence import Audited
from pipeline.findings.lines import other_lines
from pipeline.findings.worklist import RANDOM, Chosen, chosen_in
from pipeline.report.entries import entries_of, named
from pipeline.report.figures import overviews
from pipeline.report.rulings import rulings_of
from pipeline.report.thumbnails import pictures_of, room_of

_STYLES = ("colours.css", "page.css", "worklist.css", "print.css")
# In this order one script: what a file uses at once stands in one before it.
_SCRIPTS = (
    "elements.js", "words.js", "scheme.js", "entries.js", "decisions.js", "pictures.js", "comparison.js", "rulings.js",
    "partners.js", "case.js", "deciding.js", "list.js", "exchange.js", "merging.js", "printing.js", "keyboard.js",
    "start.js",
)  # fmt: skip
_SHOWN_WORDS = ("page", "levels", "verdicts")


def write_report(
    path: Path,
    manifest: dict[str, Any],
    worklist: pa.Table,
    findings: tuple[Sequence[Location], Stores],
    most: int,
    cases: str | None,
    nomenclature: Nomenclature = BUILT_IN,
) -> None:
    """Writes the page of a night.

    Args:
        path: of the page.
        manifest: of the run.
        worklist: findings, best first, all columns.
        findings: the files of all of them, and how they are reached.
        most: how many findings the page shows.
        cases: where those lie that the classifier learned from; None where that is not known.
        nomenclature: has the codes that officers may call the correct ones.

    Raises:
        OSError, pyarrow.ArrowException: if the findings cannot be read, or the page cannot be written.
    """
    first = list(chosen_in(worklist.slice(0, most)))
    on_page = [chosen.finding for chosen in first]
    elsewhere = other_lines(findings[0], named(on_page), {finding.source for finding in on_page}, findings[1])
    rulings = _rulings(first, manifest, cases)
    thumbnails = pictures_of(on_page, manifest, taken=sum(picture.size for picture in set(rulings.values())))
    shown = (each.shown for finding in on_page for each in thumbnails[finding.source] if each.shown)
    numbers = {picture: number for number, picture in enumerate(dict.fromkeys((*shown, *rulings.values())))}
    chosen_by = worklist["chosen_by"].to_pylist()
    run_date = date.fromisoformat(manifest["run_date"])
    likely = set(worklist["draw_probability"].drop_null().to_pylist())
    page = template("pipeline.report", "report.html").generate(
        style=Inline.of("pipeline.report", _STYLES),
        script=Inline.of("pipeline.report", _SCRIPTS),
        night=as_json(
            _night(manifest)
            | {
                "entries": entries_of(
                    first, manifest, thumbnails, numbers, {case_id: numbers[one] for case_id, one in rulings.items()}
                ),
                "elsewhere": {declaration: asdict(lines) for declaration, lines in elsewhere.items()},
            }
        ),
        nomenclature=as_json(nomenclature.descriptions(run_date)),
        pictures=(as_json(asdict(picture)) for picture in numbers),
        words=catalogue()["page"],
        unchecked=catalogue("ko")["page"]["unchecked"],
        first=first,
        manifest=manifest,
        overviews=overviews(manifest),
        run_date=run_date,
        worklist_rows=worklist.num_rows,
        flagged_elsewhere=manifest["verdicts"].get("differs", 0) - sum(finding.mismatch for finding in on_page),
        by_revenue=By.REVENUE.value in chosen_by,
        drawn=chosen_by.count(RANDOM),
        drawn_alike=len(likely) <= 1,
    )
    with whole_or_not_at_all(path) as unfinished, open(unfinished, "w", encoding="utf-8") as stream:
        stream.writelines(page)  # piece by piece: thousands of pictures are never one text in memory


def _rulings(first: list[Chosen], manifest: dict[str, Any], cases: str | None) -> dict[str, Shrunk]:
    """The pictures of the rulings that the findings name, in a quarter of the page's room."""
    wanted = {ruling.case_id for chosen in first for ruling in chosen.finding.precedents}
    audited = Audited.of(manifest)
    return rulings_of(wanted, cases, audited.stores, audited.limits, room_of(len(first)) // 4)


def _night(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the script says of the run, and writes into decisions files."""
    return {
        "run_id": manifest["run_id"],
        "attempt_id": manifest["attempt_id"],
        "run_date": manifest["run_date"],
        "model": {name: manifest["model"][name] for name in ("name", "version")},
        "words": {
            language: {section: catalogue(language)[section] for section in _SHOWN_WORDS} for language in LANGUAGES
        },
    }
