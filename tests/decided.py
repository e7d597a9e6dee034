"""Decisions files, as the page of a run exports them."""

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.findings.finding import SOURCE_ROW, Finding
from pipeline.runs.published import published_run

DECIDED_AT = "2026-11-22T09:30:00+09:00"


def decision(finding: dict, ruling: str, correct_code: str | None = None, **more) -> dict:
    """A line on a finding, as a row of them says it."""
    codes = [{"hs_code": best["hs_code"], "probability": best["probability"]} for best in finding["recommendations"]]
    declared = finding["declared_hs_code_normalized"]
    return {
        **{name: finding[name] for name in ("source_file", "source_row_group", "source_row", "declaration_id")},
        "item_no": finding["item_no"],
        "decision": ruling,
        "correct_code": correct_code,
        "note": "",
        "decided_at": DECIDED_AT,
        "shown": {
            "declared_hs6": declared and declared[:6],
            "verdict": finding["verdict"],
            "reason": finding["reason"],
            "recommended": codes,
        },
    } | more


def as_row(finding: Finding) -> dict:
    """What `decision` needs of a finding."""
    return {
        **dict(zip(SOURCE_ROW, finding.source, strict=True)),
        "declaration_id": finding.declaration_id,
        "item_no": finding.item_no,
        "declared_hs_code_normalized": finding.declared and finding.declared.digits,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "recommendations": [
            {"hs_code": best.hs_code.digits, "probability": best.probability} for best in finding.recommendations
        ],
    }


def decisions_file(path: Path, run: object, decisions: Sequence[object], **more) -> Path:
    """Writes a file of decisions on a run."""
    return written(path, published_run(str(run)).manifest, decisions, **more)


def written(path: Path, manifest: dict, decisions: Sequence[object], **more) -> Path:
    """The same, of a run with this manifest."""
    content = {
        "format": "hs-audit decisions",
        "version": 1,
        "run_id": manifest["run_id"],
        "attempt_id": manifest["attempt_id"],
        "run_date": manifest["run_date"],
        "model": {name: manifest["model"][name] for name in ("name", "version")},
        "officer": "desk 7",
        "exported_at": DECIDED_AT,
        "decisions": list(decisions),
    }
    path.write_text(json.dumps(content | more), encoding="utf-8")
    return path
