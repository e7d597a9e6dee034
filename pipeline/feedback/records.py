"""Decisions as they are filed: who, when, on what, what was shown, and how the finding came to be looked at."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from hs.codes import LEVELS
from pipeline.feedback.decision import Decision
from pipeline.findings.evidence import readable
from pipeline.findings.finding import Finding, SourceRow, source_of
from pipeline.findings.schema import SOURCE_FIELDS
from pipeline.runs.published import Run

Record = dict[str, Any]
Chances = Mapping[SourceRow, tuple[str, float]]
"""Row → by what the worklist chose it, and how likely it was to be on the list."""

_RECOMMENDED = pa.struct([pa.field("hs_code", pa.string()), pa.field("probability", pa.float64())])
DECISIONS = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("attempt_id", pa.string(), nullable=False),  # whose page it was
        pa.field("model_name", pa.string(), nullable=False),
        pa.field("model_version", pa.int64(), nullable=False),
        pa.field("weights_digest", pa.string()),
        *SOURCE_FIELDS,
        pa.field("declaration_id", pa.string()),
        pa.field("item_no", pa.int64()),
        pa.field("importer", pa.string()),
        pa.field("declared_hs_code", pa.string()),  # as read
        pa.field("decision", pa.string(), nullable=False),
        pa.field("correct_code", pa.string()),
        pa.field("note", pa.string(), nullable=False),
        pa.field("officer", pa.string(), nullable=False),
        pa.field("decided_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("recommended", pa.list_(_RECOMMENDED), nullable=False),
        *(pa.field(f"declared_probability_{level}", pa.float64()) for level in LEVELS),
        pa.field("risk", pa.float64()),
        pa.field("novelty", pa.float64()),
        pa.field("chosen_by", pa.string()),  # null: not by the run's worklist
        pa.field("inclusion_probability", pa.float64()),
        pa.field("picture_digests", pa.list_(pa.string())),  # SHA-256; null: filed before it was kept
    ]
)


def record_of(decision: Decision, finding: Finding, run: Run, chances: Chances) -> Record:
    """A decision as it is filed."""
    chosen_by, likely = chances.get(finding.source, (None, None))
    importer = finding.kept.get("importer")
    return {
        "run_id": finding.run_id,
        "attempt_id": decision.attempt_id,
        "model_name": finding.model_name,
        "model_version": finding.model_version,
        "weights_digest": run.manifest["model"]["card"].get("weights_digest"),
        **finding.source.as_columns(),
        "declaration_id": finding.declaration_id,
        "item_no": finding.item_no,
        "importer": None if importer is None else str(importer),
        "declared_hs_code": finding.declared and finding.declared.digits,
        "decision": decision.ruling.value,
        "correct_code": decision.correct_code and decision.correct_code.digits,
        "note": decision.note,
        "officer": decision.officer,
        "decided_at": decision.decided_at,
        "verdict": finding.verdict.value,
        "reason": finding.reason.value,
        "recommended": [
            {"hs_code": best.hs_code.digits, "probability": best.probability} for best in finding.recommendations
        ],
        **{f"declared_probability_{level}": finding.declared_probabilities.get(level) for level in LEVELS},
        "risk": finding.risk,
        "novelty": finding.novelty,
        "chosen_by": chosen_by,
        "inclusion_probability": likely,
        "picture_digests": _telling(finding),
    }


def _telling(finding: Finding) -> list[str]:
    """Digests of the pictures that could be read, without those that too many use, unless there are no others."""
    read = list(readable(finding))
    return [digest for digest in read if digest not in finding.stock_pictures] or read


def merged(filed: Iterable[Record], given: Iterable[Record]) -> tuple[list[Record], Counter[str]]:
    """The records of a night in the order of its archive: on one finding the later decision counts.

    Returns:
        The records, and how many of those given were `new`, `replaced` an earlier one, were `filed` already, or
        `older` than what is filed.
    """
    records, became = {source_of(record): record for record in filed}, Counter[str]()
    for record in given:
        before = records.get(source_of(record))
        if before is None:
            outcome = "new"
        elif record["decided_at"] > before["decided_at"]:
            outcome = "replaced"
        else:
            outcome = "filed" if _same(record, before) else "older"
        became[outcome] += 1
        if outcome in ("new", "replaced"):
            records[source_of(record)] = record
    return [records[source] for source in sorted(records)], became


def _same(one: Record, other: Record) -> bool:
    return all(one[name] == other[name] for name in ("decision", "correct_code", "note", "officer", "decided_at"))
