"""Runs on object storage: what stands, what is seen of it meanwhile, and what is left."""

import hashlib
import json
import sys
import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from hs.errors import StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.precondition import Conditional
from hs.storage.stores import Stores
from pipeline.runs.current import CURRENT, Current
from pipeline.runs.destination import destination
from pipeline.runs.objects import Objects
from pipeline.runs.published import published_run
from tests.cluster.processes import wait_until
from tests.object_storage import DENIED, SLOW_DOWN, ObjectStorage

RUN_DATE = date(2026, 11, 21)


@pytest.fixture
def output(s3: ObjectStorage, request: pytest.FixtureRequest) -> Location:
    return s3.folder(f"publishing/{request.node.name.partition('[')[0]}")


@pytest.fixture
def place(s3: ObjectStorage, output: Location) -> Objects:
    return Objects(output, RUN_DATE, s3.stores(), grace_days=1)


def attempt(place: Objects, attempt_id: str) -> None:
    """A whole attempt, but for its publication."""
    with place.draft(attempt_id) as folder:
        (folder / "findings").mkdir()
        (folder / "findings" / f"part-0-{attempt_id}.parquet").write_text(attempt_id)
        outputs = [{"path": f"findings/part-0-{attempt_id}.parquet"}]
        (folder / "manifest.json").write_text(json.dumps({"schema_version": 1, "outputs": outputs}))
        (folder / "_SUCCESS").touch()


def publish(place: Objects, attempt_id: str) -> None:
    with place.locked(attempt_id) as before:
        attempt(place, attempt_id)
        place.publish(attempt_id, before, 0o640)


def names(place: Objects, folder: str) -> list[str]:
    return [facts.location.relative_to(place.output / folder) for facts in place.stores.files(place.output / folder)]


def test_an_attempt_stands_once_current_says_so_and_its_manifest_has_that_digest(place):
    with place.locked("a1") as before:
        attempt(place, "a1")
        with pytest.raises(UsageError, match="is no published run: it has no _CURRENT"):
            published_run(place.run.text, place.stores)
        place.publish("a1", before, 0o640)

    current = Current.parse(place.stores.read_bytes(place.run / CURRENT))
    manifest = place.stores.read_bytes(place.run / "attempt-a1" / "manifest.json")
    assert (current.attempt_id, current.manifest_sha256) == ("a1", hashlib.sha256(manifest).hexdigest())
    assert published_run(place.run.text, place.stores).files("findings") == [
        place.run / "attempt-a1" / "findings" / "part-0-a1.parquet"
    ]
    assert names(place, "_staging") == []


def test_success_is_sent_last(place, s3):
    attempt(place, "a1")

    sent = [path for method, path, _ in s3.requests if method == "PUT"]
    assert sent[-1].partition("?")[0].endswith("/_SUCCESS")


def test_a_manifest_that_is_not_the_published_one_is_refused(place):
    publish(place, "a1")
    place.stores.write_bytes(place.run / "attempt-a1" / "manifest.json", b'{"schema_version": 1, "outputs": []}')

    with pytest.raises(UsageError, match="is not the one that was published"):
        published_run(place.run.text, place.stores)


def test_the_loser_of_a_race_says_so_and_leaves_the_winner_alone(place):
    with place.locked("a1") as before_one, place.locked("a2") as before_two:
        for attempt_id in ("a1", "a2"):
            attempt(place, attempt_id)
        place.publish("a2", before_two, 0o640)
        with pytest.raises(UsageError, match=r"another run of 2026-11-21 was published to .* meanwhile"):
            place.publish("a1", before_one, 0o640)

    assert published_run(place.run.text, place.stores).folder.name == "attempt-a2"


@pytest.mark.parametrize("replaces", [False, True])
def test_of_eight_runs_that_publish_at_once_one_wins(place, replaces):
    if replaces:
        publish(place, "a0")
    together, won, lost = threading.Barrier(8), [], []

    def race(attempt_id: str) -> None:
        with place.locked(attempt_id) as before:
            attempt(place, attempt_id)
            together.wait()
            try:
                place.publish(attempt_id, before, 0o640)
            except UsageError:
                lost.append(attempt_id)
            else:
                won.append(attempt_id)

    racers = [threading.Thread(target=race, args=(f"a{number}",)) for number in range(1, 9)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    assert (len(won), len(lost)) == (1, 7)
    assert published_run(place.run.text, place.stores).folder.name == f"attempt-{won[0]}"


def test_a_put_whose_answer_was_lost_is_known_again(place, s3):
    conditional = Conditional(place.run, s3.settings())
    assert conditional.put(CURRENT, b"ours", None)

    assert conditional.put(CURRENT, b"ours", None)
    assert not conditional.put(CURRENT, b"another's", None)


def test_a_storage_that_is_slow_for_a_moment_is_waited_for_and_one_that_is_away_is_one_sentence(place, s3):
    conditional = Conditional(place.run, s3.settings())
    s3.fail(3, SLOW_DOWN)
    assert conditional.put(CURRENT, b"1", None)

    s3.fail(1000, SLOW_DOWN)
    with pytest.raises(StorageLost, match="does not answer"):
        Conditional(place.run, s3.settings(outage_budget_s=0.5)).put(CURRENT, b"2", None)


def test_a_storage_that_refuses_is_one_sentence(place, s3):
    s3.fail(1000, DENIED)

    with pytest.raises(UsageError, match="access is denied") as refused:
        Conditional(place.run, s3.settings()).see(CURRENT)
    assert "secret" not in str(refused.value)


def test_a_missing_bucket_is_one_sentence(s3):
    place = Objects(Location.parse("s3://not-there/audits"), RUN_DATE, s3.stores(), grace_days=1)

    with pytest.raises(UsageError, match="the output s3://not-there/audits cannot be written"), place.locked("a1"):
        pass


def grown_old(place: Objects, name: str, days: float) -> None:
    file = place.output / "_staging" / f"{name}.json"
    said = json.loads(place.stores.read_bytes(file))
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    place.stores.write_bytes(file, json.dumps(said | {"since": since}).encode())


def test_a_run_that_was_replaced_stays_for_the_grace_time_and_goes_then(place):
    publish(place, "a1")
    publish(place, "a2")
    other_night = Objects(place.output, date(2026, 11, 22), place.stores, grace_days=1)

    assert other_night.sweep(7) == 0
    grown_old(place, "run_date=2026-11-21.a1", 1.1)
    assert other_night.sweep(7) == 1

    assert {name.partition("/")[0] for name in names(place, place.run.name)} == {CURRENT, "attempt-a2"}
    assert names(place, "_staging") == []


def test_what_a_failed_attempt_left_goes_when_it_is_old_enough_and_never_within_a_day(place):
    with suppress(UsageError), place.locked("a1"):
        attempt(place, "a1")
        raise UsageError("too much is missing")

    assert place.sweep(0) == 0  # it may be under way
    grown_old(place, "run_date=2026-11-21.a1", 6.9)
    assert place.sweep(7) == 0
    grown_old(place, "run_date=2026-11-21.a1", 7.1)
    assert place.sweep(7) == 1
    assert names(place, place.run.name) == []


def test_a_run_that_nobody_replaced_after_all_stays(place):
    publish(place, "a1")
    with place.locked("a2"), place.locked("a3") as before:
        attempt(place, "a3")
        place.stores.write_bytes(place.run / CURRENT, place.stores.read_bytes(place.run / CURRENT) + b"\n")
        with pytest.raises(UsageError):
            place.publish("a3", before, 0o640)
    grown_old(place, "run_date=2026-11-21.a1", 3)

    assert place.sweep(7) == 0
    assert published_run(place.run.text, place.stores).folder.name == "attempt-a1"


def test_logs_are_sent_however_the_attempt_ends(place):
    with suppress(UsageError), place.logs("a1") as logs:
        logs.path(".log").write_text("all that was said")
        raise UsageError("too much is missing")

    assert place.stores.read_bytes(place.output / "_logs" / "run_date=2026-11-21.a1.log") == b"all that was said"


def test_logs_are_sent_while_the_attempt_lasts_as_it_may_be_killed(place, s3, monkeypatch):
    monkeypatch.setattr("pipeline.runs.sent._EVERY_S", 0.01)
    log = place.output / "_logs" / "run_date=2026-11-21.a1.log"

    def is_sent(said: bytes) -> bool:
        return place.stores.exists(log) and place.stores.read_bytes(log) == said

    with place.logs("a1") as logs:
        with logs.path(".log").open("w") as lines:
            for said in ("one", "one\ntwo"):
                lines.seek(0)
                lines.write(said)
                lines.flush()

                wait_until(partial(is_sent, said.encode()), "the log is sent")
        logs.path(".stderr.log").touch()

    assert len([path for method, path, _ in s3.requests if method == "PUT" and path.endswith(".a1.log")]) <= 3


def test_a_missing_extra_is_one_sentence_before_anything_is_made(place, s3, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(UsageError, match=r"needs the extra `object-storage`: pip install 'hs-audit\[object-storage\]'"):
        place.prepare()
    assert s3.requests == []


@pytest.mark.parametrize("written", ["ftp://host/audits", "s3:/bucket/audits"])
def test_an_output_of_an_unknown_kind_is_refused(written, s3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError):
        destination(written, RUN_DATE, s3.stores(), 1)
    assert list(Path().iterdir()) == []


def test_an_output_on_hdfs_needs_its_extra_and_has_no_delta_log(monkeypatch):
    monkeypatch.setitem(sys.modules, "hs.storage.hdfs", None)

    with pytest.raises(UsageError, match=r"needs the extra `hdfs`: pip install 'hs-audit\[hdfs\]'"):
        destination("hdfs://namenode/audits", RUN_DATE, Stores(), 1).prepare()
    with pytest.raises(UsageError, match="a Delta log is not built for HDFS"):
        destination("hdfs://namenode/audits", RUN_DATE, Stores(), 1, delta=True)
