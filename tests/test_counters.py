"""What a job counts, asked of the engine itself."""

from datetime import date
from pathlib import Path

import apache_beam as beam

from hs.pictures.decoding import PictureLimits
from hs.storage.location import Location
from hs.storage.stores import Stores
from hs.verdicts import Judge
from pipeline.archive.inputs import find_inputs
from pipeline.job.classify import CLASSIFIED, Classify
from pipeline.job.engine import beam_options
from pipeline.job.judge import FINDINGS, FindingsTable, JudgeDeclarations
from pipeline.job.read import DECLARATIONS, ReadArchive
from pipeline.job.reports import REPORTS
from pipeline.job.write import WriteFindings
from pipeline.values import ColumnNames, RowGroup
from serving.client.connection import Connection
from serving.fake import FakeServer, plain_model
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive


def test_declarations_pictures_requests_waits_and_dead_letters_are_counted(tmp_path: Path):
    model = plain_model("392690", "870829", height=8, width=9)
    rows = [row("A1", "870829", picture(RED), picture(GREEN)), row("A2", "392690", picture(BLUE)), row("A3", "870829")]
    archive = write_archive(tmp_path / "archive" / "a.parquet", rows)
    inputs = find_inputs(str(archive), date(2026, 11, 21), ColumnNames())
    pointers = [*inputs.pointers(), RowGroup(str(archive.with_name("gone.parquet")), 0, 3)]
    table = FindingsTable("r", date(2026, 11, 21), "hs", 1, Judge(model.table, model.card.thresholds))
    (tmp_path / "findings").mkdir()

    with FakeServer(model, probabilities=(0.25, 0.75)).listening() as address:
        pipeline = beam.Pipeline(options=beam_options({}, []))
        read = pipeline | beam.Create(pointers) | ReadArchive(inputs.layout)
        classified = read[DECLARATIONS] | Classify(model, Connection(address), PictureLimits(), batch_size=2)
        write = WriteFindings(table.schema, Location.parse(tmp_path / "findings"), "a1", Stores())
        _ = (classified[CLASSIFIED] | JudgeDeclarations(table))[FINDINGS] | write
        _ = read[REPORTS] | beam.combiners.ToList()
        said = pipeline.run().metrics().query(beam.metrics.MetricsFilter().with_namespace("hs_audit"))

    counted = {metric.key.metric.name: metric.committed for metric in said["counters"]}
    assert counted == {"declarations": 3, "pictures": 3, "requests": 2, "dead_letters": 1}
    (waits,) = said["distributions"]
    assert waits.key.metric.name == "answer_waits_ms"
    assert waits.committed.count == 2
