"""Findings of a night, as a run writes them."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.findings.finding import Finding, findings_in
from pipeline.findings.schema import FIELDS

KEPT = [("office", pa.string()), ("importer", pa.string()), ("value", pa.float64()), ("duty_rate", pa.float64())]
SCHEMA = pa.schema([*FIELDS, *(pa.field(name, type_) for name, type_ in KEPT)])


def finding(row: int, risk: float | None, reason: str = "low_confidence", **more) -> dict:
    verdict = {"differs": "differs", "low_confidence": "unsure"}.get(reason, "cannot_judge")
    return {
        "run_id": "r", "run_date": date(2026, 11, 21), "declaration_id": f"D{row}", "item_no": 1,
        "source_file": "a.parquet", "source_row_group": 0, "source_row": row, "declared_hs_code": "0808.10",
        "declared_hs_code_normalized": "080810", "verdict": verdict, "reason": reason, "mismatch": reason == "differs",
        "risk": risk, "recommendations": [{"hs_code": "080830", "probability": 0.9, "description": "Pears"}],
        "images_total": 1, "images_used": 1, "pictures": [], "model_name": "hs", "model_version": 1,
        "office": "Busan", "importer": f"I{row}", "value": 1000.0, "duty_rate": None,
    } | more  # fmt: skip


def written(folder: Path, findings: list[dict], name: str = "part-00000.parquet") -> Path:
    path = folder / "findings" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(findings, SCHEMA), path)
    return path


def read(*findings: dict) -> list[Finding]:
    return findings_in(pa.Table.from_pylist(findings, SCHEMA))
