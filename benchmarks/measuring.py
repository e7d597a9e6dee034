"""How things are measured: commands in processes of their own, their time, CPU and peak memory, and ratios of them."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hs.pictures.decoding import PictureLimits, PictureSize, decode
from serving.client.client import Client
from serving.client.connection import Connection
from serving.client.load_generator import generate_load

SIZE = PictureSize(224, 224)
BATCH, IN_FLIGHT = 64, 4  # as in configs/nightly.yaml
CONFIG = f"server: {{model: hs, batch_size: {BATCH}, in_flight: {IN_FLIGHT}}}\n"
PROCESSES = f"beam: {{direct_running_mode: multi_processing, direct_num_workers: {len(os.sched_getaffinity(0))}}}\n"
NOT_INSTALLED = ("pandas", "boto3")  # where nights run; Beam imports both where development has them
_RUN_DATE = "2026-11-21"


@dataclass(frozen=True)
class Scale:
    """How long to measure, and on what.

    Attributes:
        times: how often each side.
        rows: pictures of a run.
        peer_rows: pictures of a run of the slow peers.
        cases: Parquet with photographs (`hs_code`, `images`), to be used instead of drawn pictures; None for none.
        saved_model: a model of those goods, to see whether its answers stay the same.
    """

    times: int = 5
    rows: int = 2000
    peer_rows: int = 200
    cases: Path | None = None
    saved_model: Path | None = None


@dataclass(frozen=True)
class Measured:
    """What a part found.

    Attributes:
        what: was compared.
        target: such as `>= 0.95`; empty where there is none.
        ratios: one for each time.
        part: whose finding it is, by its name on the command line.
    """

    what: str
    target: str
    ratios: tuple[float, ...]
    part: str = ""

    @property
    def median(self) -> float:
        """Of the ratios."""
        return statistics.median(self.ratios)

    @property
    def bound(self) -> float | None:
        """The number in the target."""
        return float(self.target.split()[1]) if self.target else None

    def within(self, slack: float = 1.0) -> bool:
        """Whether the median reaches the target, made this many times easier.

        >>> Measured("busy", ">= 0.9", (0.7, 0.8)).within(), Measured("busy", ">= 0.9", (0.8,)).within(2)
        (False, True)
        """
        if self.bound is None:
            return True
        if self.target.startswith(">="):
            return self.median >= self.bound / slack
        return self.median <= self.bound * slack


@dataclass(frozen=True)
class Used:
    """What a command took, the start of its interpreter included.

    Attributes:
        cpu_s: user and system time of all its threads.
        peak_mb: the most memory that was resident.
        began_at: by the clock of `time.monotonic`.
        printed: its last line, if that is JSON.
    """

    cpu_s: float
    peak_mb: float
    began_at: float
    printed: dict[str, Any]


# VmHWM, as ru_maxrss begins with what the parent had when it started the process.
_PROBE = """
import importlib, json, resource, runpy, sys
hidden, first, module = sys.argv[1].split(","), sys.argv[2], sys.argv[3]
sys.argv = sys.argv[3:]
class Hiding:
    def find_spec(name, path=None, target=None):
        if name in hidden:
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Hiding)
for name in filter(None, first.split(",")):
    importlib.import_module(name)
code = 0
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "peak_mb": peak * 1024 / 1e6, "cpu_s": used.ru_utime + used.ru_stime}))
"""


def command(module: str, *arguments: str, first: Sequence[str] = (), hidden: Sequence[str] = NOT_INSTALLED) -> Used:
    """Runs `python -m MODULE …` and says what it took.

    Args:
        module: to run; one that does nothing but be imported measures just that.
        arguments: its own.
        first: modules to import before it.
        hidden: modules that it does not find.

    Raises:
        RuntimeError: if it fails.
    """
    began_at = time.monotonic()  # the stand-in's clock as well: Linux has one for all processes
    probed = [sys.executable, "-c", _PROBE, ",".join(hidden), ",".join(first), module, *arguments]
    done = subprocess.run(probed, capture_output=True, text=True)
    *earlier, last = done.stdout.splitlines() or ['{"code": "nothing said"}']
    probe = json.loads(last)
    if probe["code"]:
        raise RuntimeError(f"{module} {arguments[:1]} ended with {probe['code']}: {done.stderr[-2000:]}")
    printed = json.loads(earlier[-1]) if earlier and earlier[-1].startswith("{") else {}
    return Used(probe["cpu_s"], probe["peak_mb"], began_at, printed)


def audit(
    archive: Path,
    folder: Path,
    server: str,
    first: Sequence[str] = (),
    module: str = "hs_audit.cli",
    settings: str = "",
    run_date: str = _RUN_DATE,
) -> Used:
    """`hs-audit run` over an archive, with `--server=ADDRESS` or `--saved-model=MODEL`, and more settings as YAML."""
    return command(module, *audit_arguments(archive, folder, server, settings, run_date), first=first)


def audit_arguments(
    archive: Path, folder: Path, server: str, settings: str = "", run_date: str = _RUN_DATE
) -> list[str]:
    """What stands behind `hs-audit`; writes the configuration that it names."""
    config = folder / "config.yaml"
    config.write_text(CONFIG + settings)
    flags = [f"--config={config}", f"--input={archive}", f"--output={folder / 'audits'}", server]
    return ["run", f"--run-date={run_date}", *flags]


def published(folder: Path) -> Path:
    """The run of `audit` without another date."""
    return folder / "audits" / f"run_date={_RUN_DATE}"


def manifest_of(folder: Path) -> dict[str, Any]:
    """What the latest `audit` says of itself."""
    return json.loads((published(folder) / "manifest.json").read_text())


def timings_s(folder: Path) -> dict[str, float]:
    """Seconds that each step of the latest `audit` took, by its manifest; imports are in none."""
    return manifest_of(folder)["timings_s"]


def load(address: str, seconds: float) -> float:
    """Pictures a second that the load generator gets out of a server."""
    client = Client(Connection(address, in_flight=IN_FLIGHT))
    rate = generate_load(client, client.resolve("hs"), BATCH, IN_FLIGHT, seconds).pictures_per_s
    client.close()
    return rate


def decoding_rate(pictures: Sequence[bytes], count: int, threads: int = 2, size: PictureSize = SIZE) -> float:
    """Pictures a second that so many threads decode, as the audit decodes them."""
    limits = PictureLimits()
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda number: decode(pictures[number % len(pictures)], size, limits), range(count)):
            pass
    return count / (time.monotonic() - started)
