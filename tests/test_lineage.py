"""OpenLineage events: held beside those that OpenLineage's own classes make, which check their fields."""

import json
import os
from datetime import date
from pathlib import Path

import pytest
from openlineage.client import facet_v2 as facets
from openlineage.client import set_producer
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde

from hs_audit.cli import main
from pipeline.runs.lineage import PRODUCER, end_event, run_uuid, start_event
from tests.archives import GREEN, RED, picture, row, write_archive

ATTEMPT, RUN_DATE = "20261122T010203-5f0c1a2b", "2026-11-21"
HOSTILE = 'model server "gpu"\n\u202e<script>\x00' + "x" * 1_000_000
MANIFEST = {
    "attempt_id": ATTEMPT,
    "rows": {"findings": 2},
    "inputs": [
        {"path": "/archive/a.parquet", "rows": 2, "bytes": 900, "footer_sha256": "f" * 64},
        {"path": "s3://customs/night/b.parquet", "rows": None, "unreadable": "truncated"},
    ],
}


def record(status: str, sentence: str = "published") -> dict:
    return {
        "status": status, "sentence": sentence, "attempt_id": ATTEMPT, "run_date": RUN_DATE,
        "ended_at": "2026-11-22T01:02:03.000+09:00",
    }  # fmt: skip


def theirs(ours: dict, error: str | None, inputs: list, outputs: list) -> dict:
    """The same event as OpenLineage's own classes write it."""
    set_producer(PRODUCER)
    version = ours["run"]["facets"]["processing_engine"]["version"]
    of_run = {
        "nominalTime": facets.nominal_time_run.NominalTimeRunFacet(nominalStartTime=f"{RUN_DATE}T00:00:00Z"),
        "processing_engine": facets.processing_engine_run.ProcessingEngineRunFacet(version=version, name="hs-audit"),
    }
    if error is not None:
        of_run["errorMessage"] = facets.error_message_run.ErrorMessageRunFacet(error, "Python")
    kind = facets.job_type_job.JobTypeJobFacet(processingType="BATCH", integration="HS_AUDIT", jobType="JOB")
    event = RunEvent(
        eventType=RunState[ours["eventType"]],
        eventTime=ours["eventTime"],
        producer=PRODUCER,
        run=Run(runId=ours["run"]["runId"], facets=of_run),
        job=Job(namespace="customs", name="hs-audit run", facets={"jobType": kind}),
        inputs=inputs,
        outputs=outputs,
    )
    return Serde.to_dict(event)


def full(event: dict) -> dict:
    """Without what is empty: the classes leave it out or write it empty, as they please."""
    return {name: full(value) if isinstance(value, dict) else value for name, value in event.items() if value != {}}


def test_an_attempt_begins():
    event = start_event(ATTEMPT, date.fromisoformat(RUN_DATE), "customs")

    assert event["eventType"] == "START"
    assert full(event) == full(theirs(event, None, [], []))


def test_an_attempt_that_published_tells_what_it_read_and_wrote():
    event = end_event(record("published"), "customs", MANIFEST, "s3://customs/audits/run_date=2026-11-21")

    statistics = facets.input_statistics_input_dataset.InputStatisticsInputDatasetFacet
    version = facets.dataset_version_dataset.DatasetVersionDatasetFacet
    inputs = [
        InputDataset(
            namespace="file",
            name="/archive/a.parquet",
            facets={"version": version("f" * 64)},
            inputFacets={"inputStatistics": statistics(rowCount=2, size=900, fileCount=1)},
        ),
        InputDataset(
            namespace="s3://customs",
            name="night/b.parquet",
            inputFacets={"inputStatistics": statistics(fileCount=1)},
        ),
    ]
    of_findings = facets.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=2)
    output = OutputDataset(
        namespace="s3://customs",
        name="audits/run_date=2026-11-21/findings",
        facets={"version": version(ATTEMPT)},
        outputFacets={"outputStatistics": of_findings},
    )
    expected = theirs(event, None, inputs, [output])
    assert event["eventType"] == "COMPLETE"
    assert full(event) | {"inputs": 0} == full(expected) | {"inputs": 0}
    assert list(map(full, event["inputs"])) == list(map(full, expected["inputs"]))


@pytest.mark.parametrize(("status", "kind"), [("not published", "FAIL"), ("bug", "FAIL"), ("interrupted", "ABORT")])
@pytest.mark.parametrize("sentence", ["the disk is full", HOSTILE], ids=["plain", "hostile"])
def test_an_attempt_that_fails_says_why(status, kind, sentence):
    event = end_event(record(status, sentence), "customs", None, "")

    assert event["eventType"] == kind
    assert full(event) == full(theirs(event, sentence, [], []))
    assert "\n" not in json.dumps(event)


def test_the_id_of_a_run_is_the_same_for_an_attempt_and_for_no_other():
    assert run_uuid(ATTEMPT) == run_uuid(ATTEMPT) != run_uuid(ATTEMPT + "0")


@pytest.fixture
def words(colour_server, tmp_path: Path) -> list[str]:
    write_archive(tmp_path / "a.parquet", [row("A1", "8708.29", picture(GREEN)), row("A2", "870829", picture(RED))])
    lineage = f"lineage: {{file: '{tmp_path}/events.jsonl', namespace: customs}}"
    (tmp_path / "config.yaml").write_text(f"server: {{model: hs}}\n{lineage}\n")
    flags = [f"--config={tmp_path}/config.yaml", f"--output={tmp_path}/audits", f"--server={colour_server}"]
    return ["run", f"--run-date={RUN_DATE}", *flags]


def test_each_attempt_tells_how_it_begins_and_ends(words, tmp_path):
    assert main([*words, f"--input={tmp_path}/a.parquet"]) == 0
    assert main([*words, f"--input={tmp_path}/none"]) == 7

    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE", "START", "FAIL"]
    first, second = ({event["run"]["runId"] for event in pair} for pair in (events[:2], events[2:]))
    assert (len(first), len(second), len(first | second)) == (1, 1, 2)
    assert events[1]["inputs"][0]["name"] == str(tmp_path / "a.parquet")
    assert events[1]["outputs"][0]["name"] == str(tmp_path / "audits" / f"run_date={RUN_DATE}" / "findings")
    assert "no file matches the input" in events[3]["run"]["facets"]["errorMessage"]["message"]


def test_a_file_that_cannot_be_written_is_said_before_the_night_begins(words, tmp_path, capsys):
    os.mkdir(tmp_path / "events.jsonl")

    assert main([*words, f"--input={tmp_path}/a.parquet"]) == 2

    assert "lineage.file" in capsys.readouterr().err
    assert not (tmp_path / "audits" / f"run_date={RUN_DATE}").exists()
