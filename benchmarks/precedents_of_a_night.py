"""What precedents cost a night: it is audited with a model, and with the same model without them, in turn.

python -m benchmarks.precedents_of_a_night MODEL --cases FILE.parquet [--wrong 0.05] [--rows 3000] [--rounds 5]
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import audit, manifest_of, timings_s
from hs.files import version_folder
from model.cases.reading import open_cases
from model.quiet import quiet_import

with quiet_import():
    import tensorflow as tf

_OF_PRECEDENTS = {"nearest", "nearest_of", "precedents"}


def main() -> None:
    """Prints how much longer the audit takes, the median of so many pairs, and how many pictures were looked up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--cases", type=Path, required=True, help="of the same goods, which it did not learn from")
    parser.add_argument("--wrong", type=float, default=0.05, help="share declared wrongly (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=3000, help="declarations (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    args = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        archive = _write_archive(work / "archive.parquet", args.cases, args.rows, round(1 / args.wrong))
        without = _without_precedents(args.model, work / "without")
        for _ in range(args.rounds):
            audit(archive, work, f"--saved-model={without}")
            least_s = timings_s(work)["auditing"]
            audit(archive, work, f"--saved-model={args.model}")
            ratios.append(timings_s(work)["auditing"] / least_s)
            looked_up = manifest_of(work)["precedents"]["pictures_looked_up"]
    print(f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) times as long with precedents")
    print(f"{looked_up} of {args.rows} pictures looked up")


def _write_archive(path: Path, cases: Path, rows: int, every: int) -> Path:
    """A declaration for each picture of the cases, these again and again, of which every so many has a wrong code."""
    known = [(case.hs_code, read()) for case in open_cases(cases) for _, read in case.pictures]
    # Behind the end of a picture nobody looks: the last bytes make each a file that was not seen before.
    other = np.random.default_rng(0).permutation(len(known))
    shown = [known[row % len(known)] for row in range(rows)]
    table = {
        "declaration_id": [f"D{row}" for row in range(rows)],
        "declared_hs_code": [
            code if row % every else known[other[row % len(known)]][0] for row, (code, _) in enumerate(shown)
        ],
        "images": pa.array([[data + b"%d" % row] for row, (_, data) in enumerate(shown)], pa.list_(pa.binary())),
    }
    pq.write_table(pa.table(table), path, write_batch_size=16)
    return path


def _without_precedents(model: Path, folder: Path) -> Path:
    """The newest version as one that has learned from no case that it could name."""
    version = version_folder(model)
    loaded = tf.saved_model.load(str(version))
    kept = {name: of for name, of in loaded.signatures.items() if name not in _OF_PRECEDENTS}
    tf.saved_model.save(loaded, str(folder / version.name), signatures=kept)
    shutil.copytree(version / "assets.extra", folder / version.name / "assets.extra")
    return folder


if __name__ == "__main__":
    main()
