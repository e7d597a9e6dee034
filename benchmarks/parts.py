"""What is measured: each part runs its two sides alternately and gives the ratios, one for each time."""

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.material import draw, gpu, write_archive
from pipeline.pictures import PictureLimits, PictureSize, decode
from serving.client import Client, Connection
from serving.load import generate_load

SIZE = PictureSize(224, 224)
BATCH, IN_FLIGHT = 64, 4
CONFIG = f"server: {{model: hs, batch_size: {BATCH}, in_flight: {IN_FLIGHT}}}\n"


@dataclass(frozen=True)
class Scale:
    """How long to measure.

    Attributes:
        times: how often each side.
        rows: pictures of a run.
        peer_rows: pictures of a run of the slow peers.
    """

    times: int = 5
    rows: int = 3000
    peer_rows: int = 300


@dataclass(frozen=True)
class Measured:
    """What a part found.

    Attributes:
        name: of the part.
        what: was compared.
        target: in words.
        ratios: one for each time.
        met: whether their median reaches the target.
    """

    name: str
    what: str
    target: str
    ratios: tuple[float, ...]
    met: bool

    @property
    def median(self) -> float:
        """Of the ratios."""
        return statistics.median(self.ratios)


def at_least(name: str, what: str, least: float, ratios: list[float]) -> Measured:
    """A part whose ratio should be large."""
    return Measured(name, what, f">= {least:g}", tuple(ratios), statistics.median(ratios) >= least)


def at_most(name: str, what: str, most: float, ratios: list[float]) -> Measured:
    """A part whose ratio should be small."""
    return Measured(name, what, f"<= {most:g}", tuple(ratios), statistics.median(ratios) <= most)


@dataclass(frozen=True)
class Used:
    """What a command took: CPU seconds, and peak memory in MB, that of its interpreter included."""

    cpu_s: float
    peak_mb: float
    wall_s: float


_PROBE = """
import json, resource, runpy, sys, time
started, script = time.monotonic(), sys.argv[1]
sys.argv = sys.argv[1:]
code = 0
try:
    runpy.run_module(script, run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"code": code, "peak_mb": peak / 1024, "cpu_s": used.ru_utime + used.ru_stime,
                  "wall_s": time.monotonic() - started}))
"""


def command(*arguments: str) -> Used:
    """Runs `python -m …` and says what it took.

    Raises:
        RuntimeError: if it fails.
    """
    done = subprocess.run([sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    said = json.loads(lines[-1]) if lines else {"code": done.returncode}
    if said["code"]:
        raise RuntimeError(f"{' '.join(arguments[:2])} ended with {said['code']}: {done.stderr[-2000:]}")
    return Used(said["cpu_s"], said["peak_mb"], said["wall_s"])


def audit(archive: Path, address: str, folder: Path) -> Used:
    """`hs-audit run` over an archive."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    flags = [f"--config={config}", f"--input={archive}", f"--output={folder / 'audits'}", f"--server={address}"]
    return command("pipeline.cli", "run", "--run-date=2026-11-21", *flags)


def load(address: str, seconds: float) -> float:
    """Pictures a second that the load generator gets out of a server."""
    client = Client(Connection(address, in_flight=IN_FLIGHT))
    rate = generate_load(client, client.resolve("hs"), BATCH, IN_FLIGHT, seconds).pictures_per_s
    client.close()
    return rate


def decoding_rate(pictures: list[bytes], count: int, threads: int = 2, size: PictureSize = SIZE) -> float:
    """Pictures a second that so many threads decode, as the audit decodes them."""
    limits = PictureLimits()
    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda number: decode(pictures[number % len(pictures)], size, limits), range(count)):
            pass
    return count / (time.monotonic() - started)


def small_pictures() -> list[bytes]:
    """About 350 x 350, JPEG."""
    return draw(350, 350, 100)


def b1(scale: Scale, folder: Path) -> Iterator[Measured]:
    """A server four times slower than decoding: does the audit keep it busy?"""
    yield from _busy(scale, folder, slower=4.0, name="B1", least=0.95)


def b2(scale: Scale, folder: Path) -> Iterator[Measured]:
    """A server as fast as decoding."""
    yield from _busy(scale, folder, slower=1.0, name="B2", least=0.85)


def _busy(scale: Scale, folder: Path, slower: float, name: str, least: float) -> Iterator[Measured]:
    pictures = small_pictures()
    archive = write_archive(folder / f"{name}.parquet", pictures, scale.rows)
    decoding = decoding_rate(pictures, 1000)
    cost_ms = slower * 1000 / decoding
    ratios, filled = [], []
    for _ in range(scale.times):
        with gpu(cost_ms) as running:
            audit(archive, running.address, folder)
        with gpu(cost_ms) as alone:
            most = load(alone.address, scale.rows * cost_ms / 1000)
        ratios.append(running.pictures_per_s / min(most, decoding_rate(pictures, 1000)))
        filled.append(running.said["pictures"] / running.said["requests"] / BATCH)
    speed = "server four times slower than decoding" if slower > 1 else "decoding and server equally fast"
    yield at_least(name, f"run / the slower of server and decoding alone, {speed}", least, ratios)
    if name == "B1":
        yield at_least("B10", "rows per request / batch size, over a run", 0.95, filled)


def b3(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Stock Beam at equal speed of decoding and server."""
    pictures = small_pictures()
    archive = write_archive(folder / "B3.parquet", pictures, scale.rows)
    cost_ms = 1000 / decoding_rate(pictures, 1000)
    faster, memory = [], []
    for _ in range(scale.times):
        with gpu(cost_ms) as ours:
            our_use = audit(archive, ours.address, folder)
        with gpu(cost_ms) as theirs:
            their_use = command("benchmarks.peers", "stock_beam", str(archive), theirs.address, str(folder / "beam"))
        faster.append(ours.pictures_per_s / theirs.pictures_per_s)
        memory.append(our_use.peak_mb / their_use.peak_mb)
    yield at_least("B3", "run / stock Beam, pictures/s at equal speed of decoding and server", 1.8, faster)
    yield at_most("B3", "run / stock Beam, peak memory", 0.25, memory)


def b4(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Pandas with one request for each picture."""
    pictures = small_pictures()
    cost_ms = 250 / decoding_rate(pictures, 1000)  # a server that is no limit to anybody
    ours_from = write_archive(folder / "B4.parquet", pictures, scale.rows)
    theirs_from = write_archive(folder / "B4-few.parquet", pictures, scale.peer_rows)
    for peer, least in (("pandas_grpc", 3.0), ("pandas_json", 10.0)):
        ratios = []
        for _ in range(scale.times):
            with gpu(cost_ms) as ours:
                audit(ours_from, ours.address, folder)
            with gpu(cost_ms, http=True) as theirs:
                address = str(theirs.http_port) if peer == "pandas_json" else theirs.address
                command("benchmarks.peers", peer, str(theirs_from), address, str(folder / "peer.parquet"))
            ratios.append(ours.pictures_per_s / theirs.pictures_per_s)
        yield at_least("B4", f"run / {peer}, pictures/s", least, ratios)


def b5(scale: Scale, folder: Path) -> Iterator[Measured]:
    """CPU of a worker beside what decoding costs."""
    pictures = small_pictures()
    few = write_archive(folder / "B5-few.parquet", pictures, scale.rows // 3)
    many = write_archive(folder / "B5.parquet", pictures, scale.rows)
    ratios = []
    for _ in range(scale.times):
        used = []
        for archive in (few, many):
            with gpu(0.1) as running:
                used.append(audit(archive, running.address, folder).cpu_s)
        ours = (used[1] - used[0]) / (scale.rows - scale.rows // 3)
        ratios.append(ours / _bare_pillow_cpu_s(pictures, 1000))
    yield at_most("B5", "CPU of a worker per picture / bare Pillow in a loop", 1.15, ratios)


def _bare_pillow_cpu_s(pictures: list[bytes], count: int) -> float:
    started = time.process_time()
    for number in range(count):
        image = Image.open(io.BytesIO(pictures[number % len(pictures)]))
        np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    return (time.process_time() - started) / count


def b6(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Two cores against one."""
    pictures, cores = small_pictures(), os.sched_getaffinity(0)
    ratios = []
    for _ in range(scale.times):
        os.sched_setaffinity(0, {min(cores)})
        one = decoding_rate(pictures, scale.rows // 2, threads=1)
        os.sched_setaffinity(0, cores)
        ratios.append(decoding_rate(pictures, scale.rows // 2) / one)
    yield at_least("B6", "decoding with two cores / one", 1.8, ratios)


def b7(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Large JPEGs decoded at a fraction of their size."""
    for megapixels, (width, height), least in ((2, (1633, 1225), 2.0), (12, (4000, 3000), 5.0)):
        pictures = draw(width, height, 4)
        ratios = []
        for _ in range(scale.times):
            with_draft = decoding_rate(pictures, 8 * 12 // megapixels)
            without = decoding_rate(pictures, 2 * 12 // megapixels, size=replace(SIZE, draft_multiple=0))
            ratios.append(with_draft / without)
        yield at_least("B7", f"pictures/s with draft / without, {megapixels} megapixels", least, ratios)


def b8(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Memory of an archive ten times as long."""
    pictures = small_pictures()
    short = write_archive(folder / "B8-short.parquet", pictures, scale.rows)
    long = write_archive(folder / "B8-long.parquet", pictures, 10 * scale.rows, 4096)
    imports = command("benchmarks.imports", "pipeline.audit").peak_mb
    ratios, absolute = [], []
    for _ in range(max(1, scale.times // 2)):
        peaks = []
        for archive in (short, long):
            with gpu(0.1) as running:
                peaks.append(audit(archive, running.address, folder).peak_mb - imports)
        ratios.append(peaks[1] / peaks[0])
        absolute.append(peaks[1])
    yield at_most("B8", "peak memory above imports, archive ten times as long / as it is", 1.05, ratios)
    yield at_most("B8", f"the same in MB, {BATCH} pictures x {IN_FLIGHT} requests", 256, absolute)


def b11(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Reading, judging, writing and publishing beside the whole: pictures that are refused at their first bytes."""
    pictures = small_pictures()
    junk = [b"no picture" + picture[10:] for picture in pictures]
    rows = {"few": scale.rows // 3, "many": scale.rows}
    archives = {
        (name, size): write_archive(folder / f"B11-{name}-{size}.parquet", content, count)
        for name, content in (("photos", pictures), ("junk", junk))
        for size, count in rows.items()
    }
    ratios = []
    for _ in range(scale.times):
        per_row = {}
        for name in ("photos", "junk"):
            used = []
            for size in rows:
                with gpu(0.1) as running:
                    used.append(audit(archives[name, size], running.address, folder).cpu_s)
            per_row[name] = used[1] - used[0]
        ratios.append(per_row["junk"] / per_row["photos"])
    yield at_most("B11", "reading, judging, writing, publishing / whole run, CPU", 0.05, ratios)


def b12(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Marginal time of a declaration as nights grow."""
    unit = scale.rows // 3
    archives = [write_archive(folder / f"B12-{n}.parquet", [], n * unit, 4096) for n in (1, 10, 100)]
    ratios = []
    for _ in range(max(1, scale.times // 2)):
        walls = []
        for archive in archives:
            with gpu(0.1) as running:
                walls.append(audit(archive, running.address, folder).wall_s)
        ratios.append(((walls[2] - walls[1]) / 90) / ((walls[1] - walls[0]) / 9))
    yield at_most(
        "B12", f"marginal time per declaration, {10 * unit} to {100 * unit} / {unit} to {10 * unit}", 1.05, ratios
    )


def b13(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Starting, and a worker that does nothing yet, beside TensorFlow Serving's package as it stands."""
    modules = "pipeline.audit", "pipeline.classify"
    time_ratios, memory_ratios = [], []
    for _ in range(scale.times):
        ours = command("benchmarks.imports", *modules)
        theirs = command("benchmarks.imports", "tensorflow_serving.apis.prediction_service_pb2_grpc", *modules)
        time_ratios.append(ours.wall_s / theirs.wall_s)
        memory_ratios.append(ours.peak_mb / theirs.peak_mb)
    yield at_most("B13", "start of a worker / the same over tensorflow_serving.apis", 0.45, time_ratios)
    yield at_most("B13", "memory of an idle worker / the same", 0.30, memory_ratios)


PARTS: dict[str, Callable[[Scale, Path], Iterator[Measured]]] = {
    "b1": b1, "b2": b2, "b3": b3, "b4": b4, "b5": b5, "b6": b6, "b7": b7, "b8": b8, "b11": b11, "b12": b12, "b13": b13,
}  # fmt: skip
