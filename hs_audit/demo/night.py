"""A seed → the files of the demo: cases to learn from, the archive of one night, and the truth about that night.

The night has what nights have: codes written in many ways, wrong codes, codes that no classifier of these goods knows,
goods photographed several times, declarations without a picture, files that only pretend to be one, and pictures that
two importers show. The same seed writes the same files: each case and each declaration has a generator of its own,
whatever the others draw.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs_audit.demo.articles import GOODS, OUTSIDE, Goods
from hs_audit.demo.drawing import draw_goods, draw_unknown

RIGHT, WRONG, OUTSIDE_SCOPE, BAD_CODE, UNKNOWN = "right", "wrong", "outside", "bad code", "unknown"

_SHARES = {WRONG: 0.06, OUTSIDE_SCOPE: 0.025, BAD_CODE: 0.03, UNKNOWN: 0.03}  # of all declarations; the rest is right
_TWO_PICTURES = 0.2  # of the cases
_SHOWN_TWICE = 8  # of so many wrong declarations, the pictures of one are another importer's, too
_FILES = 3

_LOOK_ALIKES = {
    "8708290000": "3926300000",
    "3926900000": "3926300000",
    "8302300000": "7326909000",
    "3926300000": "3926900000",
    "7326909000": "8302300000",
    "8708800000": "7326909000",
}
_DUTY_RATES = {"3926": 6.5, "8517": 0.0, "6403": 13.0, "0808": 45.0}  # percent by heading; others pay 8
_OFFICES = ("10", "16", "20", "30", "40")
_ORIGINS = ("CN", "CN", "CN", "DE", "JP", "JP", "US", "VN", "TH", "IN", "MX", "TW")

_FULL_WIDTH = {ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"}

# How people write 8708290000, and how often.
_WRITINGS: tuple[tuple[float, Callable[[str], str]], ...] = (
    (0.40, lambda code: code),
    (0.16, lambda code: f"{code[:4]}.{code[4:6]}-{code[6:]}"),
    (0.10, lambda code: f"{code[:4]}.{code[4:6]}.{code[6:]}"),
    (0.08, lambda code: f"{code[:4]}.{code[4:6]}.{code[6:8]}.{code[8:]}"),
    (0.06, lambda code: code[:6]),
    (0.05, lambda code: f"  {code} "),
    (0.05, lambda code: f"{code[:4]}.{code[4:6]}-{code[6:]}\u00a0"),
    (0.05, lambda code: f"제{code[:4]}.{code[4:6]}호"),
    (0.03, lambda code: code.translate(_FULL_WIDTH)),
    (0.02, lambda code: code.lstrip("0")),
)

# What nobody can read a code from: a spreadsheet ate a zero, a letter O stands for a zero, or nothing stands there.
_BAD_WRITINGS: tuple[Callable[[str], str | None], ...] = (
    lambda code: f"{code[:4]}.{code[4]}",
    lambda code: "999",
    lambda code: "n/a",
    lambda code: "",
    lambda code: None,
    lambda code: code.replace("0", "O"),
)

# What arrives instead of a picture, made from a good one.
_BROKEN: tuple[Callable[[bytes], bytes], ...] = (
    lambda picture: picture[: len(picture) // 3],
    lambda picture: b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n",
    lambda picture: b"",
    lambda picture: b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>",
)

_IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
_CASES = pa.schema([("case_id", pa.string()), ("hs_code", pa.string()), ("label", pa.string()), ("images", _IMAGES)])
_DECLARATIONS = pa.schema(
    [
        ("declaration_id", pa.string()),
        ("item_no", pa.int32()),
        ("declared_hs_code", pa.string()),
        ("images", _IMAGES),
        ("declared_on", pa.date32()),
        ("office", pa.string()),
        ("importer_id", pa.string()),
        ("origin", pa.string()),
        ("customs_value", pa.float64()),
        ("duty_rate", pa.float64()),
        ("net_mass_kg", pa.float64()),
    ]
)


@dataclass(frozen=True)
class DemoFiles:
    """What `write_demo` wrote.

    Attributes:
        cases: Parquet file of rulings to learn from.
        archive: glob of the night's Parquet files.
        truth: CSV file that says of each declaration what is true.
    """

    cases: Path
    archive: str
    truth: Path


@dataclass(frozen=True)
class _Declaration:
    """What is true of a declaration, before anything is written or drawn.

    Attributes:
        kind: right, wrong, outside, bad code or unknown.
        shown: the goods in its pictures; None where they show nothing known.
        declared: 10 digits, as they should be written.
    """

    kind: str
    shown: Goods | None
    declared: str

    @property
    def true_hs_code(self) -> str:
        """The code of the goods, empty where they are none of the kinds that the classifier learns."""
        return self.shown.hs_code if self.shown in GOODS else ""


def write_demo(
    folder: Path, run_date: date, *, seed: int = 7, declarations: int = 400, cases_per_kind: int = 150
) -> DemoFiles:
    """Draws and writes the files of the demo; takes about 30 s.

    Args:
        folder: where `cases.parquet`, `archive/RUN_DATE/part-*.parquet` and `truth.csv` are written; made if absent.
        run_date: the night.
        seed: the same one writes the same files.
        declarations: how many the night has, in all its files.
        cases_per_kind: how many rulings there are for each kind of goods.

    Returns:
        Where the files are.
    """
    night = folder / "archive" / run_date.isoformat()
    night.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(folder / "cases.parquet", str(night / "*.parquet"), folder / "truth.csv")
    for_cases, for_plan, for_rows = np.random.SeedSequence(seed).spawn(3)
    _write_parquet(files.cases, list(_cases(cases_per_kind, for_cases)), _CASES)
    plan = _plan(declarations, np.random.default_rng(for_plan))
    rows = list(_rows(plan, run_date, for_rows))
    _share_pictures(rows, plan)
    for number, part in enumerate(np.array_split(np.arange(len(rows)), _FILES)):
        _write_parquet(night / f"part-{number:05d}.parquet", [rows[row] for row in part], _DECLARATIONS)
    _write_truth(files.truth, rows, plan)
    return files


def _write_parquet(path: Path, rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> None:
    # A reader holds a whole data page: of pictures, 16 rows make a small one and pyarrow's 1,024 a huge one.
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path, write_batch_size=16, write_page_checksum=True)


def _write_truth(path: Path, rows: Sequence[Mapping[str, object]], plan: Sequence[_Declaration]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("declaration_id", "item_no", "kind", "true_hs_code"))
        for row, declaration in zip(rows, plan, strict=True):
            writer.writerow((row["declaration_id"], row["item_no"], declaration.kind, declaration.true_hs_code))


def _cases(per_kind: int, seeds: np.random.SeedSequence) -> Iterator[dict[str, object]]:
    kinds = [goods for goods in GOODS for _ in range(per_kind)]
    for number, (goods, seed) in enumerate(zip(kinds, seeds.spawn(len(kinds)), strict=True), start=1):
        rng = np.random.default_rng(seed)
        case_id = f"R{2015 + number % 5}-{number:05d}"
        pictures = _photographs(goods, 2 if rng.random() < _TWO_PICTURES else 1, rng)
        yield {"case_id": case_id, "hs_code": goods.hs_code, "label": goods.name, "images": _named(case_id, pictures)}


def _plan(declarations: int, rng: np.random.Generator) -> list[_Declaration]:
    """Which declaration is of which kind, in the order of the archive."""
    kinds = [kind for kind, share in _SHARES.items() for _ in range(round(share * declarations))]
    kinds += [RIGHT] * (declarations - len(kinds))
    return [_declaration(kind, rng) for kind in rng.permutation(kinds).tolist()]


def _declaration(kind: str, rng: np.random.Generator) -> _Declaration:
    goods = GOODS[rng.integers(len(GOODS))]
    if kind == WRONG:
        return _Declaration(kind, goods, _another_code(goods.hs_code, rng))
    if kind == UNKNOWN:
        return _Declaration(kind, None, goods.hs_code)
    if kind == OUTSIDE_SCOPE:
        named = OUTSIDE[rng.integers(len(OUTSIDE))]
        return _Declaration(kind, named if rng.random() < 0.5 else goods, named.hs_code)
    return _Declaration(kind, goods, goods.hs_code)


def _another_code(hs_code: str, rng: np.random.Generator) -> str:
    """A wrong code for goods of `hs_code`: that of their look-alikes half of the time."""
    others = [goods.hs_code for goods in GOODS if goods.hs_code != hs_code]
    return _LOOK_ALIKES[hs_code] if rng.random() < 0.5 else others[rng.integers(len(others))]


def _rows(plan: Sequence[_Declaration], run_date: date, seeds: np.random.SeedSequence) -> Iterator[dict[str, Any]]:
    """The rows of the archive, in the order of the plan."""
    numbers = np.random.default_rng(seeds).choice(900_000, len(plan), replace=False) + 100_000
    bad_codes = 0
    for declaration, number, seed in zip(plan, numbers.tolist(), seeds.spawn(len(plan)), strict=True):
        rng = np.random.default_rng(seed)
        written = _written(declaration, bad_codes, rng)
        bad_codes += declaration.kind == BAD_CODE
        declaration_id = f"{rng.integers(10_000, 99_999)}-{run_date:%y}-{number}M"
        yield {
            "declaration_id": declaration_id,
            "item_no": int(rng.choice((1, 2, 3, 4), p=(0.7, 0.15, 0.1, 0.05))),
            "declared_hs_code": written,
            "images": _named(declaration_id, _pictures(declaration, rng)),
            "declared_on": run_date,
            **_particulars(declaration, rng),
        }


def _share_pictures(rows: Sequence[dict[str, Any]], plan: Sequence[_Declaration]) -> None:
    """The pictures of some goods under a wrong code stand under the right one, too: a supplier's catalogue."""
    wrong = [(row, each) for row, each in zip(rows, plan, strict=True) if each.kind == WRONG][::_SHOWN_TWICE]
    others = [(row, each) for row, each in zip(rows, plan, strict=True) if each.kind == RIGHT and row["images"]]
    for row, declaration in wrong:
        for number, (other, right) in enumerate(others):
            if right.shown == declaration.shown and other["importer_id"] != row["importer_id"]:
                other["images"] = _named(other["declaration_id"], [image["bytes"] for image in row["images"]])
                del others[number]
                break


def _written(declaration: _Declaration, bad_codes: int, rng: np.random.Generator) -> str | None:
    """The declared code as somebody wrote it; bad codes take turns."""
    if declaration.kind == BAD_CODE:
        return _BAD_WRITINGS[bad_codes % len(_BAD_WRITINGS)](declaration.declared)
    write = _WRITINGS[rng.choice(len(_WRITINGS), p=[share for share, _ in _WRITINGS])][1]
    return write(declaration.declared)


def _particulars(declaration: _Declaration, rng: np.random.Generator) -> dict[str, object]:
    """What the audit passes through; the mass follows the value."""
    value = round(float(rng.lognormal(8.5, 1.3)), 2)
    agreed_rate = rng.random() < 0.25
    return {
        "office": _OFFICES[rng.integers(len(_OFFICES))],
        "importer_id": f"IMP{rng.integers(1, 90):04d}",
        "origin": _ORIGINS[rng.integers(len(_ORIGINS))],
        "customs_value": value,
        "duty_rate": 0.0 if agreed_rate else _DUTY_RATES.get(declaration.declared[:4], 8.0),
        "net_mass_kg": round(value / float(rng.uniform(4, 25)) + 0.1, 1),
    }


def _pictures(declaration: _Declaration, rng: np.random.Generator) -> list[bytes]:
    """The pictures of a declaration; a wrong one keeps a good picture, or nobody could find it."""
    pictures = _photographs(declaration.shown, int(rng.choice((1, 2, 3, 4), p=(0.55, 0.3, 0.1, 0.05))), rng)
    fate = rng.random()
    if declaration.kind in (RIGHT, WRONG) and fate < 0.04:
        pictures.insert(int(rng.integers(len(pictures) + 1)), _broken(pictures[0], rng))
    elif declaration.kind == RIGHT and fate < 0.07:
        return [_broken(picture, rng) for picture in pictures]
    elif declaration.kind == RIGHT and fate < 0.11:
        return []
    return pictures


def _photographs(shown: Goods | None, number: int, rng: np.random.Generator) -> list[bytes]:
    """So many photographs of one article, or of nothing known."""
    if shown is None:
        return [draw_unknown(rng) for _ in range(number)]
    looks = int(rng.integers(2**32))
    return [draw_goods(shown, rng, looks=looks) for _ in range(number)]


def _broken(picture: bytes, rng: np.random.Generator) -> bytes:
    return _BROKEN[rng.integers(len(_BROKEN))](picture)


def _named(name: str, pictures: Sequence[bytes]) -> list[dict[str, object]]:
    """Pictures as the archive holds them: its portal calls every upload .jpg, whatever it is."""
    return [{"bytes": picture, "path": f"{name}-{number}.jpg"} for number, picture in enumerate(pictures, start=1)]
