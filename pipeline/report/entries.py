"""Findings → what the page's script knows of each: plain values that travel as JSON, texts cut where they are long."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hs.html import shortened
from hs.pictures.shrinking import Shrunk
from hs.ranking import By, place
from hs.words import column_words, in_languages, repair_words
from pipeline.findings.finding import Finding, Partner, SourceRow
from pipeline.findings.worklist import RANDOM, Chosen
from pipeline.report.thumbnails import Thumbnail

_LONGEST_ID = 1000  # characters; of a declaration with a longer one the source row is key enough
_SEARCHED = ("importer", "office")
_LISTED = ("revenue", "differs", "sure_of_others", "shares_picture", "risk")  # by the tier of `hs.ranking.place`


def entries_of(
    first: Iterable[Chosen],
    manifest: dict[str, Any],
    thumbnails: Mapping[SourceRow, Sequence[Thumbnail]],
    numbers: Mapping[Shrunk, int],
    rulings: Mapping[str, int],
) -> list[dict[str, Any]]:
    """The lines of a worklist, best first.

    Args:
        first: the lines that the page shows.
        manifest: of the run.
        thumbnails: of their pictures.
        numbers: of the pictures of the page, from 0.
        rulings: id of a case → number of its picture.
    """
    thresholds = _thresholds(manifest)
    classes = manifest["model"]["classes"]
    return [
        _entry(rank, chosen, thresholds, classes)
        | {
            "pictures": [
                {"words": one.words, "picture": numbers[one.shown] if one.shown else None}
                for one in thumbnails[chosen.finding.source]
            ],
            "precedents": _precedents(chosen.finding, rulings),
        }
        for rank, chosen in enumerate(first, start=1)
    ]


def named(findings: Iterable[Finding]) -> set[str]:
    """The ids by which the other lines of declarations can be found."""
    return {written for finding in findings if (written := _id_of(finding)) and written.strip()}


def _id_of(finding: Finding) -> str | None:
    written = finding.declaration_id
    return written if written is None or len(written) <= _LONGEST_ID else None


def _thresholds(manifest: dict[str, Any]) -> dict[str, Any]:
    used = manifest["thresholds"]
    return {name: used.get(name) for name in ("novel_above", "unknown_above")}


def _entry(rank: int, chosen: Chosen, thresholds: dict[str, Any], classes: int) -> dict[str, Any]:
    finding = chosen.finding
    declared, differs_at = finding.declared, finding.differs_at
    written_id, repair = finding.declaration_id, finding.code_repair
    return {
        "rank": rank,
        "drawn": chosen.chosen_by == RANDOM,
        "listed": _listed(chosen),
        "case": chosen.case,
        "revenue": chosen.revenue if math.isfinite(chosen.revenue or 0) else None,
        "declaration_id": _id_of(finding),
        "name": shortened(written_id) if written_id and written_id.strip() else None,
        "item_no": finding.item_no,
        **finding.source.as_columns(),
        "written": None if finding.declared_hs_code is None else shortened(finding.declared_hs_code),
        "declared": declared and declared.digits,
        "differs_at": differs_at,
        "repair": in_languages(lambda language: repair_words(repair, language)) if repair else None,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "why": in_languages(finding.why),
        "looks_unknown": looks_unknown(finding, thresholds, classes),
        "risk": finding.risk,
        "recommended": [
            {"hs_code": best.hs_code.digits, "probability": best.probability} for best in finding.recommendations
        ],
        "partners": [_partner(one, finding) for one in finding.partners],
        "shares_picture": finding.shares_picture,
        "stock_pictures": len(finding.stock_pictures),
        "levels": list(finding.declared_probabilities.items()),
        "images_total": finding.images_total,
        "kept": [_column(name, value) for name, value in finding.kept.items() if value is not None],
        **{name: _known(finding.kept.get(name)) for name in _SEARCHED},
    }


def _precedents(finding: Finding, rulings: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "case_id": shortened(one.case_id),
            "hs_code": shortened(one.hs_code),
            "similarity": one.similarity,
            "picture": rulings.get(one.case_id),
        }
        for one in finding.precedents
    ]


def _partner(one: Partner, finding: Finding) -> dict[str, Any]:
    return {
        "run_date": one.run_date.isoformat(),
        "name": one.declaration_id and shortened(one.declaration_id),
        "item_no": one.item_no,
        "importer": _known(one.importer),
        "declared": one.declared and one.declared.digits,
        "same_file": any(one.sha256 == picture.sha256 for picture in finding.pictures),
        "distance": one.distance,
    }


def looks_unknown(finding: Finding, thresholds: dict[str, Any], classes: int) -> bool:
    """Whether the goods look like none that the classifier has learned, whatever the verdict.

    Without novelty the entropy decides, of which a finding holds the greatest probabilities alone: what is left over is
    counted as one class, so that the entropy is never overstated.

    Args:
        finding: whose goods.
        thresholds: `novel_above` and `unknown_above` of the run.
        classes: how many codes the classifier tells apart.
    """
    if finding.novelty is not None and thresholds["novel_above"] is not None:
        return finding.novelty > thresholds["novel_above"]
    if thresholds["unknown_above"] is None or not finding.recommendations:
        return False
    known = [best.probability for best in finding.recommendations]
    rest = max(0.0, 1.0 - sum(known))
    entropy = -sum(share * math.log(share) for share in (*known, rest) if share > 0)
    return entropy / math.log(max(classes, 2)) > thresholds["unknown_above"]


def _listed(chosen: Chosen) -> str | None:
    """By what a finding is in the list; None for what only another version would put there."""
    if chosen.chosen_by == RANDOM:
        return RANDOM
    finding, revenue = chosen.finding, chosen.revenue if chosen.chosen_by == By.REVENUE else None
    best = finding.recommendations[0].probability if finding.recommendations else None
    stands = place(finding.mismatch, finding.reason, finding.risk, best, revenue, finding.shares_picture)
    return stands and _LISTED[stands.tier]


def _column(name: str, value: object) -> tuple[dict[str, str], str]:
    return in_languages(lambda language: shortened(column_words(name, language))), shortened(_text(value))


def _known(value: object) -> str | None:
    return None if value is None else shortened(_text(value))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    # 12 digits of a float: 0.1 + 0.2 is 0.3 to people.
    return f"{value:,.12g}" if isinstance(value, float) else str(value)
