"""Data sets: the paper's counts, and nothing alike on both sides."""

import io
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs_audit.cli import main
from model.cases.data_sets import PRESETS
from tests.rulings import Ruling, noise, write_cases

CHAPTER_87 = {"8708290000": 1281, "8708999000": 394, "8708400000": 283, "8708309000": 131, "8799999999": 192}
OTHERS = {"8711900000": 200, "8714990000": 100}
OUTSIDE = {"3926900000": 160, "8302300000": 155, "3926300000": 150, "7326909000": 150, "9503001000": 40}


@pytest.fixture(scope="module")
def rulings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cases in the proportions of the paper; the second pictures are the same everywhere and must not count."""
    counts = CHAPTER_87 | OTHERS | OUTSIDE
    codes = [code for code, count in counts.items() for _ in range(count)]
    cases = [(code, [noise(number, side=12), noise(0, side=12)]) for number, code in enumerate(codes, start=1)]
    return write_cases(tmp_path_factory.mktemp("rulings") / "cases.parquet", cases)


def dataset(cases: Path, output: Path, *flags: str) -> dict[str, list[dict]]:
    assert main(["dataset", f"--cases={cases}", f"--output={output}", "--size=24", *flags]) == 0
    return {side: pq.read_table(output / f"{side}.parquet").to_pylist() for side in ("train", "test")}


def counts(rows: list[dict]) -> dict[str, tuple[int, int]]:
    originals = Counter(row["hs_code"] for row in rows if not row["generated"])
    return {code: (originals[code], total) for code, total in Counter(row["hs_code"] for row in rows).items()}


PAPER = {
    "paper-1": {
        "8708290000": ((100, 600), (50, 50)),
        "3926900000": ((100, 600), (50, 50)),
        "8302300000": ((100, 600), (50, 50)),
        "3926300000": ((100, 600), (50, 50)),
        "7326909000": ((100, 600), (50, 50)),
    },
    "paper-2": {
        "8708290000": ((897, 897), (384, 384)),
        "8708999000": ((276, 276), (118, 118)),
        "8708400000": ((198, 198), (85, 85)),
        "8708309000": ((92, 92), (39, 39)),
        "87*": ((342, 342), (150, 150)),
    },
    "paper-3": {
        "8708290000": ((600, 600), (250, 250)),
        "8708999000": ((245, 600), (105, 250)),
        "8708400000": ((180, 600), (80, 250)),
        "8708309000": ((75, 600), (26, 250)),
        "87*": ((320, 600), (135, 250)),
    },
}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_has_every_number_of_the_paper(rulings, tmp_path, preset):
    sides = dataset(rulings, tmp_path, f"--preset={preset}")

    train, test = counts(sides["train"]), counts(sides["test"])
    assert {code: (train[code], test[code]) for code in train} == PAPER[preset]
    card = json.loads((tmp_path / "data_card.json").read_text())
    assert {
        code: tuple((each[side]["originals"], sum(each[side].values())) for side in ("train", "test"))
        for code, each in card["classes"].items()
    } == PAPER[preset]
    sources = [{row["source_case"] for row in sides[side]} for side in ("train", "test")]
    assert not sources[0] & sources[1]
    originals = {row["case_id"] for side in sides.values() for row in side if not row["generated"]}
    assert {row["source_case"] for side in sides.values() for row in side} == originals


def alike(data: bytes) -> bytes:
    """The same photo, saved again smaller and as a JPEG."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((20, 20), Image.Resampling.BILINEAR).save(out, "JPEG", quality=80)
    return out.getvalue()


def test_equal_and_nearly_equal_pictures_stay_on_one_side(tmp_path):
    cases: list[Ruling] = []
    for number in range(30):
        code = ("870829", "870899")[number % 2]
        cases += [(code, [noise(number)]), (code, [noise(number)]), (code, [alike(noise(number))])]
    path = write_cases(tmp_path / "cases.parquet", cases)

    sides = dataset(path, tmp_path / "out")

    group = {f"case-{number}": number // 3 for number in range(len(cases))}
    groups = [{group[row["case_id"]] for row in sides[side]} for side in ("train", "test")]
    assert groups[0] | groups[1] == set(range(30))
    assert not groups[0] & groups[1]


def test_the_same_seed_draws_the_same_data_set(tmp_path):
    path = write_cases(tmp_path / "cases.parquet", [("870829", [noise(number)]) for number in range(40)])

    flags = ("--train=20", "--test=10", "--variants=1")
    first = dataset(path, tmp_path / "one", *flags, "--seed=3")
    again = dataset(path, tmp_path / "two", *flags, "--seed=3")
    other = dataset(path, tmp_path / "three", *flags, "--seed=4")

    assert first == again
    assert first != other


def test_classes_are_chosen_by_their_pictures_and_the_rest_becomes_one(tmp_path):
    amounts = {"870829": 20, "870899": 15, "870840": 5, "871200": 5, "392690": 50}
    codes = [code for code, amount in amounts.items() for _ in range(amount)]
    path = write_cases(tmp_path / "cases.parquet", [(code, [noise(n)]) for n, code in enumerate(codes)])

    sides = dataset(path, tmp_path / "out", "--chapter=87", "--codes=2", "--rest", "--fill=30")

    assert counts(sides["train"]) == {"870829": (14, 30), "870899": (10, 30), "87*": (7, 30)}
    assert counts(sides["test"]) == {"870829": (6, 6), "870899": (5, 5), "87*": (3, 3)}


def test_harmful_pictures_can_be_left_out(tmp_path):
    path = write_cases(tmp_path / "cases.parquet", [("870829", [noise(number)]) for number in range(10)])
    (tmp_path / "harmful.txt").write_text("case-3\ncase-7\n")

    sides = dataset(path, tmp_path / "out", f"--exclude={tmp_path / 'harmful.txt'}")

    assert {row["case_id"] for side in sides.values() for row in side} == {f"case-{n}" for n in range(10)} - {
        "case-3",
        "case-7",
    }


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--preset=paper-2"], "897 pictures were asked for to learn from and 384 to measure on, there are 0"),
        (["--train=40", "--test=10"], "40 pictures were asked for to learn from and 10 to measure on, there are 20"),
        (["--codes=7"], "7 codes were asked for, there are 1"),
        (["--rest"], "--rest needs --chapter"),
        (["--split=1.5"], "--split must be a number, above 0 and below 1, got '1.5'"),
    ],
)  # fmt: skip
def test_more_than_there_is_is_one_sentence_and_leaves_nothing(tmp_path, capsys, flags, sentence):
    path = write_cases(tmp_path / "cases.parquet", [("870829", [noise(number)]) for number in range(20)])

    code = main(["dataset", f"--cases={path}", f"--output={tmp_path / 'out'}", *flags])

    assert code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "out").glob("*.parquet"))
