"""What thresholds from decisions are worth on goods that nobody decided on: cases in two halves, both ways.

Each half is a night on which every photo is declared many times, mostly rightly. Officers decide what its worklist has,
by the truth; `recalibrate` draws thresholds from one night and says what is kept on the other.

python -m benchmarks.recalibrated MODEL --cases FILE.parquet [--wrong 0.05] [--times 40] [--seed 0]
"""

import argparse
import csv
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs_audit.cli import main as hs_audit
from model.cases.reading import Case, open_cases
from pipeline.runs.published import published_run

RUN_DATES = ("2026-11-20", "2026-11-21")
CONFIG = """
server: {model: hs}
selftest: {sample: 0}
worklist: {budget: 15%, random_share: 30%, report_findings: 5}
"""


def main() -> None:
    """Prints what `recalibrate` says, for either half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--wrong", type=float, default=0.05, help="share declared wrongly (default: %(default)s)")
    parser.add_argument("--times", type=int, default=40, help="declarations of each photo (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the halves and codes (default: %(default)s)")
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    cases = list(open_cases(args.cases))
    order = random.permutation(len(cases))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "night.yaml").write_text(CONFIG)
        for place, night in enumerate(RUN_DATES):
            half = [cases[number] for number in order[place::2]]
            declared = np.tile(np.arange(len(half)), args.times)  # the same photo again when its answer is there
            codes = [_declared(half[case].hs_code, cases, random.random() < args.wrong, random) for case in declared]
            truth = [half[case].hs_code for case in declared]
            _write_archive(work / f"{night}.parquet", [half[case] for case in declared], codes)
            _night(work, night, args.model)
            _decide(work, night, truth)
        for ours, theirs in (RUN_DATES, RUN_DATES[::-1]):
            print(f"\nthresholds from one half, measured on the other ({ours} on {theirs})")
            model = shutil.copytree(args.model, work / f"model-{ours}")
            folders = ["--decisions", work / ours / "_feedback", "--measured-on", work / theirs / "_feedback"]
            hs_audit(["recalibrate", *map(str, [model, *folders])])  # where nothing is borne out it says so


def _declared(code: str, cases: Sequence[Case], wrongly: bool, random: np.random.Generator) -> str:
    """The code itself, or, a third each, another one of its heading, of its chapter, or any; any where none is."""
    if not wrongly:
        return code
    alike = code[: random.choice([4, 2, 0])]
    others = sorted({case.hs_code for case in cases} - {code})
    near = [other for other in others if other.startswith(alike)]
    return str(random.choice(near or others))


def _write_archive(path: Path, cases: Sequence[Case], codes: Sequence[str]) -> None:
    table = {
        "declaration_id": [f"D{number:06}" for number in range(len(cases))],
        "declared_hs_code": codes,
        "images": pa.array([[read() for _, read in case.pictures] for case in cases], pa.list_(pa.binary())),
    }
    pq.write_table(pa.table(table), path, write_batch_size=16)


def _night(work: Path, night: str, model: Path) -> None:
    flags = ["--config", work / "night.yaml", "--run-date", night, "--input", work / f"{night}.parquet"]
    _run("run", *flags, "--output", work / night, "--saved-model", model)


def _decide(work: Path, night: str, truth: Sequence[str]) -> None:
    """What officers who are never wrong say of all that is on the worklist."""
    run = work / night / f"run_date={night}"
    about = published_run(str(run)).manifest
    lines = []
    for listed in pq.ParquetFile(run / "worklist.parquet").read().to_pylist():
        code = truth[int(listed["declaration_id"][1:])]
        right = listed["declared_hs_code_normalized"] == code
        lines.append({
            **{name: about[name] for name in ("run_id", "attempt_id", "run_date")},
            **{name: listed[name] for name in ("source_file", "source_row_group", "source_row", "declaration_id")},
            "officer": "as the cases say", "item_no": listed["item_no"], "decision": "right" if right else "wrong",
            "correct_code": "" if right else code, "note": "", "decided_at": f"{night}T20:00:00+00:00",
        })  # fmt: skip
    file = work / f"{night}.csv"
    with open(file, "w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, lines[0])
        table.writeheader()
        table.writerows(lines)
    _run("feedback", run, file)


def _run(*words: object) -> None:
    if code := hs_audit([str(word) for word in words]):
        raise SystemExit(code)


if __name__ == "__main__":
    main()
