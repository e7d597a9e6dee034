"""What a run read and wrote, told as OpenLineage events: one JSON object a line, appended to a file.

START as an attempt begins; COMPLETE, FAIL or ABORT as it ends. The run's id is made of the attempt's, so that all
events of an attempt, and nothing else, have the same. See https://openlineage.io/spec/2-0-2/OpenLineage.json.
"""

import json
import os
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hs.errors import UsageError
from hs.libraries import installed
from hs.storage.location import Location
from pipeline.config import LineageFile
from pipeline.runs.attempts import now

PRODUCER = "https://pypi.org/project/hs-audit"
_SPEC = "https://openlineage.io/spec"
_JOB = "hs-audit run"
_OURS = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
_KIND_OF = {"published": "COMPLETE", "interrupted": "ABORT"}  # of the status of an attempt; else FAIL


def run_uuid(attempt_id: str) -> str:
    """The id of an attempt as OpenLineage has it.

    >>> run_uuid("20261122T010203-5f0c1a2b") == run_uuid("20261122T010203-5f0c1a2b")
    True
    """
    return str(uuid.uuid5(_OURS, attempt_id))


def start_event(attempt_id: str, run_date: date, namespace: str) -> dict[str, Any]:
    """An attempt begins; what it will read is not known yet."""
    return _event("START", now(), attempt_id, run_date.isoformat(), namespace, {})


def end_event(
    record: Mapping[str, Any], namespace: str, manifest: Mapping[str, Any] | None, folder: str
) -> dict[str, Any]:
    """An attempt has ended.

    Args:
        record: of the attempt, as in its `ATTEMPT.json`.
        namespace: of the job.
        manifest: of what was published; None where nothing was.
        folder: where that lies.
    """
    kind = _KIND_OF.get(record["status"], "FAIL")
    failed = {"message": record["sentence"], "programmingLanguage": "Python"}
    facets = {} if kind == "COMPLETE" else {"errorMessage": _facet("1-0-1/ErrorMessageRunFacet", **failed)}
    ended = datetime.fromisoformat(record["ended_at"])
    event = _event(kind, ended, record["attempt_id"], record["run_date"], namespace, facets)
    if manifest is not None:
        event["inputs"] = [_input(file) for file in manifest["inputs"]]
        event["outputs"] = [_output(manifest, folder)]
    return event


def append(event: Mapping[str, Any], file: Path) -> None:
    """Appends an event; a line is written at once, so that those of two runs do not mix.

    Raises:
        OSError: if it cannot be written.
    """
    line = json.dumps(event) + "\n"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Events:
    """The events of one attempt.

    Args:
        settings: where they go.
        attempt_id: of the attempt.
        run_date: the night.

    Raises:
        UsageError: if the file cannot be written.
    """

    def __init__(self, settings: LineageFile, attempt_id: str, run_date: date) -> None:
        self._settings, self._folder = settings, ""
        self._manifest: Mapping[str, Any] | None = None
        try:
            append(start_event(attempt_id, run_date, settings.namespace), settings.file)
        except OSError as error:
            raise UsageError(f"lineage.file {settings.file} cannot be written: {error.strerror}") from error

    def published(self, manifest: Mapping[str, Any], folder: object) -> None:
        """Takes what the attempt published, for its last event."""
        self._manifest, self._folder = manifest, str(folder)

    def ended(self, record: Mapping[str, Any]) -> None:
        """The last event."""
        append(end_event(record, self._settings.namespace, self._manifest, self._folder), self._settings.file)


def _event(
    kind: str, at: datetime, attempt_id: str, run_date: str, namespace: str, facets: dict[str, Any]
) -> dict[str, Any]:
    nominal = _facet("1-0-1/NominalTimeRunFacet", nominalStartTime=f"{run_date}T00:00:00Z")
    engine = {"version": str(installed("hs-audit")["hs-audit"]), "name": "hs-audit"}
    own = {"nominalTime": nominal, "processing_engine": _facet("1-1-1/ProcessingEngineRunFacet", **engine)}
    kinds = {"processingType": "BATCH", "integration": "HS_AUDIT", "jobType": "JOB"}
    return {
        "eventType": kind,
        "eventTime": at.isoformat(timespec="milliseconds"),
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run_uuid(attempt_id), "facets": own | facets},
        "job": {"namespace": namespace, "name": _JOB, "facets": {"jobType": _facet("2-0-4/JobTypeJobFacet", **kinds)}},
        "inputs": [],
        "outputs": [],
    }


def _facet(schema: str, **content: Any) -> dict[str, Any]:
    name = schema.split("/")[1]
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{schema}.json#/$defs/{name}"} | content


def _dataset(place: str) -> dict[str, Any]:
    """A place as OpenLineage names it: of a file system the path, of a storage the key within its bucket."""
    location = Location.parse(place)
    if location.is_local:
        return {"namespace": "file", "name": str(location.path)}
    scheme, _, rest = location.text.partition("://")
    bucket, _, key = rest.partition("/")
    return {"namespace": f"{scheme}://{bucket}", "name": key or "/"}


def _input(file: Mapping[str, Any]) -> dict[str, Any]:
    counts = {"rowCount": file.get("rows"), "size": file.get("bytes"), "fileCount": 1}
    known = {name: count for name, count in counts.items() if count is not None}
    version = file.get("footer_sha256")
    facets = {"version": _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=version)} if version else {}
    statistics = _facet("1-0-0/InputStatisticsInputDatasetFacet", **known)
    return _dataset(file["path"]) | {"facets": facets, "inputFacets": {"inputStatistics": statistics}}


def _output(manifest: Mapping[str, Any], folder: str) -> dict[str, Any]:
    version = _facet("1-0-1/DatasetVersionDatasetFacet", datasetVersion=manifest["attempt_id"])
    statistics = _facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=manifest["rows"]["findings"])
    facets = {"facets": {"version": version}, "outputFacets": {"outputStatistics": statistics}}
    return _dataset(f"{folder}/findings") | facets
