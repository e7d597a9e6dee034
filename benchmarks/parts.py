"""What is measured: each part runs its two sides alternately and gives the ratios, one for each time."""

import csv
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.material import draw, gpu, write_archive
from benchmarks.measuring import (
    BATCH,
    IN_FLIGHT,
    PROCESSES,
    SIZE,
    Measured,
    Scale,
    Used,
    audit,
    command,
    decoding_rate,
    load,
    manifest_of,
    timings_s,
)
from hs.editions import SUBHEADING
from hs.nomenclature import descriptions
from hs.pictures.decoding import PictureLimits, PictureSize, decode
from serving.client.client import Client
from serving.client.connection import Connection
from serving.server.bundled import MODEL_NAME, bundled_server

_WORKERS = {"threads": "", "processes": PROCESSES}
_TENSORFLOW_SERVING = ("tensorflow_serving.apis.prediction_service_pb2_grpc",)


def at_least(what: str, least: float, ratios: list[float]) -> Measured:
    """A part whose ratio should be large."""
    return Measured(what, f">= {least:g}", tuple(ratios))


def at_most(what: str, most: float, ratios: list[float]) -> Measured:
    """A part whose ratio should be small."""
    return Measured(what, f"<= {most:g}", tuple(ratios))


def small_pictures(scale: Scale) -> list[bytes]:
    """Photographs of the cases where there are some, else drawn ones; about 350 x 350, JPEG."""
    return _photographs(scale.cases, 300) if scale.cases else draw(350, 350, 100)


def _photographs(cases: Path, count: int) -> list[bytes]:
    images = pq.read_table(cases, columns=["images"]).column("images").to_pylist()
    step = max(1, len(images) // count)
    return [pictures[0]["bytes"] for pictures in images[::step][:count]]


def slow_server(scale: Scale, folder: Path) -> Iterator[Measured]:
    """A server four times slower than decoding: does the audit keep it busy?"""
    ratios, filled = _share_of_what_is_possible(scale, folder, scale.rows, slower=4.0)
    yield at_least("run / what the server can do, server four times slower than decoding", 0.95, ratios)
    yield at_least("rows per request / batch size, over a run", 0.95, filled)


def equal_server(scale: Scale, folder: Path) -> Iterator[Measured]:
    """A server as fast as decoding."""
    for workers, settings in _WORKERS.items():
        ratios, _ = _share_of_what_is_possible(scale, folder, 3 * scale.rows, slower=1.0, settings=settings)
        yield at_least(f"run / the slower of the two alone, decoding and server equally fast, {workers}", 0.85, ratios)


def _share_of_what_is_possible(
    scale: Scale, folder: Path, rows: int, slower: float, settings: str = ""
) -> tuple[list[float], list[float]]:
    pictures = small_pictures(scale)
    archive = write_archive(folder / "archive.parquet", pictures, rows)
    cost_ms = slower * 1000 / decoding_rate(pictures, 1000)
    ratios, filled = [], []
    for _ in range(scale.times):
        with gpu(cost_ms) as running:
            audit(archive, folder, f"--server={running.address}", settings=settings)
        with gpu(cost_ms) as alone:
            most = load(alone.address, scale.rows * cost_ms / 1000)
        # Decoding is measured anew each time: machines change their speed.
        ratios.append(running.pictures_per_s / min(most, decoding_rate(pictures, 1000)))
        filled.append(running.counted["pictures"] / running.counted["requests"] / BATCH)
    return ratios, filled


def stock_beam(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Stock Beam at equal speed of decoding and server."""
    pictures = small_pictures(scale)
    archive = write_archive(folder / "archive.parquet", pictures, scale.rows)
    cost_ms = 1000 / decoding_rate(pictures, 1000)
    faster, memory = [], []
    for _ in range(scale.times):
        with gpu(cost_ms) as ours:
            our_use = audit(archive, folder, f"--server={ours.address}")
        with gpu(cost_ms) as theirs:
            their_use = command("benchmarks.peers", "stock_beam", str(archive), theirs.address, str(folder / "beam"))
        faster.append(ours.pictures_per_s / theirs.pictures_per_s)
        memory.append(our_use.peak_mb / their_use.peak_mb)
    yield at_least("run / stock Beam, pictures/s, decoding and server equally fast", 1.8, faster)
    yield at_most("run / stock Beam, peak memory", 0.25, memory)


def pandas(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Pandas with one request for each picture."""
    pictures = small_pictures(scale)
    cost_ms = 250 / decoding_rate(pictures, 1000)  # a server that is no limit to anybody
    ours_from = write_archive(folder / "many.parquet", pictures, scale.rows)
    theirs_from = write_archive(folder / "few.parquet", pictures, scale.peer_rows)
    ratios: dict[str, list[float]] = {"pandas_grpc": [], "pandas_json": []}
    for _ in range(scale.times):
        with gpu(cost_ms) as ours:
            audit(ours_from, folder, f"--server={ours.address}")
        for peer, found in ratios.items():
            with gpu(cost_ms, http=True) as theirs:
                address = str(theirs.http_port) if peer == "pandas_json" else theirs.address
                output = str(folder / "peer.parquet")
                command("benchmarks.peers", peer, str(theirs_from), address, output, hidden=())
            found.append(ours.pictures_per_s / theirs.pictures_per_s)
    for (peer, found), least in zip(ratios.items(), (3.0, 10.0), strict=True):
        yield at_least(f"run / {peer}, pictures/s", least, found)


def worker_cpu(scale: Scale, folder: Path) -> Iterator[Measured]:
    """CPU of workers beside what decoding costs, in as many loops; the page, which comes afterwards, is in neither."""
    kinds = {"JPEG": small_pictures(scale), "PNG": draw(350, 350, 20, "PNG")}
    loops = {"processes": _bare_processes_cpu_s, "threads": _bare_threads_cpu_s}
    for name, pictures in kinds.items():
        for workers, bare_cpu_s in loops.items():
            per_picture = _marginal_cpu_s(
                pictures,
                2 * scale.rows,
                folder,
                taken=lambda _: manifest_of(folder)["used"]["processor_s"],
                settings=_WORKERS[workers],
            )
            ratios = [next(per_picture) / bare_cpu_s(pictures, 1000) for _ in range(scale.times)]
            yield at_most(f"CPU per picture of workers / bare Pillow, both {workers}, {name}", 1.15, ratios)


def _marginal_cpu_s(
    pictures: list[bytes],
    rows: int,
    folder: Path,
    module: str = "hs_audit.cli",
    taken: Callable[[Used], float] = lambda used: used.cpu_s,
    settings: str = "",
) -> Iterator[float]:
    """What one more picture costs a run, again and again; what a run costs at least falls out."""
    few, many = (write_archive(folder / f"{count}.parquet", pictures, count) for count in (rows // 10, rows))
    while True:
        cpu_s = []
        for archive in (few, many):
            with gpu(0.1) as running:  # no limit to anybody: the CPU is what counts
                cpu_s.append(
                    taken(audit(archive, folder, f"--server={running.address}", module=module, settings=settings))
                )
        yield (cpu_s[1] - cpu_s[0]) / (rows - rows // 10)


def _bare_processes_cpu_s(pictures: list[bytes], count: int) -> float:
    """Per picture, in as many processes as the audit has threads that decode: two cores slow each other."""
    loops = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(loops, get_context("spawn")) as processes:  # gRPC's threads do not come through a fork
        return sum(processes.map(_bare_loops_cpu_s, [pictures] * loops, [count] * loops)) / loops / count


def _bare_threads_cpu_s(pictures: list[bytes], count: int) -> float:
    """Per picture, in as many threads of one process."""
    loops = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_bare_loops_cpu_s, pictures, count, loops).result() / loops / count


def _bare_loops_cpu_s(pictures: list[bytes], count: int, threads: int = 1) -> float:
    def loop(_: int) -> None:
        for number in range(count):
            image = Image.open(io.BytesIO(pictures[number % len(pictures)]))
            np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))

    started = time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(loop, range(threads)))
    return time.process_time() - started


def two_cores(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Two cores against one."""
    pictures, cores = small_pictures(scale), os.sched_getaffinity(0)
    ratios = []
    for _ in range(scale.times):
        os.sched_setaffinity(0, {min(cores)})
        one = decoding_rate(pictures, scale.rows // 2, threads=1)
        os.sched_setaffinity(0, cores)
        ratios.append(decoding_rate(pictures, scale.rows // 2) / one)
    yield at_least("decoding with two cores / one", 1.8, ratios)


def draft(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Large JPEGs decoded at a fraction of their size."""
    in_full = replace(SIZE, draft_multiple=0)
    for megapixels, (width, height), least in ((2, (1633, 1225), 2.0), (12, (4000, 3000), 5.0)):
        count = 48 // megapixels
        taken = _photographs(scale.cases, 4) if scale.cases else []
        pictures = [_enlarged(photograph, width, height) for photograph in taken] or draw(width, height, 4)
        ratios = [
            decoding_rate(pictures, 4 * count) / decoding_rate(pictures, count, size=in_full)
            for _ in range(scale.times)
        ]
        yield at_least(f"pictures/s with draft / without, {megapixels} megapixels", least, ratios)
        if scale.cases and scale.saved_model:
            photographs = [_enlarged(photograph, width, height) for photograph in _photographs(scale.cases, 300)]
            same = _same_first_code(photographs, scale.saved_model, (SIZE, in_full))
            yield at_least(f"photographs with the same first code, {megapixels} megapixels", 0.99, [same])


def _enlarged(photograph: bytes, width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(photograph)).convert("RGB").resize((width, height)).save(out, "JPEG", quality=90)
    return out.getvalue()


def _same_first_code(pictures: list[bytes], model: Path, sizes: tuple[PictureSize, PictureSize]) -> float:
    first = []
    with bundled_server(model) as address:
        client = Client(Connection(address))
        served = client.resolve(MODEL_NAME)
        for size in sizes:
            answers = [
                client.classify(
                    served, np.stack([_pixels(picture, size) for picture in pictures[start : start + BATCH]])
                )
                for start in range(0, len(pictures), BATCH)
            ]
            first.append(np.concatenate([answer.probabilities for answer in answers]).argmax(axis=1))
        client.close()
    return float((first[0] == first[1]).mean())


def _pixels(picture: bytes, size: PictureSize) -> np.ndarray:
    pixels = decode(picture, size, PictureLimits()).pixels
    assert pixels is not None
    return pixels


def memory(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Memory of an archive ten times as long; the short one already writes findings while requests are in flight."""
    pictures = draw(SIZE.width, SIZE.height, 100)  # quickly decoded: what is held of one hangs on the model's size
    rows = 2 * scale.rows
    short, long = (write_archive(folder / f"{times}.parquet", pictures, times * rows) for times in (1, 10))
    imports = command("pipeline.night").peak_mb
    ratios, absolute = [], []
    for _ in range(scale.times):
        peaks = []
        for archive in (short, long):
            with gpu(0.1) as running:
                peaks.append(audit(archive, folder, f"--server={running.address}").peak_mb - imports)
        ratios.append(peaks[1] / peaks[0])
        absolute.append(peaks[1])
    yield at_most("peak memory above imports, archive ten times as long / as it is", 1.05, ratios)
    yield at_most(f"the same in MB, {BATCH} pictures x {IN_FLIGHT} requests", 256, absolute)


def bookkeeping_cpu(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Reading, judging, writing and publishing beside the whole."""
    pictures = small_pictures(scale)
    whole = _marginal_cpu_s(pictures, 3 * scale.rows, _made(folder / "whole"))
    rest = _marginal_cpu_s(pictures, 10 * scale.rows, _made(folder / "rest"), "benchmarks.answered")
    ratios = [next(rest) / next(whole) for _ in range(scale.times)]
    yield at_most("reading, judging, writing, publishing / whole run, CPU", 0.05, ratios)


def start_up(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Starting, and a worker that does nothing yet, beside TensorFlow Serving's package as it stands."""
    archive = write_archive(folder / "archive.parquet", small_pictures(scale), BATCH)
    starting, memory = [], []
    for _ in range(scale.times):
        took, idle = [], []
        for first in ((), _TENSORFLOW_SERVING):
            with gpu(0.1) as running:
                used = audit(archive, folder, f"--server={running.address}", first)
            took.append(running.counted["began_at"] - used.began_at)
            idle.append(command("pipeline.job.classify", first=first).peak_mb)
        starting.append(took[0] / took[1])
        memory.append(idle[0] / idle[1])
    yield at_most("start of the launcher to its first request / over tensorflow_serving.apis", 0.45, starting)
    yield at_most("memory of an idle worker / over tensorflow_serving.apis", 0.30, memory)


def repeated_pictures(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Three pictures in ten are files that came before."""
    pictures = small_pictures(scale)
    plain = write_archive(folder / "plain.parquet", pictures, scale.rows)
    repeating = write_archive(folder / "repeating.parquet", pictures, scale.rows, repeats=0.3)
    ratios = []
    for _ in range(scale.times):
        took = []
        for archive in (plain, repeating):
            with gpu(1000 / decoding_rate(pictures, 1000)) as running:
                audit(archive, folder, f"--server={running.address}")
            took.append(running.counted["ended_at"] - running.counted["began_at"])
        ratios.append(took[0] / took[1])
    yield Measured("declarations/s with three pictures in ten seen before / with none", "", tuple(ratios))


def nightly_checks(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Editions, the same picture again, planted lies and drift, all of them beside none."""
    archive = write_archive(folder / "archive.parquet", draw(350, 350, scale.rows), 10 * scale.rows)
    table = _write_edition(folder / "hs2017.csv", descriptions())
    every = f"nomenclature: {{editions: {{2017: {table}}}}}\nsame_picture: {{store: {folder / 'hashes'}}}\n"
    none = "same_picture: null\nselftest: {sample: 0}\ndrift: {nights: 0}\n"
    short = write_archive(folder / "short.parquet", draw(350, 350, 64), 64)
    with gpu(0.1) as running:
        for day in range(10, 17):
            audit(short, folder, f"--server={running.address}", settings=every, run_date=f"2026-11-{day}")
    ratios: dict[str, list[float]] = {"CPU": [], "time": []}
    for _ in range(scale.times):
        spent = []
        for settings in (every, none):
            with gpu(0.1) as running:
                cpu_s = audit(archive, folder, f"--server={running.address}", settings=settings).cpu_s
            spent.append((cpu_s, sum(timings_s(folder).values())))
        for found, (with_all, without) in zip(ratios.values(), zip(*spent, strict=True), strict=True):
            found.append(with_all / without)
    for what, found in ratios.items():
        yield at_most(f"run with editions, same pictures, planted lies and drift / with none, {what}", 1.08, found)


def _write_edition(path: Path, codes: Mapping[str, str]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(("hs_code", "description", "valid_from", "valid_to"))
        lines.writerows((code, text, "", "") for code, text in codes.items() if len(code) == SUBHEADING)
    return path


def keras(scale: Scale, folder: Path) -> Iterator[Measured]:
    """Keras in one process, beside a run with the bundled server and the same network."""
    command("benchmarks.peers", "make_network", str(folder))
    archive = write_archive(folder / "archive.parquet", small_pictures(scale), scale.peer_rows)
    ratios = []
    for _ in range(scale.times):
        audit(archive, folder, f"--saved-model={folder / 'model'}")
        files = (archive, folder / "network.keras", folder / "out")
        theirs = command("benchmarks.peers", "keras", *map(str, files), hidden=())
        ratios.append(theirs.printed["seconds"] / timings_s(folder)["auditing"])
    yield Measured("run with the bundled server / Keras in one process, pictures/s", "", tuple(ratios))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


_PARTS = (
    slow_server,
    equal_server,
    stock_beam,
    pandas,
    worker_cpu,
    two_cores,
    draft,
    memory,
    bookkeeping_cpu,
    start_up,
    repeated_pictures,
    nightly_checks,
    keras,
)
PARTS: dict[str, Callable[[Scale, Path], Iterator[Measured]]] = {
    part.__name__.replace("_", "-"): part for part in _PARTS
}
