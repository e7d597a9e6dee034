"""Nights whose workers are an engine's processes: published, stopped, cancelled there, lost, or refused."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from hs_audit.cli import main
from pipeline.job.guard import marked
from serving.fake import Cost, FakeServer, plain_model
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.job_service import JobService, job_service

RUN_DATE = "2026-11-21"
PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    goods = (RED, GREEN, BLUE)
    rows = [row(f"D{n}", goods[n % 3], picture(goods[n % 3], size=(60, 50), shade=n % 50)) for n in range(400)]
    return write_archive(tmp_path_factory.mktemp("archive") / "a.parquet", rows, row_group_size=50)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobService]:
    with job_service(tmp_path_factory.mktemp("engine")) as service:
        yield service


@contextmanager
def model_server(seconds: float = 0.0, on_start: Callable[[], object] = lambda: None) -> Iterator[tuple[str, Any]]:
    """An address, and what was answered there; `on_start` is called as the launcher asks for the version."""
    first, begun = threading.Event(), threading.Event()

    def watch(request: Any, response: Any) -> None:
        if not begun.is_set():
            begun.set()
            on_start()
        if hasattr(request, "inputs") and request.model_spec.signature_name == "serving_default":
            first.set()

    fake = FakeServer(plain_model(RED, GREEN, BLUE, height=32, width=32), cost=Cost(seconds), spoil=watch)
    with fake.listening() as address:
        yield address, (fake, first)


def flags(folder: Path, archive: Path, address: str, *more: str, server: str = "", settings: str = "") -> list[str]:
    config = folder / "config.yaml"
    # No picture is remembered, so that all of them are sent.
    config.write_text(f"server: {{{server}model: hs, batch_size: 4, in_flight: 2, remembered: 0}}\n{settings}")
    return [f"--config={config}", f"--run-date={RUN_DATE}", f"--server={address}", f"--input={archive}",
            f"--output={folder / 'audits'}", *more]  # fmt: skip


def launched(arguments: list[str], **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hs_audit.cli", "run", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def attempt(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "audits" / "_logs").glob("*.json")
    return json.loads(path.read_text())


def test_a_night_on_an_engine_is_published_and_counted(engine, archive, tmp_path):
    with model_server() as (address, (fake, _)):
        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

    assert code == 0
    published = tmp_path / "audits" / f"run_date={RUN_DATE}"
    assert len(findings_of(published)) == 400
    assert {"lease", "workers"}.isdisjoint(path.name for path in published.iterdir())
    counts = attempt(tmp_path)["counts"]
    assert (counts["declarations"], counts["pictures"], counts["requests"]) == (400, 400, fake.answered.requests)


@pytest.mark.slow
def test_a_job_that_is_cancelled_at_the_engine_is_130_and_its_workers_stop(engine, archive, tmp_path, capsys):
    with model_server(seconds=0.2) as (address, (fake, first)):
        threading.Thread(target=lambda: (first.wait(60), engine.cancel_all()), daemon=True).start()

        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

        over, said = time.monotonic(), capsys.readouterr().err
        wait_until_silent(fake)
    assert code == 130
    assert said.splitlines()[-1] == "hs-audit run: the job was cancelled at the engine; nothing was published"
    assert "Traceback" not in said
    assert fake.answered.ended_at - over < 5
    assert fake.answered.pictures < 400
    assert not (tmp_path / "audits" / f"run_date={RUN_DATE}").exists()


def wait_until_silent(fake: FakeServer, seconds: float = 3.0) -> None:
    """Until nothing was answered for some seconds."""
    seen, since = fake.answered.requests, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.05)
        if fake.answered.requests != seen:
            seen, since = fake.answered.requests, time.monotonic()


@pytest.mark.slow
def test_a_night_on_an_engine_is_published_on_object_storage_and_a_killed_one_leaves_it_as_it_was(
    archive, tmp_path, s3, capsys
):
    output, settings = s3.folder(tmp_path.name), f"storage: {{endpoint: '{s3.endpoint}', region: us-east-1}}\n"
    with job_service(tmp_path) as engine, model_server(seconds=0.05) as (address, (fake, first)):
        night = [*flags(tmp_path, archive, address, *engine.flags, settings=settings), f"--output={output}"]
        assert main(["run", *night]) == 0
        current = s3.stores().read_bytes(output / f"run_date={RUN_DATE}" / "_CURRENT")
        first.clear()
        fake.cost = Cost(0.2)
        process = launched(night)
        assert first.wait(120)

        process.kill()
        killed = time.monotonic()
        process.communicate()
        wait_until_silent(fake, seconds=12)

    assert fake.answered.ended_at - killed < 10
    assert fake.answered.pictures < 800
    assert s3.stores().read_bytes(output / f"run_date={RUN_DATE}" / "_CURRENT") == current


@pytest.mark.slow
def test_an_archive_that_workers_do_not_see_is_one_sentence_and_not_dead_letters(engine, tmp_path, capsys):
    archive = write_archive(tmp_path / "archive" / "a.parquet", [row("A1", RED, picture(RED))])

    with model_server(on_start=lambda: archive.parent.rename(tmp_path / "away")) as (address, (fake, _)):
        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

    assert code == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "the archive is not visible on worker " in said
    assert said.endswith(f": {archive}; nothing was published")
    assert fake.answered.pictures == 0


@pytest.mark.slow
def test_an_output_that_workers_do_not_share_is_refused_before_pictures_are_sent(engine, archive, tmp_path):
    folder = os.open(tmp_path, os.O_DIRECTORY)  # by its number only the launcher knows it
    try:
        with model_server() as (address, (fake, _)):
            unshared = f"--output=/proc/self/fd/{folder}/audits"
            process = launched([*flags(tmp_path, archive, address, *engine.flags), unshared], pass_fds=[folder])
            said = process.communicate(timeout=120)[1]
    finally:
        os.close(folder)

    assert process.returncode == 2, said
    assert "output folder" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("nothing was published")
    assert "Traceback" not in said
    assert fake.answered.pictures == 0


@pytest.mark.slow
def test_workers_with_another_pillow_are_refused(archive, tmp_path, capsys):
    (tmp_path / "pillow-1.0.dist-info").mkdir()
    (tmp_path / "pillow-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 1.0\n")

    with job_service(tmp_path, PYTHONPATH=str(tmp_path)) as engine, model_server() as (address, (fake, _)):
        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

    assert code == 2
    assert " has pillow 1.0, the launcher " in capsys.readouterr().err.splitlines()[-1]
    assert fake.answered.pictures == 0


@pytest.mark.slow
def test_a_worker_whose_python_is_broken_fails_the_job_in_one_sentence(archive, tmp_path, capsys):
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL" / "__init__.py").write_text("raise ImportError('libjpeg.so.8 is missing')\n")

    with job_service(tmp_path, PYTHONPATH=str(tmp_path)) as engine, model_server() as (address, _):
        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

    said = capsys.readouterr().err
    assert code == 8
    assert said.splitlines()[-1].startswith(f"hs-audit run: the job failed on the engine behind {engine.address}: ")
    assert said.splitlines()[-1].endswith("libjpeg.so.8 is missing; nothing was published")
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_job_server_that_is_killed_is_exit_code_8_and_one_sentence(archive, tmp_path, capsys):
    with job_service(tmp_path) as engine, model_server(seconds=0.2) as (address, (_, first)):
        threading.Thread(target=lambda: (first.wait(60), engine.kill()), daemon=True).start()

        code = main(["run", *flags(tmp_path, archive, address, *engine.flags)])

    said = capsys.readouterr().err
    assert code == 8
    assert said.splitlines()[-1].startswith(
        f"hs-audit run: the engine behind {engine.address} was lost, and the job with it: "
    )
    assert "Traceback" not in said
    (log,) = (tmp_path / "audits" / "_logs").glob("*.log")
    assert "Traceback" in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ten_seconds_after_the_launcher_is_gone_the_server_sees_no_request_and_the_next_run_works(
    engine, archive, tmp_path, number
):
    with model_server(seconds=0.2) as (address, (fake, first)):
        process = launched(flags(tmp_path, archive, address, *engine.flags))
        assert first.wait(120)

        process.send_signal(number)
        asked = time.monotonic()
        process.communicate(timeout=30)
        wait_until_silent(fake, seconds=12)

        assert fake.answered.ended_at - asked < 10
        assert fake.answered.pictures < 400
        assert process.returncode == (130 if number == signal.SIGTERM else -signal.SIGKILL)
        assert not (tmp_path / "audits" / f"run_date={RUN_DATE}").exists()
        fake.cost = Cost(0)
        assert main(["run", *flags(tmp_path, archive, address, *engine.flags)]) == 0


@pytest.mark.slow
def test_several_nights_on_an_engine_are_published_each_by_itself(engine, archive, tmp_path):
    nights, jobs = ("2026-11-21", "2026-11-22"), len(engine.jobs())

    with model_server() as (address, _):
        night = [*flags(tmp_path, archive, address, *engine.flags), f"--run-date={'..'.join(nights)}"]
        code = main(["run", *night])

    assert code == 0
    assert [len(findings_of(tmp_path / "audits" / f"run_date={night}")) for night in nights] == [400, 400]
    assert len(engine.jobs()) == jobs + 2  # the second night, too, and not in the launcher


@pytest.mark.slow
def test_a_launcher_that_is_suspended_for_a_while_is_waited_for_and_publishes(engine, archive, tmp_path):
    with model_server(seconds=0.05) as (address, (fake, first)):
        process = launched(flags(tmp_path, archive, address, *engine.flags))
        assert first.wait(120)

        process.send_signal(signal.SIGSTOP)
        wait_until_silent(fake, seconds=12)  # longer than the workers go on without a sign of life
        process.send_signal(signal.SIGCONT)

        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert len(findings_of(tmp_path / "audits" / f"run_date={RUN_DATE}")) == 400


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_the_launcher_started_itself_ends_with_it(archive, tmp_path, number):
    with model_server(seconds=0.2) as (address, (_, first)):
        process = launched(flags(tmp_path, archive, address, *PROCESSES))
        assert first.wait(120)
        (folder,) = [path for path in (tmp_path / "audits" / "_staging").iterdir() if path.is_dir()]
        assert marked(folder.name)

        process.send_signal(number)
        process.communicate(timeout=30)

        gone = time.monotonic()
        while marked(folder.name):
            assert time.monotonic() - gone < 10
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before it has said a word", "as it works"])
def test_a_worker_process_of_this_machine_that_is_killed_ends_the_night_with_a_sentence(archive, tmp_path, when):
    with model_server(seconds=0.2) as (address, (_, first)):
        process = launched(flags(tmp_path, archive, address, *PROCESSES))
        if when == "as it works":
            assert first.wait(120)

        first_worker_of(process).kill()

        said = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 8
    lost = (
        r"hs-audit run: a worker process was lost: Worker subprocess exited with return code (-9|137); nothing was .*"
    )
    assert re.fullmatch(lost, said[-1])
    assert not any("Traceback" in line for line in said)


def first_worker_of(launcher: subprocess.Popen[str]) -> psutil.Process:
    """The first process that Beam's own engine started to work, as soon as it is there."""
    while True:
        for one in psutil.Process(launcher.pid).children(recursive=True):
            if "python" in one.name() and any("sdk_worker" in word for word in one.cmdline()):
                return one
        time.sleep(0.01)


@pytest.mark.slow
def test_a_server_that_goes_away_as_worker_processes_start_is_waited_for(archive, tmp_path):
    with model_server() as (address, (fake, _)):
        process = launched(flags(tmp_path, archive, address, *PROCESSES, server="connect_budget_s: 0.1, "))
        first_worker_of(process)
        fake.spoil = lambda request, response: (
            None if fake.answered.refused >= 6 else (grpc.StatusCode.UNAVAILABLE, "away")
        )

        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert fake.answered.refused >= 6
    assert len(findings_of(tmp_path / "audits" / f"run_date={RUN_DATE}")) == 400


@pytest.mark.slow
def test_ctrl_c_ends_a_night_of_worker_processes_without_a_traceback(archive, tmp_path):
    with model_server(seconds=0.2) as (address, (_, first)):
        process = launched(flags(tmp_path, archive, address, *PROCESSES), start_new_session=True)
        assert first.wait(120)

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too

        said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "hs-audit run: interrupted; nothing was published"
    assert "Traceback" not in said


REFUSED = [
    (8, ["--runner=PortableRunner", "--job_endpoint=localhost:1", "--job_server_timeout=1",
         "--environment_type=LOOPBACK"], "the engine behind localhost:1 did not take the job: "),
    (8, ["--runner=FlinkRunner", "--parallelism=2", "--flink_job_server_jar=/nowhere/flink.jar"],
     "the jar of the job server is not there: /nowhere/flink.jar"),
    (8, ["--runner=SparkRunner", "--spark_job_server_jar=/nowhere/spark.jar"], "is not there: /nowhere/spark.jar"),
    (2, ["--runner=FlinkRunner"], "Flink takes a single worker unless --parallelism says how many"),
    (2, ["--runner=PortableRunner", "--environment_type=LOOPBACK"], "You must specify a --job_endpoint"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "engine_flags", "sentence"), REFUSED, ids=[sentence for _, _, sentence in REFUSED])
def test_an_engine_that_is_not_there_is_one_sentence_and_its_exit_code(
    archive, tmp_path, capsys, code, engine_flags, sentence
):
    with model_server() as (address, _):
        assert main(["run", *flags(tmp_path, archive, address, *engine_flags)]) == code

    said = capsys.readouterr().err
    assert sentence in said.splitlines()[-1]
    assert "Traceback" not in said


def test_the_bundled_server_is_refused_where_workers_do_not_reach_it(archive, tmp_path, capsys):
    here = [flag for flag in flags(tmp_path, archive, "") if not flag.startswith("--server")]
    elsewhere = ["--runner=FlinkRunner", "--parallelism=2", "--flink_master=flink:8081"]

    assert main(["run", *here, "--saved-model=model", *elsewhere]) == 2

    assert "--saved-model serves on this machine alone" in capsys.readouterr().err
