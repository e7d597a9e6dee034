"""The lease of a run: workers in other processes stop with their launcher, and say what is wrong where they are."""

import pickle
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from hs.errors import StorageLost
from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.job.keeping import kept
from pipeline.job.lease import Lease
from pipeline.job.post import Post
from pipeline.job.watching import Watch
from serving.client.connection import Connection
from serving.client.tls import Tls
from serving.client.waits import Wait
from serving.fake import FakeServer, plain_model
from tests.object_storage import CREDENTIALS, SLOW_DOWN

HOST = socket.gethostname()

# A worker process that takes one post after the other and says what is wrong with it; told so, it waits for its end.
WORKER = """
import pickle, sys
from pipeline.job.in_process import STOP
for post in pickle.loads(bytes.fromhex(sys.argv[1])):
    print(pickle.dumps(post.take()).hex(), flush=True)
if sys.argv[2:]:
    STOP.wait(60)
    print("stopped", flush=True)
"""


def lease_in(folder: Path) -> Lease:
    folder.mkdir(exist_ok=True)
    return Lease.of(Location.parse(folder), Stores())


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return lease_in(tmp_path / "attempt")


def worker(*posts: Post, waits: bool = False, path: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, pickle.dumps(posts).hex(), *(["wait"] if waits else [])]
    search = ":".join([path, *sys.path])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": search, **CREDENTIALS})


def next_trouble(process: subprocess.Popen[str]) -> tuple[int, str] | None:
    assert process.stdout is not None
    return pickle.loads(bytes.fromhex(process.stdout.readline()))


AWAY = StorageLost("the storage was away")


@pytest.mark.parametrize(
    ("answers", "sends", "stops"),
    [
        (["2", "3", "4"], True, False),
        (["1"] * 6, True, False),
        (["1"] * 7, False, False),
        (["1"] * 59 + ["2"], True, False),  # suspended, or its PUT took long
        (["1"] * 59, False, False),
        (["1"] * 60, False, True),
        (["1"] * 6 + ["2"] + ["2"] * 6, True, False),
        ([AWAY] * 60 + ["1"] * 6, True, False),  # an outage of the storage says nothing of the launcher
        (["1"] * 6 + [AWAY] + ["1"], False, False),
        (["1"] * 7 + [AWAY] * 60 + ["1"] * 52, False, False),
        ([AWAY] * 121, True, True),
        ([""] * 6, True, False),  # just being written
        (["2", "stop"], True, True),
        ([FileNotFoundError()], True, True),
    ],
)
def test_without_a_sign_of_life_of_its_launcher_a_worker_sends_nothing_and_stops_in_the_end(answers, sends, stops):
    stop, may_send, left = threading.Event(), threading.Event(), iter(answers)
    may_send.set()

    def look() -> str:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watching = Watch("1", look, stop, may_send)

    for _ in answers:
        watching.once()

    assert (may_send.is_set(), stop.is_set()) == (sends, stops)


@pytest.mark.slow
def test_workers_stop_with_the_launcher_or_when_one_of_them_is_in_trouble_and_what_they_say_is_heard(lease, tmp_path):
    with kept(lease) as launcher:
        first = worker(Post(lease), waits=True)
        assert next_trouble(first) is None
        launcher.hear()
        assert [(found.counts, found.trouble) for found in launcher.workers] == [({}, None)]

        second = worker(Post(lease, files=[str(tmp_path / "a.parquet")]))
        trouble = next_trouble(second)

        assert first.communicate(timeout=60)[0] == "stopped\n"
        assert launcher.trouble == trouble == (2, f"the archive is not visible on worker {HOST}: {tmp_path}/a.parquet")
    second.communicate()
    lease.remove()
    assert list(lease.folder.path.iterdir()) == []


def test_a_worker_stops_when_its_launcher_leaves(lease):
    with kept(lease):
        process = worker(Post(lease), waits=True)
        assert next_trouble(process) is None

    assert process.communicate(timeout=60)[0] == "stopped\n"


def test_a_worker_says_what_is_wrong_where_it_is(tmp_path):
    archive, pem = str(tmp_path / "a.parquet"), Tls(tmp_path / "ca.pem")
    Path(archive).touch()
    with ExitStack() as launchers, FakeServer(plain_model("87")).listening() as address:
        leases = [lease_in(tmp_path / f"{number}") for number in range(3)]
        for lease in leases:
            launchers.enter_context(kept(lease))
        process = worker(
            Post(Lease.of(Location.parse(tmp_path / "nowhere"), Stores())),
            Post(leases[0], server=(Connection("localhost:1", connect_budget_s=0.1), "hs", 1)),
            Post(leases[1], server=(Connection("localhost:1", tls=pem), "hs", 1)),
            Post(leases[2], files=[archive], server=(Connection(address), "hs", 1)),
        )

        unseen, away, unread, well = [next_trouble(process) for _ in range(4)]

    process.communicate()
    assert unseen == (
        2,
        f"worker {HOST} does not see the launcher's output folder, {tmp_path}/nowhere: both must share it",
    )
    assert not (tmp_path / "nowhere").exists()
    assert away
    assert away[0] == 5
    assert away[1].startswith(f"on worker {HOST}: no model server answers at localhost:1")
    assert unread
    assert unread[0] == 2
    assert "ca.pem" in unread[1]
    assert well is None


def test_a_worker_with_another_pillow_is_not_let_in(lease, tmp_path):
    (tmp_path / "pillow-1.0.dist-info").mkdir()
    (tmp_path / "pillow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 1.0\n")
    with kept(lease):
        process = worker(Post(lease), path=str(tmp_path))

        code, sentence = next_trouble(process) or (0, "")

    process.communicate()
    assert code == 2
    assert sentence.startswith(f"worker {HOST} has pillow 1.0, the launcher ")


def test_the_launchers_own_process_needs_no_lease(lease):
    with kept(lease):
        assert Post(lease, files=["/nowhere"]).take() is None
    assert lease.workers() == []


def test_a_worker_is_named_by_host_and_process_and_its_waits_are_told_without_comparing_clocks(lease):
    now = time.monotonic()
    lease.say(
        {"pictures": 3}, (2, "why"), Wait("the model server", since=now - 40, until=now + 860, said="UNAVAILABLE")
    )

    (found,) = lease.workers()

    assert (found.counts, found.trouble) == ({"pictures": 3}, (2, "why"))
    assert found.wait
    said = found.wait.in_words(time.monotonic())
    assert said == "waiting for the model server for 40 s (UNAVAILABLE), gives up in 14 min"
    assert found.name.startswith(f"{HOST}-")


@pytest.mark.slow
def test_on_object_storage_an_outage_of_the_storage_stops_no_worker_and_the_launchers_end_does(s3):
    lease = Lease.of(s3.folder("attempt"), s3.stores())
    with kept(lease) as launcher:
        process = worker(Post(lease, stores=s3.stores()), waits=True)
        assert next_trouble(process) is None

        stop = threading.Event()
        watching = Watch(lease.read(), lease.read, stop, threading.Event())
        s3.fault = lambda method, path: SLOW_DOWN
        assert [watching.once() for _ in range(9)] == [False] * 9
        s3.fault = lambda method, path: None
        launcher.beat()

        assert watching.once()
        assert not stop.is_set()
        launcher.hear()
        assert [found.trouble for found in launcher.workers] == [None]

    assert process.communicate(timeout=60)[0] == "stopped\n"
    lease.remove()
    assert s3.stores().files(lease.folder) == []
