"""Storages: what a location may be, what a storage's faults are, and how much is asked of it."""

import os
import pickle
import threading

import pytest

from hs.errors import Interrupted, StorageLost, UsageError
from hs.storage import patience
from hs.storage.facts import BucketMissing, ChangedSince
from hs.storage.location import Location
from hs.storage.patience import in_python, passes, patiently
from hs.storage.pieces import PIECE_BYTES, PiecewiseFile
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from tests.object_storage import DENIED, NO_ANSWER, SLOW_DOWN, range_bytes

MIB = 1 << 20


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("/data//archive/", "/data/archive"),
        ("archive/x.parquet", os.path.abspath("archive/x.parquet")),
        ("file:///data/a b", "/data/a b"),
        ("s3://customs/a/b/", "s3://customs/a/b"),
        ("S3://customs", "s3://customs"),
        ("gs://customs/*.parquet", "gs://customs/*.parquet"),
        ("s3://customs/part-?.parquet", "s3://customs/part-?.parquet"),
        ("abfss://nights@customs.dfs.core.windows.net/a", "abfss://nights@customs.dfs.core.windows.net/a"),
        ("hdfs://name-node:8020/a", "hdfs://name-node:8020/a"),
        ("hdfs:///a", "hdfs:///a"),
    ],
)
def test_a_location_is_read_as_people_write_it(written, text):
    assert Location.parse(written) == Location(text)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("s3a://customs/a", "no storage s3a:// is built in; did you mean s3"),
        ("ftp://host/a", "no storage ftp:// is built in; known are s3, gs"),
        ("s3:/customs/a", "write s3://"),
        ("s3:///a", "has no bucket"),
        ("s3://customs/a//b", "empty part"),
        ("s3://customs/../b", "one of dots"),
        ("file://data", "three slashes"),
        ("abfss://customs/a", "abfss://CONTAINER@ACCOUNT"),
        ("s3://AKIA:hunter2@customs/a", "no credentials"),
        ("s3://customs/a?access_key=hunter2", "no settings after a ?"),
        ("abfss://nights:hunter2@customs.dfs.core.windows.net/a", "abfss://CONTAINER@ACCOUNT"),
    ],
)
def test_what_is_no_location_is_refused_and_no_secret_is_repeated(written, why):
    with pytest.raises(UsageError) as refusal:
        Location.parse(written)

    assert why in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_locations_are_taken_apart_alike_here_and_there():
    for root in ("/audits", "s3://customs/audits"):
        folder = Location.parse(root)
        file = folder / "run_date=2026-11-21" / "part-1.parquet"

        assert (file.name, file.suffix, file.parent.parent) == ("part-1.parquet", ".parquet", folder)
        assert file.relative_to(folder) == "run_date=2026-11-21/part-1.parquet"
        assert file.is_in(folder)
        assert not Location.parse(f"{root}-other").is_in(folder)


def test_an_endpoint_with_a_password_is_refused_without_repeating_it():
    with pytest.raises(ValueError, match="endpoint must be") as refusal:
        StorageSettings("http://me:hunter2@storage:9000")

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("where", ["here", "s3"])
def test_a_storage_holds_files_here_and_there_alike(where, tmp_path, s3):
    folder = Location.parse(tmp_path) if where == "here" else s3.folder("alike")
    stores = pickle.loads(pickle.dumps(s3.stores()))
    names = ("a/1.parquet", "a/b/2.parquet", "a/b/c/3.parquet", "a/readme.txt")
    for number, name in enumerate(names):
        stores.write_bytes(folder / name, b"x" * number)

    def found(pattern):
        return [location.relative_to(folder) for location in stores.glob(f"{folder}/{pattern}")]

    assert found("a/*.parquet") == ["a/1.parquet"]
    assert found("a/**/*.parquet") == ["a/1.parquet", "a/b/2.parquet", "a/b/c/3.parquet"]
    assert found("**/[!1].parquet") == ["a/b/2.parquet", "a/b/c/3.parquet"]
    assert found("a/readme.txt") == ["a/readme.txt"]
    assert found("no/*") == found("no/such") == []
    assert [facts.location.relative_to(folder) for facts in stores.files(folder)] == list(names)
    assert stores.files(folder / "none") == []
    assert stores.read_bytes(folder / "a/b/c/3.parquet") == b"xx"
    assert stores.info(folder / "a/b/c/3.parquet").stamp.size_bytes == 2
    assert stores.sha256(folder / "a/1.parquet") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert stores.exists(folder / "a/1.parquet")
    assert not stores.exists(folder / "a")
    assert not stores.exists(Location.parse("s3://customs"))
    stores.delete(folder / "a/1.parquet")
    stores.delete(folder / "a/1.parquet")
    stores.delete_folder(folder / "a/b")
    stores.delete_folder(folder / "a/b")
    assert [facts.location.relative_to(folder) for facts in stores.files(folder)] == ["a/readme.txt"]
    assert (stores.free_bytes(folder) is None) == (where == "s3")


@pytest.mark.parametrize("where", ["here", "s3"])
def test_a_file_that_is_not_written_to_its_end_is_not_there(where, tmp_path, s3):
    file = (Location.parse(tmp_path) if where == "here" else s3.folder("halves")) / "a.parquet"

    with pytest.raises(ZeroDivisionError), s3.stores().open_output(file) as stream:
        stream.write(b"half" * (1 // len(b"")))

    assert not s3.stores().exists(file)
    with pytest.raises(FileNotFoundError):
        s3.stores().read_bytes(file)


@pytest.mark.parametrize("where", ["here", "s3"])
def test_a_file_that_was_written_again_is_no_longer_the_one_it_was(where, tmp_path, s3):
    file = (Location.parse(tmp_path) if where == "here" else s3.folder("again")) / "a"
    stores = s3.stores()
    stores.write_bytes(file, b"old")
    was = stores.info(file).stamp
    stores.write_bytes(file, b"new")

    with pytest.raises(ChangedSince, match="written again"), stores.open_input(file, was):
        pass


@pytest.fixture(scope="module")
def twenty_mebibytes(shared_storage):
    file, content = shared_storage.folder("pieces") / "a", os.urandom(20 * MIB)
    shared_storage.stores().write_bytes(file, content)
    return file, content


def test_a_planned_file_is_fetched_once_in_pieces_of_eight_mebibytes(twenty_mebibytes, s3):
    file, content = twenty_mebibytes
    stores = s3.stores()

    with stores.open_input(file) as stream:
        assert isinstance(stream, PiecewiseFile)
        stream.pieces.plan([(MIB, 2 * MIB), (2 * MIB + 5, 19 * MIB)])
        parts = []
        for start in range(MIB, 19 * MIB, MIB):  # as Arrow asks
            stream.seek(start)
            parts.append(stream.read(MIB))

    assert b"".join(parts) == content[MIB : 19 * MIB]
    assert sorted(range_bytes(part) for _, part in s3.gets()) == [2 * MIB, PIECE_BYTES, PIECE_BYTES]


def test_a_file_without_a_plan_costs_little_here_and_there_and_pieces_in_a_row(twenty_mebibytes, s3):
    file, content = twenty_mebibytes
    stores = s3.stores()

    with stores.open_input(file) as stream:
        stream.seek(-8, 2)
        assert stream.read(8) == content[-8:]
        stream.seek(-1000, 2)
        assert stream.read(992) == content[-1000:-8]
        assert [range_bytes(part) for _, part in s3.gets()] == [64 << 10]
        stream.seek(0)
        s3.requests.clear()
        assert b"".join(iter(lambda: stream.read(5000), b"")) == content

    assert len(s3.gets()) <= 4


@pytest.mark.parametrize("how", [SLOW_DOWN, NO_ANSWER])
def test_a_fault_that_passes_is_waited_for(how, s3):
    file, stores = s3.folder("patience") / "a", s3.stores()
    s3.fail(3, how)
    stores.write_bytes(file, b"x" * 100)
    s3.fail(3, how)
    assert stores.info(file).stamp.size_bytes == 100

    s3.fail(3, how, "GET")

    assert stores.read_bytes(file) == b"x" * 100
    assert [location.name for location in stores.glob(f"{file.parent}/*")] == ["a"]


def test_a_storage_that_stays_away_is_told_in_a_sentence_with_an_exit_code(s3):
    file, stores = s3.folder("lost") / "a", s3.stores(outage_budget_s=0.1)
    stores.write_bytes(file, b"x")
    s3.fail(10_000, SLOW_DOWN)

    with pytest.raises(StorageLost, match=r"s3://customs/lost/a was away for more than 0\.1 s") as lost:
        stores.read_bytes(file)

    assert lost.value.exit_code == 8


def test_a_refusal_is_no_outage(s3):
    file, stores = s3.folder("refused") / "a", s3.stores()
    stores.write_bytes(file, b"x")
    s3.requests.clear()
    s3.fail(10_000, DENIED)

    with pytest.raises(PermissionError):
        stores.read_bytes(file)
    with pytest.raises(PermissionError):
        stores.glob(f"{file.parent}/*")

    assert len(s3.requests) == 2


def test_a_bucket_that_is_not_there_is_not_waited_for(s3):
    with pytest.raises(BucketMissing):
        s3.stores().glob("s3://no-such-bucket/*")
    with pytest.raises(BucketMissing):
        s3.stores().write_bytes(Location.parse("s3://no-such-bucket/a"), b"x")


def test_nobody_waits_for_a_storage_when_the_process_shall_end(monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(patience, "STOP", stop)

    def ask():
        stop.set()
        raise ConnectionResetError

    with pytest.raises(Interrupted):
        patiently("s3://customs/a", ask, 600)


@pytest.mark.parametrize(
    "words",
    [
        "When reading information for key 'k' in bucket 'b': AWS Error UNKNOWN (HTTP status 503) during HeadObject",
        "AWS Error SLOW_DOWN during GetObject operation: m",
        "AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 28, Timeout was reached",
        "google::cloud::Status(UNAVAILABLE: Retry policy exhausted in GetObjectMetadata: PerformWork() - CURL error",
        "GetProperties for 'http://127.0.0.1:1/c/k' failed. Azure Error: [] Fail to get a new connection for: 127",
        "AWS Error UNKNOWN (HTTP status 429) during HeadObject operation: No response body.",
        "a fault that nobody has seen yet",
        "HDFS read failed, errno: 255 (Unknown error 255) java.net.ConnectException",
    ],
)
def test_what_a_storage_says_of_a_fault_that_passes(words):
    assert passes(OSError(words))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", PermissionError),
        ("AWS Error UNKNOWN (HTTP status 403) during ListObjectsV2 operation: ExpiredToken", PermissionError),
        ("google::cloud::Status(PERMISSION_DENIED: Permanent error in GetObjectMetadata:", PermissionError),
        ("Azure Error: [AuthorizationFailure] 403 Server failed to authenticate the request.", PermissionError),
        ("No such file or directory 'customs/x/none'", FileNotFoundError),  # of GCS, for a folder
        ("No such directory: customs/x/n/m", FileNotFoundError),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: m", BucketMissing),
        ("AWS Error UNKNOWN (HTTP status 301) during ListObjectsV2 operation: PermanentRedirect", OSError),
        ("Failed to read: Azure Error: [InvalidRange] 416 The range specified is invalid", OSError),
        ("AWS Error UNKNOWN (HTTP status 416) during GetObject operation: InvalidRange", OSError),
    ],
)
def test_what_a_storage_says_of_what_does_not_pass(words, kind):
    assert not passes(OSError(words))
    assert type(in_python(OSError(words))) is kind


def test_settings_are_all_that_travels():
    settings = StorageSettings("http://127.0.0.1:9000", "eu-central-1")

    assert pickle.loads(pickle.dumps(Stores(settings))) == Stores(settings)
