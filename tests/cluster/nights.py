"""Nights for the cluster tests: archives, a model server that acts at a count, launchers, findings compared."""

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from hs.storage.stores import Stores
from pipeline.runs.published import Run, published_run
from serving.fake import Cost, FakeServer, plain_model
from serving.messages import PredictRequest
from tests.archives import COLOURS, row, write_archive
from tests.cluster.processes import Processes

RUN_DATE = "2026-11-21"
MODEL = plain_model(*COLOURS, height=32, width=32)
RULINGS = tuple((f"KR-{number}", code) for number, code in enumerate((*COLOURS, *COLOURS)))


@dataclass
class StandIn:
    """A model server that tells colours apart, and computes as good as nothing.

    Attributes:
        address: where it listens.
        fake: what it has answered.
        moments: (pictures, what to do before the next request is answered); each is done once.
    """

    address: str
    fake: FakeServer
    moments: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    seen: int = 0
    last_request_at: float = 0.0

    def at(self, pictures: int, do: Callable[[], object]) -> None:
        """Does something while the request that makes it so many pictures waits for its answer."""
        self.moments.append((pictures, do))


@contextmanager
def stand_in(per_request_s: float = 0, rulings: Sequence[tuple[str, str]] = ()) -> Iterator[StandIn]:
    """A server that gives each picture the probabilities of its colours: no two pictures alike.

    Args:
        per_request_s: what a request takes, one after the other.
        rulings: case id and class of those that it knows; they are asked for beside what looks wrong.
    """
    model = replace(MODEL, card=replace(MODEL.card, precedents=len(rulings)))
    server, lock = StandIn("", FakeServer(model, cost=Cost(per_request_s), rulings=rulings)), threading.Lock()

    def answer(request: PredictRequest, response: Any) -> None:
        if request.model_spec.signature_name != MODEL.signature.name:  # asks for the class table, or for rulings
            return
        images = request.inputs[MODEL.signature.input]
        pixels = np.frombuffer(images.tensor_content, np.uint8).reshape(-1, 32 * 32, 3)
        power = np.exp(pixels.mean(axis=1) / 20)
        probabilities = (power / power.sum(axis=1, keepdims=True)).astype(np.float32)
        response.outputs[MODEL.signature.output].tensor_content = probabilities.tobytes()
        with lock:
            server.seen += len(pixels)
            server.last_request_at = time.monotonic()
            due = [moment for moment in server.moments if moment[0] <= server.seen]
            server.moments = [moment for moment in server.moments if moment not in due]
        for _, do in due:
            do()

    server.fake.spoil = lambda request, response: answer(request, response) if hasattr(request, "inputs") else None
    with server.fake.listening("127.0.0.1:0") as address:
        server.address = address
        yield server


def write_night(folder: Path, declarations: int, files: int = 3, row_group_size: int = 25) -> str:
    """An archive of small pictures, of which no two are alike; a glob of its files."""
    codes, per_file = tuple(COLOURS), -(-declarations // files)
    for number in range(files):
        some = range(number * per_file, min(declarations, (number + 1) * per_file))
        rows = [row(f"D{n}", codes[n % 7 % 3], *(_picture(n, which) for which in range(n % 4 % 3))) for n in some]
        write_archive(folder / f"{number}.parquet", rows, row_group_size=row_group_size)
    return str(folder / "*.parquet")


def _picture(number: int, which: int) -> bytes:
    """Mostly of one colour, with a line that says its number."""
    image = Image.new("RGB", (40, 30), COLOURS[tuple(COLOURS)[number % 3]])
    for bit in range(16):
        image.putpixel((bit, 10 + which), (255, 255, 255) if number >> bit & 1 else (0, 0, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@dataclass
class Launcher:
    """How a night is started.

    Attributes:
        folder: of the configuration and the output.
        archive: a glob.
        server: which answers.
        settings: more of the configuration, YAML.
        output: where runs are published; None for a folder in `folder`.
        stores: how that is reached.
    """

    folder: Path
    archive: str
    server: str
    settings: str = ""
    output: str | None = None
    stores: Stores = field(default_factory=Stores)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Nothing is remembered: who kills at a count of requests wants all of them.
        server = "server: {model: hs, batch_size: 8, in_flight: 2, remembered: 0, outage_budget_s: 60}\n"
        self.config.write_text(server + self.settings)

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "night.yaml"

    @property
    def published(self) -> Path:
        """Where the run will be."""
        return self.folder / "audits" / f"run_date={RUN_DATE}"

    def start(self, processes: Processes, flags: Sequence[str], name: str = "launcher") -> subprocess.Popen[bytes]:
        """Starts a night in a process of its own, whose log is `NAME.log`."""
        command = (
            sys.executable, "-m", "hs_audit.cli", "run", f"--config={self.config}", f"--run-date={RUN_DATE}",
            f"--server={self.server}", f"--input={self.archive}", f"--output={self.output or self.folder / 'audits'}",
        )  # fmt: skip
        return processes.start(name, *command, *flags)

    def run(self, processes: Processes, flags: Sequence[str], name: str = "launcher", timeout_s: float = 400) -> int:
        """Its exit code."""
        return self.start(processes, flags, name).wait(timeout_s)

    def said(self, processes: Processes, name: str = "launcher") -> str:
        """What the launcher said."""
        return (processes.folder / f"{name}.log").read_text()

    def findings(self) -> list[dict]:
        """What was published, in the order of the archive."""
        rows: list[dict] = []
        for file in self._run().files("findings"):
            with self.stores.open_input(file) as stream:
                rows += pq.ParquetFile(stream).read().to_pylist()
        return sorted(rows, key=lambda found: (found["source_file"], found["source_row_group"], found["source_row"]))

    def run_id(self) -> str:
        """Of what was published."""
        return self._run().manifest["run_id"]

    def _run(self) -> Run:
        return published_run(f"{self.output or self.folder / 'audits'}/run_date={RUN_DATE}", self.stores)


def assert_equal_findings(found: list[dict], expected: list[dict], but: Sequence[str] = ()) -> None:
    """Equal verdicts, reasons and codes, probabilities within 1e-5; equal rulings where both were looked up."""
    assert len(found) == len(expected)
    for mine, other in zip(found, expected, strict=True):
        assert mine.keys() == other.keys()
        left_out = {*but}
        if not (mine["precedents"] and other["precedents"]):  # each worker looks up only so many of its own
            left_out.add("precedents")
        _assert_close(*({name: one[name] for name in one if name not in left_out} for one in (mine, other)))


def _assert_close(mine: Any, other: Any) -> None:
    if isinstance(mine, float) and isinstance(other, float):
        assert abs(mine - other) < 1e-5
    elif isinstance(mine, dict):
        assert mine.keys() == other.keys()
        for key in mine:
            _assert_close(mine[key], other[key])
    elif isinstance(mine, list):
        assert len(mine) == len(other)
        for pair in zip(mine, other, strict=True):
            _assert_close(*pair)
    else:
        assert mine == other
