"""Waiting for what another thread does while a run may be stopped, and for servers, of which the progress tells."""

import logging
import re
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet

import pytest
from grpc import StatusCode

from hs.errors import Interrupted
from hs_audit import watching
from hs_audit.cli import main
from pipeline.job.in_process import STOP, wait_unless_stopped
from serving.client.waits import Wait, Waits
from serving.fake import FakeServer, plain_model
from serving.messages import GetModelStatusRequest, PredictRequest
from serving.server.bundled import bundled_server
from tests.archives import RED, picture, row, write_archive


class _DoneAtTheLastMoment(Future):
    """Has its result just when a wait for it was given up."""

    def result(self, timeout: float | None = None) -> object:
        if not self.done():
            self.set_result("here")
            raise NotYet
        return super().result(timeout)


def test_a_result_that_comes_as_the_wait_ends_is_the_result():
    assert wait_unless_stopped(_DoneAtTheLastMoment()) == "here"


def test_work_that_timed_out_itself_says_so():
    future: Future[None] = Future()
    future.set_exception(NotYet("its own"))

    with pytest.raises(NotYet, match="its own"):
        wait_unless_stopped(future)


def test_a_run_that_is_stopped_waits_no_longer(monkeypatch):
    monkeypatch.setattr(STOP, "is_set", lambda: True)

    with pytest.raises(Interrupted):
        wait_unless_stopped(Future())


class _Lines(logging.Handler):
    """Lines of the log, and an event that is set when one matches."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self.pattern, self.found, self.matched = re.compile(pattern), threading.Event(), ""

    def emit(self, record: logging.LogRecord) -> None:
        if match := self.pattern.search(record.getMessage()):
            self.matched = match[0]
            self.found.set()


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("classes", r"resolving the model: 0 of 1 declaration; waiting for the model server for \d+ s \(UNAVAILABLE\)"),
        (
            "serving_default",
            r"auditing: 0 of 1 declaration, 1 picture; waiting for the model server for \d+ s \(UNAVAILABLE\)",
        ),
    ],
)
def test_the_progress_says_what_it_waits_for_and_when_it_gives_up(tmp_path, monkeypatch, signature, expected):
    monkeypatch.setattr(watching, "_SECONDS_BETWEEN_LINES", 0.02)
    lines = _Lines(expected + r", gives up in [56]\d s")

    def away(request: PredictRequest | GetModelStatusRequest, _: object) -> tuple[StatusCode, str] | None:
        if isinstance(request, GetModelStatusRequest):
            return None
        asked = request.model_spec.signature_name
        return (StatusCode.UNAVAILABLE, "away") if asked == signature and not lines.found.is_set() else None

    fake = FakeServer(plain_model("392690", "870829"), spoil=away)
    archive = write_archive(tmp_path / "a.parquet", [row("A1", RED, picture(RED))])
    (tmp_path / "c.yaml").write_text("server: {outage_budget_s: 60, connect_budget_s: 60}\n")
    log = logging.getLogger("hs_audit.run")
    log.addHandler(lines)
    with fake.listening() as server:
        flags = [f"--config={tmp_path / 'c.yaml'}", f"--server={server}", f"--input={archive}"]

        code = main(["run", *flags, f"--output={tmp_path / 'audits'}", "--run-date=2026-11-21"])

    log.removeHandler(lines)
    assert code == 0
    assert lines.found.is_set()
    assert "waiting" not in watching.progress_line()


def test_a_bundled_server_that_loads_is_waited_for_in_words(tmp_path):
    class Said(Waits):
        def begin(self, who: object, wait: Wait) -> None:
            said.append(wait.in_words(wait.since))
            super().begin(who, wait)

    said: list[str] = []
    waits, stop = Said(), threading.Event()
    stop.set()
    (tmp_path / "1").mkdir()

    with pytest.raises(Interrupted), bundled_server(tmp_path, stop=stop, waits=waits):
        pass

    assert said == ["waiting for the bundled server to load the model for 0 s, no limit"]
    assert waits.longest is None
