"""A night from and to HDFS: a name node and a data node of this machine, driven without Java on our side."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from hs.errors import StorageLost, UsageError
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from pipeline.runs.destination import destination
from pipeline.runs.published import published_run
from pipeline.runs.renamed import RenamedFolders
from tests.cluster.nights import RUN_DATE, Launcher, assert_equal_findings, stand_in
from tests.cluster.parts import Parts
from tests.cluster.processes import free_ports, processes

pytestmark = pytest.mark.cluster
NIGHT = date.fromisoformat(RUN_DATE)
STORES = Stores(StorageSettings(outage_budget_s=5))


@pytest.fixture(scope="module")
def hdfs(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`hdfs://host:port` of a name node."""
    folder = tmp_path_factory.mktemp("hdfs")
    command = ["java", "-cp", f"{parts.jars('hdfs')}/*", Path(__file__).with_name("MiniHdfs.java"), folder / "data"]
    with (folder / "log").open("wb") as log:
        node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder)
    with node:
        assert node.stdin is not None
        assert node.stdout is not None
        yield f"hdfs://127.0.0.1:{int(node.stdout.readline())}"
        node.stdin.close()


@pytest.fixture
def place(hdfs: str, request: pytest.FixtureRequest) -> RenamedFolders:
    place = destination(f"{hdfs}/{request.node.name}", NIGHT, STORES, 1)
    assert isinstance(place, RenamedFolders)
    place.prepare()
    return place


def attempt(place: RenamedFolders, attempt_id: str) -> None:
    """A whole attempt, but for its publication."""
    with place.draft(attempt_id) as folder:
        (folder / "findings").mkdir()
        (folder / "findings" / f"part-0-{attempt_id}.parquet").write_text(attempt_id)
        said = {"schema_version": 1, "attempt_id": attempt_id}
        said["outputs"] = [{"path": f"findings/part-0-{attempt_id}.parquet"}]
        (folder / "manifest.json").write_text(json.dumps(said))
        (folder / "_SUCCESS").touch()


def publish(place: RenamedFolders, attempt_id: str) -> None:
    with place.locked(attempt_id) as before:
        attempt(place, attempt_id)
        place.publish(attempt_id, before, 0o640)


def stands(place: RenamedFolders) -> list[str]:
    return [part.name for part in published_run(place.run, STORES).files("findings")]


def staged(place: RenamedFolders) -> list[Location]:
    return [facts.location for facts in STORES.files(place.output / "_staging")]


def test_files_are_written_whole_listed_and_read_and_what_is_not_there_is_said_so(hdfs):
    folder = Location(f"{hdfs}/files")
    STORES.write_bytes(folder / "a" / "one.txt", b"12345")
    STORES.write_bytes(folder / "a" / "one.txt", b"123")
    STORES.write_bytes(folder / "two.txt", b"")

    assert [facts.location for facts in STORES.files(folder)] == [folder / "a" / "one.txt", folder / "two.txt"]
    assert STORES.glob(f"{folder}/**/o*.txt") == [folder / "a" / "one.txt"]
    assert STORES.read_bytes(folder / "a" / "one.txt") == b"123"
    assert STORES.info(folder / "a" / "one.txt").stamp == STORES.files(folder / "a")[0].stamp
    assert STORES.info(folder / "two.txt").modified_s > 1e9
    with pytest.raises(FileNotFoundError):
        STORES.read_bytes(folder / "three.txt")
    assert not STORES.exists(folder / "a")
    STORES.delete_folder(folder)
    STORES.delete_folder(folder)
    assert STORES.files(folder) == []


def test_a_run_is_a_folder_with_the_mode_that_was_asked_for_and_a_later_one_takes_its_place(place):
    from hs.storage.hdfs import hdfs as file_system

    publish(place, "a1")
    publish(place, "a2")

    assert stands(place) == ["part-0-a2.parquet"]
    assert staged(place) == []
    names = [facts.location.relative_to(place.run) for facts in STORES.files(place.run)]
    assert names == ["_SUCCESS", "findings/part-0-a2.parquet", "manifest.json"]
    node = file_system(place.run.bucket).handler.fs
    assert node.info(f"/{place.run.key}/manifest.json")["permission"] == 0o640
    assert node.info(f"/{place.run.key}/findings")["permission"] == 0o750


@pytest.mark.parametrize("stood_before", [False, True])
def test_of_two_runs_of_a_night_the_one_that_comes_second_is_refused(place, stood_before):
    if stood_before:
        publish(place, "a0")
    with place.locked("a1") as before:
        attempt(place, "a1")
        publish(place, "a2")
        with pytest.raises(UsageError, match="another run of 2026-11-21 was published"):
            place.publish("a1", before, 0o640)

    assert stands(place) == ["part-0-a2.parquet"]
    assert not any(".replaced" in file.text for file in staged(place))


def test_a_run_that_was_set_aside_without_a_successor_stands_again_at_the_next_start(place):
    publish(place, "a1")
    aside = place.output / "_staging" / f"{place.run.name}.a2.replaced"
    place._folders().rename(place.run, aside)
    assert not place.is_published

    assert place.restore() == [place.run.name]
    assert stands(place) == ["part-0-a1.parquet"]
    assert place.restore() == []


def test_a_start_of_another_night_between_the_two_renames_hinders_nobody(place, monkeypatch):
    publish(place, "a1")
    set_aside, restored = RenamedFolders._set_aside, []

    def and_another_starts(self, before, aside):
        done = set_aside(self, before, aside)
        if not restored:
            restored.extend(destination(place.output.text, date(2026, 11, 20), STORES, 1).restore())
        return done

    monkeypatch.setattr(RenamedFolders, "_set_aside", and_another_starts)
    publish(place, "a2")

    assert restored == [place.run.name]
    assert stands(place) == ["part-0-a2.parquet"]
    assert staged(place) == []


def test_what_failed_attempts_left_is_swept_once_it_is_old(place):
    attempt(place, "20200101T000000-00000000")
    attempt(place, "29990101T000000-00000000")

    assert place.sweep(7) == 1
    assert {file.relative_to(place.output).split("/")[1] for file in staged(place)} == {"29990101T000000-00000000"}


def test_a_name_node_that_is_away_and_a_folder_that_may_not_be_written_are_told_apart(hdfs):
    nobody = f"hdfs://127.0.0.1:{free_ports(1)[0]}/audits"
    with pytest.raises(StorageLost, match="was away for more than 5 s: Connection refused"):
        destination(nobody, NIGHT, STORES, 1).prepare()

    # A process has one user of HDFS.
    script = """
from datetime import date
from hs.storage.stores import Stores
from pipeline.runs.destination import destination
import sys
destination(sys.argv[1], date(2026, 11, 21), Stores(), 1).prepare()
"""
    command = [sys.executable, "-c", script, f"{hdfs}/forbidden"]
    ended = subprocess.run(command, env={**os.environ, "HADOOP_USER_NAME": "guest"}, capture_output=True, text=True)
    said = ended.stderr.splitlines()[-1]
    assert said.startswith(f"hs.errors.UsageError: the output {hdfs}/forbidden cannot be written: ")
    assert "Permission denied: user=guest" in said


def test_a_night_from_and_to_hdfs_equals_the_local_one_also_after_its_launcher_was_killed(
    hdfs, archive, local, tmp_path
):
    there = Location(f"{hdfs}/archive")
    for file in Path(archive).parent.glob(Path(archive).name):
        STORES.write_bytes(there / file.name, file.read_bytes())
    with stand_in() as server, processes(tmp_path / "logs") as ours:
        launcher = Launcher(tmp_path, f"{there}/*.parquet", server.address, output=f"{hdfs}/night")
        killed = launcher.start(ours, ["--runner=FnApiRunner"])
        server.at(100, killed.kill)
        assert killed.wait(100) == -signal.SIGKILL
        with pytest.raises(UsageError, match="is no published run: it has no _SUCCESS"):
            launcher.run_id()
        assert launcher.run(ours, ["--runner=FnApiRunner"]) == 0

    assert_equal_findings(launcher.findings(), local.findings(), but=("source_file", "run_id"))
