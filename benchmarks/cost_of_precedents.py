"""What precedents cost a request and a model's load: a backbone is exported with random ones and asked in turn.

python -m benchmarks.cost_of_precedents --backbone FILE.keras [--precedents 100000] [--pictures 64] [--rounds 5]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from hs.card import Card, Thresholds
from model.quiet import quiet_import

with quiet_import():
    import keras
    import tensorflow as tf

    from model.exported.export import export
    from model.training.backbones import load_backbone
    from model.training.folding import folded
    from model.training.networks import cut, head, weights_digest
    from model.training.precedents import DIMENSIONS, Precedents
from model.training.novelty import unit_rows
from model.training.recipes import PRETRAINED

_CODES = tuple(f"{number:06d}" for number in range(10_000, 10_100))
_SIGNATURES = ("serving_default", "nearest", "nearest_of")


def main() -> None:
    """Prints the median time of a request by signature, and what a process that loads the model takes at its most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--precedents", type=int, default=100_000, help="pictures of cases (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=64, help="in a request (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        tf.saved_model.load(str(args.load))
        # Not getrusage: the greatest that it tells may be of whoever started this process.
        print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
        return
    with tempfile.TemporaryDirectory() as folder:
        version, without = (exported(args.backbone, many, Path(folder) / str(many)) for many in (args.precedents, 0))
        seconds, size = times(version, args.pictures, args.rounds), sum(file.stat().st_size for file in _files(version))
        loads = [_most_kib(one) / 1024 for one in (version, without)]
    table = Table("signature", f"ms for {args.pictures} pictures", "of serving_default")
    for name, took_s in seconds.items():
        table.add_row(name, f"{took_s * 1000:.0f}", f"{took_s / seconds['serving_default']:.3f}")
    Console(width=100).print(table)
    print(f"{size / 1e6:.0f} MB; loading takes {loads[0]:.0f} MiB, without precedents {loads[1]:.0f} MiB")


def exported(backbone: str, count: int, folder: Path) -> Path:
    """A version with so many random precedents, by the map at the cut of `train`."""
    network = load_backbone(backbone).network
    stem = cut(network, PRETRAINED.tail_share).stem
    assert stem is not None
    random = np.random.default_rng(0)
    whole = folded(
        keras.Model(network.input, [head(network.output_shape[1], len(_CODES), 0)(network.output), stem.output])
    )
    features = stem.output_shape[-1] * 2
    directions = np.linalg.qr(random.normal(size=(features, min(DIMENSIONS, features))))[0].astype(np.float32)
    rows = unit_rows(random.normal(size=(count, directions.shape[1]))).astype(np.float16)
    ids = tuple(f"case-{number:06d}" for number in range(count))
    kept = Precedents(directions, rows, random.integers(len(_CODES), size=count), ids) if count else None
    height, width = network.input_shape[1:3]
    card = Card(height, width, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.5, 0.9), weights_digest(whole))
    return export(whole, _CODES, card, {}, folder, precedents=kept)[1]


def times(version: Path, pictures: int, rounds: int) -> dict[str, float]:
    """Signature → seconds for a request, the median of so many; asked in turn, as other work comes and goes.

    `nearest_of` is asked for two codes of each picture.
    """
    signatures = tf.saved_model.load(str(version)).signatures
    height, width = signatures["nearest"].structured_input_signature[1]["images"].shape[1:3]
    images = tf.constant(np.random.default_rng(1).integers(0, 256, (pictures, height, width, 3), np.uint8))
    twice = {"images": tf.repeat(images, 2, axis=0), "hs_code": tf.constant([_CODES[0], _CODES[1]] * pictures)}
    asked = {name: {"images": images} for name in _SIGNATURES} | {"nearest_of": twice}  # as a night does
    took: dict[str, list[float]] = {name: [] for name in _SIGNATURES}
    for number in range(rounds + 1):
        for name, of in took.items():
            started = time.perf_counter()
            signatures[name](**asked[name])
            if number:  # the first builds
                of.append(time.perf_counter() - started)
    return {name: float(np.median(of)) for name, of in took.items()}


def _most_kib(version: Path) -> int:
    command = [sys.executable, "-m", "benchmarks.cost_of_precedents", "--backbone", "-", "--load", str(version)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def _files(version: Path) -> list[Path]:
    return [path for path in version.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main()
