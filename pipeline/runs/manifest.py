"""The manifest of a run: what went in, what came out, with what, and what it adds up to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hs.card import Thresholds
from hs.edition_tables import NO_TABLES, Tables
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.archive.footers import ArchiveFile
from pipeline.archive.inputs import Inputs
from pipeline.config import Config, SamePictureSettings
from pipeline.findings.distributions import of_pictures
from pipeline.findings.drift import NONE_EARLIER, Earlier
from pipeline.findings.hash_store import NONE_STORED, StoredNights
from pipeline.findings.ledger import Ledger
from pipeline.findings.partners import SharedPictures
from pipeline.findings.schema import SCHEMA_VERSION
from pipeline.findings.selftest import Trial
from pipeline.findings.settled import NOTHING_SETTLED, Settled
from pipeline.versions import versions
from serving.contract import ServedModel

# What decides on the findings; the rest of the configuration only decides how they are made.
DECIDES = frozenset({"columns", "keep", "foreign_model", "pictures", "verdict", "nomenclature"})


@dataclass(frozen=True)
class Attempt:
    """Which attempt at which run.

    Attributes:
        run_id: the same for the same night again.
        attempt_id: unique.
        run_date: the night.
    """

    run_id: str
    attempt_id: str
    run_date: date


def run_id(
    run_date: date,
    inputs: Inputs,
    config: Config,
    model: ServedModel,
    look_alikes: Sequence[tuple[str, str]],
    settled: Settled = NOTHING_SETTLED,
    tables: Tables = NO_TABLES,
    earlier: Earlier = NONE_EARLIER,
    stored: StoredNights = NONE_STORED,
) -> str:
    """A digest of run date, inputs, configuration and model: the same night again has the same one, 16 hex digits."""
    made_of: dict[str, Any] = {
        "run_date": run_date.isoformat(),
        "files": [(file.path, file.rows, file.size_bytes, file.footer_digest) for file in inputs.files],
        "unreadable": [(letter.file, letter.reason) for letter in inputs.dead_letters],
        "configuration": config.model_dump(mode="json", include=set(DECIDES - {"nomenclature"})),
        "look_alikes": sorted(look_alikes),  # what their file says: the configuration only has its path
        "model": [model.name, model.version, model.table.labels, model.card.to_json()],
    }
    if settled:  # not a word of them where there are none: earlier runs keep their ids
        made_of["settled"] = settled.digest
    if earlier.nights:
        made_of["drift"] = earlier.digest
    if stored.nights:
        made_of["hashes"] = stored.digest
    if config.same_picture != SamePictureSettings():
        made_of["same_picture"] = config.same_picture and config.same_picture.stock_above
    if tables.files:
        made_of["nomenclature"] = tables.digests  # what they say, wherever they lie
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def manifest(
    attempt: Attempt,
    config: Config,
    inputs: Inputs,
    ledger: Ledger,
    model: ServedModel,
    thresholds: Thresholds,
    nulled_values: Mapping[str, int],
    settled: int,
    timings_s: Mapping[str, float],
    looked_up: int = 0,
    tables: Tables = NO_TABLES,
    trial: Trial | None = None,
    counts: Mapping[tuple[str, str], int] = MappingProxyType({}),
    shared: SharedPictures | None = None,
) -> dict[str, Any]:
    """The manifest as JSON-ready values, but for the outputs: those are described once all of them are written.

    `looked_up` is the number of pictures that precedents were asked for, `tables` are those of the nomenclature,
    `trial` is the self-test, `counts` are the workers', and `shared` is what pictures have in common with others.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": attempt.run_id,
        "attempt_id": attempt.attempt_id,
        "run_date": attempt.run_date.isoformat(),
        "rows": {"in_footers": inputs.rows} | _rows(ledger),
        **_counts(ledger),
        "distributions": {
            name: dict(sorted(bins.items())) for name, bins in {**ledger.distributions, **of_pictures(counts)}.items()
        },
        "nulled_values": dict(nulled_values),
        "settled": settled,
        **({"selftest": trial.described()} if trial else {}),
        **({"same_picture": shared.described()} if shared else {}),
        "precedents": {"pictures_looked_up": looked_up, "findings": ledger.with_precedents},
        "inputs": [_input(file, ledger, config) for file in inputs.files]
        + [{"path": letter.file, "rows": letter.rows, "unreadable": letter.reason} for letter in inputs.dead_letters],
        "model": {
            "name": model.name,
            "version": model.version,
            "classes": len(model.table),
            "card": json.loads(model.card.to_json()),
        },
        **({"nomenclature": tables.described()} if tables.files else {}),
        "thresholds": {"from": "configuration" if config.verdict.thresholds else "model"} | asdict(thresholds),
        "configuration": describe_configuration(config),
        "versions": versions(),
        "timings_s": {name: round(seconds, 3) for name, seconds in timings_s.items()},
    }


def write_manifest(manifest: dict[str, Any], folder: Path, parts: Sequence[Location], stores: Stores) -> None:
    """Writes manifest.json, with name, size and SHA-256 of every other file of the run.

    Args:
        manifest: the rest of it.
        folder: of what the launcher drew up.
        parts: the files of findings, which may lie elsewhere.
        stores: how they are reached.
    """
    written = {
        path.relative_to(folder).as_posix(): Location.parse(path) for path in folder.rglob("*") if path.is_file()
    }
    files = sorted((written | {f"findings/{part.name}": part for part in parts}).items())
    outputs = [
        {"path": path, "bytes": stores.info(file).stamp.size_bytes, "sha256": stores.sha256(file)}
        for path, file in files
    ]
    text = json.dumps(manifest | {"outputs": outputs}, indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(f"{text}\n", encoding="utf-8")


def describe_configuration(config: Config) -> dict[str, Any]:
    """The configuration, but for where our private key lies."""
    return config.model_dump(mode="json", exclude={"server": {"tls": {"key"}}})


def _rows(ledger: Ledger) -> dict[str, int | float]:
    return {
        "findings": ledger.findings.total(),
        "in_dead_letters": ledger.dead_rows.total(),
        "files_of_unknown_length": ledger.unknown_files,
        "unscored_share": round(ledger.unscored_share(), 6),
    }


def _counts(ledger: Ledger) -> dict[str, dict[str, Any]]:
    return {
        "verdicts": dict(sorted(ledger.verdicts.items())),
        "reasons": dict(sorted(ledger.reasons.items())),
        "pictures": dict(sorted(ledger.pictures.items())),
        "coverage_by_chapter": {name: dict(counts) for name, counts in sorted(ledger.chapters.items())},
        "declaration_ids": {"repeated": ledger.repeated_ids, "missing": ledger.missing_ids},
    }


def _input(file: ArchiveFile, ledger: Ledger, config: Config) -> dict[str, Any]:
    described: dict[str, Any] = {
        "path": file.path,
        "rows": file.rows,
        "findings": ledger.findings[file.path],
        "in_dead_letters": ledger.dead_rows[file.path],
        "bytes": file.size_bytes,
        "modified_s": file.modified_s,
        "footer_sha256": file.footer_digest,
    }
    return described | ({"sha256": config.stores().sha256(Location(file.path))} if config.full_digest else {})
