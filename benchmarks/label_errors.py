"""How many wrong codes `check cases` finds where some are planted: cases are given a code of another case by lot.

python -m benchmarks.label_errors --cases FILE.parquet --backbone FILE.keras [--share 0.03] [--work DIR]
"""

import argparse
import csv
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs_audit.cli import main as hs_audit
from hs_audit.commands.check_cases import LIST


def main() -> None:
    """Prints precision among the first and recall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--share", type=float, default=0.03, help="of the cases (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the planting (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="keep what is computed on the way here")
    args = parser.parse_args()
    with nullcontext(args.work) if args.work else tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        planted = plant(args.cases, work / "planted.parquet", args.share, args.seed)
        words = ["check", "cases", str(work / "planted.parquet"), "--output", str(work), "--work", str(work)]
        if code := hs_audit([*words, "--backbone", args.backbone]):
            raise SystemExit(code)
        with open(work / LIST, newline="", encoding="utf-8-sig") as stream:
            ranked = [line["case_id"] for line in csv.DictReader(stream) if line["reason"] == "contradicted"]
    hits = np.array([one in planted for one in ranked])
    for first in sorted({10, 20, 50, len(planted), len(ranked)}):
        if first <= len(ranked):
            some = int(hits[:first].sum())
            print(f"of the first {first:4}: {some / first:.3f} planted, {some / len(planted):.3f} of all planted")


def plant(cases: Path, path: Path, share: float, seed: int) -> set[str]:
    """Writes the cases with some codes exchanged for others, as frequent as these are; the ids of those cases."""
    table = pq.ParquetFile(cases).read()
    codes, ids = np.array(table["hs_code"].to_pylist()), table["case_id"].to_pylist()
    random = np.random.default_rng(seed)
    chosen = random.choice(len(codes), round(share * len(codes)), replace=False)
    wrong = codes.copy()
    for place in chosen:
        wrong[place] = random.choice(codes[codes != codes[place]])
    names = table.schema.get_field_index("hs_code")
    pq.write_table(table.set_column(names, "hs_code", pa.array(wrong.tolist())), path, write_batch_size=16)
    return {ids[place] for place in chosen}


if __name__ == "__main__":
    main()
