"""Data sets from cases: which picture goes to which side, and what is generated.

    cases ──► read, hash ──► groups of alike ──► sides, by exact counts ──► train.parquet, test.parquet, data card

All pictures of a case, equal files and nearly equal pictures stay on one side; generated pictures stay with their
originals. The three data sets of Lee Dongju, Kim Gunwoo and Choi Keunho (2020) are presets.
"""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from hs.pictures.looks import perceptual_hash, thumbnail
from model.cases.groups import Grouping, Pictures, group_cases
from model.cases.reading import Cases, Unreadable, decode_case
from model.cases.variants import variant

Side = Literal["train", "test"]
Counts = dict[str, dict[str, dict[str, int]]]
SCHEMA = pa.schema(
    [
        ("case_id", pa.string()),
        ("hs_code", pa.string()),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("source_case", pa.string()),
        ("generated", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Amount:
    """Pictures of one class on one side.

    Attributes:
        originals: how many pictures of cases.
        total: how many with the generated ones.
    """

    originals: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.originals <= self.total or (self.total and not self.originals):
            raise UsageError(f"{self.total} pictures cannot be made of {self.originals} originals")


@dataclass(frozen=True)
class Plan:
    """How much of which class a data set has.

    Attributes:
        name: of the data set.
        amounts: class → (train, test); a class is a code, or a prefix with `*` for its rest.
        all_pictures: whether all pictures of a case count, or the first alone.
    """

    name: str
    amounts: dict[str, tuple[Amount, Amount]]
    all_pictures: bool = False


def _exactly(train: tuple[int, int], test: tuple[int, int]) -> tuple[Amount, Amount]:
    return Amount(*train), Amount(*test)


_CHAPTER_87 = ("8708290000", "8708999000", "8708400000", "8708309000", "87*")
_INVENTED = {"8799999999": "87*"}  # what the paper calls the rest of chapter 87
PRESETS = {
    "paper-1": Plan(
        "paper-1",
        {
            code: _exactly((100, 600), (50, 50))
            for code in ("8708290000", "3926900000", "8302300000", "3926300000", "7326909000")
        },
    ),
    "paper-2": Plan(
        "paper-2",
        {
            code: _exactly((train, train), (test, test))
            for code, train, test in zip(_CHAPTER_87, (897, 276, 198, 92, 342), (384, 118, 85, 39, 150), strict=True)
        },
    ),
    "paper-3": Plan(
        "paper-3",
        {
            code: _exactly((train, 600), (test, 250))
            for code, train, test in zip(_CHAPTER_87, (600, 245, 180, 75, 320), (250, 105, 80, 26, 135), strict=True)
        },
    ),
}


@dataclass(frozen=True)
class Choice:
    """Which classes to take where no preset says so, and how to split them.

    Attributes:
        codes: how many, those with the most pictures; None is all.
        chapter: digits that they begin with; None is any.
        rest: whether the other codes of the chapter become one class, `87*`.
        digits: what codes are cut to; None leaves them.
        split: share of the pictures to learn from.
        train: originals to learn from, of each class; None goes by the split.
        test: originals to measure on, of each class; None goes by the split.
        variants: generated for each original to learn from.
        fill: pictures to learn from, of each class, reached by generating; None generates none but the variants.
    """

    codes: int | None = None
    chapter: str | None = None
    rest: bool = False
    digits: int | None = None
    split: float = 0.7
    train: int | None = None
    test: int | None = None
    variants: int = 0
    fill: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.split < 1:
            raise UsageError(f"--split must be in (0, 1), got {self.split}")
        if self.rest and not self.chapter:
            raise UsageError("--rest needs --chapter")


@dataclass(frozen=True)
class Looked:
    """What was seen of the cases that can be used.

    Attributes:
        numbers: positions of the cases.
        codes: of each.
        pictures: how many readable ones each has.
        groups: int [N], what must stay on one side.
        unreadable: pictures left out.
        grouping: how the groups came about.
    """

    numbers: np.ndarray
    codes: tuple[str, ...]
    pictures: np.ndarray
    groups: np.ndarray
    unreadable: tuple[Unreadable, ...]
    grouping: Grouping


def look(cases: Cases, excluded: frozenset[str], advance: Callable[[int], None]) -> Looked:
    """Reads all cases once: what is readable, and what is alike.

    Args:
        cases: to look at.
        excluded: ids of cases to leave out.
        advance: is told how many cases were done.
    """
    size = PictureSize(64, 64)  # pixels are for the hash alone, which looks at 32 x 32
    numbers, codes, counts = [], [], []
    of_picture, case_ids, its_codes, digests, hashes, thumbnails = [], [], [], [], [], []
    unreadable: list[Unreadable] = []
    for number, case in enumerate(cases):
        advance(1)
        if case.case_id in excluded:
            continue
        readable, left_out = decode_case(case, number, size, cases.all_pictures)
        unreadable += left_out
        if not readable:
            continue
        numbers.append(number)
        codes.append(case.hs_code)
        counts.append(len(readable))
        for picture in readable:
            of_picture.append(len(numbers) - 1)
            case_ids.append(case.case_id)
            its_codes.append(case.hs_code)
            digests.append(picture.digest)
            hashes.append(perceptual_hash(picture.pixels))
            thumbnails.append(thumbnail(picture.pixels))
    if not numbers:
        raise UsageError(f"{cases.path} has no case with a readable picture")
    facts = (np.array(of_picture), case_ids, its_codes, digests, np.array(hashes, np.uint64), np.stack(thumbnails))
    grouping = group_cases(Pictures(*facts))
    groups = np.empty(len(numbers), np.int64)
    groups[of_picture] = grouping.groups
    return Looked(np.array(numbers), tuple(codes), np.array(counts), groups, tuple(unreadable), grouping)


def plan_for(looked: Looked, choice: Choice) -> tuple[Plan, dict[str, str]]:
    """A plan by parameters, and the class of each code that is in it.

    Raises:
        UsageError: if there are not enough codes or pictures.
    """
    pictures: Counter[str] = Counter()
    class_of: dict[str, str] = {}
    for code, count in zip(looked.codes, looked.pictures.tolist(), strict=True):
        if choice.chapter and not code.startswith(choice.chapter):
            continue
        class_of[code] = code if choice.digits is None or code.endswith("*") else code[: choice.digits]
        pictures[class_of[code]] += count
    if len(pictures) < (choice.codes or 1):
        raise UsageError(f"{choice.codes or 1} codes were asked for, there are {len(pictures)}")
    chosen = [code for code, _ in sorted(pictures.items(), key=lambda pair: (-pair[1], pair[0]))[: choice.codes]]
    if choice.rest:
        rest = f"{choice.chapter}*"
        class_of = {code: name if name in chosen else rest for code, name in class_of.items()}
        pictures[rest] += sum(count for name, count in pictures.items() if name not in (*chosen, rest))
        chosen.append(rest)
    amounts = {name: _amounts(pictures[name], choice) for name in chosen}
    return Plan("by parameters", amounts, True), {code: name for code, name in class_of.items() if name in amounts}


def _amounts(pictures: int, choice: Choice) -> tuple[Amount, Amount]:
    train, test = choice.train, choice.test
    if test is None:
        test = round((1 - choice.split) * (pictures if train is None else train / choice.split))
    if train is None:
        train = pictures - test
    total = max(train * (1 + choice.variants), choice.fill or 0)
    return Amount(train, total), Amount(test, test)


def classes_of_preset(looked: Looked, plan: Plan) -> dict[str, str]:
    """Code → class of a preset; the rest of a prefix takes what no other class does."""
    rests = [name for name in plan.amounts if name.endswith("*")]

    def of(code: str) -> str | None:
        written = _INVENTED.get(code, code)
        if written in plan.amounts:
            return written
        return next((rest for rest in rests if code.startswith(rest.rstrip("*"))), None)

    found = {code: of(code) for code in set(looked.codes)}
    return {code: name for code, name in found.items() if name}


@dataclass
class Sides:
    """Which cases go where.

    Attributes:
        of_case: position in `Looked` → (side, class).
        left_over: classes of which cases were left over.
    """

    of_case: dict[int, tuple[Side, str]] = field(default_factory=dict)
    left_over: Counter[str] = field(default_factory=Counter)


def choose_sides(looked: Looked, plan: Plan, class_of: dict[str, str], seed: int, exact: bool) -> Sides:
    """Draws cases at random for each side until the counts are met; groups of alike cases are never parted.

    Args:
        looked: the cases.
        plan: how many originals each side wants.
        class_of: code → class.
        seed: of the draw.
        exact: whether the counts are met or refused; a split is met as nearly as whole groups allow.

    Raises:
        UsageError: if there are too few, with how many there are.
    """
    random = np.random.default_rng(seed)
    names = [class_of.get(code) for code in looked.codes]
    sides = Sides()
    side_of_group: dict[int, Side] = {}
    for name, (train, test) in plan.amounts.items():
        mine = [place for place, its in enumerate(names) if its == name]
        wanted: dict[Side, int] = {"test": test.originals, "train": train.originals}
        groups: dict[int, list[int]] = {}
        for place in mine:
            groups.setdefault(int(looked.groups[place]), []).append(place)
        order = [list(groups)[index] for index in random.permutation(len(groups))]
        order.sort(key=lambda group: group not in side_of_group)  # what another class has drawn already comes first
        for group in order:
            pictures = int(looked.pictures[groups[group]].sum())
            allowed: list[Side] = [side_of_group[group]] if group in side_of_group else ["test", "train"]
            # A group that is larger than what either side still wants is learned from.
            side = next((side for side in allowed if pictures <= wanted[side]), None if exact else allowed[-1])
            if side is None:
                sides.left_over[name] += len(groups[group])
                continue
            side_of_group[group] = side
            wanted[side] -= pictures
            for place in groups[group]:
                sides.of_case[place] = (side, name)
        if exact and any(wanted.values()):
            raise UsageError(
                f"{name}: {train.originals} pictures were asked for to learn from and {test.originals} to measure on, "
                f"there are {int(looked.pictures[mine].sum()) if mine else 0} that can be used"
            )
    return sides


def write(
    folder: Path, cases: Cases, looked: Looked, plan: Plan, sides: Sides, side_px: int, seed: int,
    advance: Callable[[int], None],
) -> Counts:  # fmt: skip
    """Writes train.parquet and test.parquet; each appears only when it is whole.

    Args:
        folder: where to.
        cases: the same that were looked at.
        looked: what was seen of them.
        plan: how much of which class.
        sides: which case goes where.
        side_px: of generated pictures.
        seed: of the variants.
        advance: is told how many cases were done.

    Returns:
        Class → side → originals and generated pictures.
    """
    counts = {name: {side: {"originals": 0, "generated": 0} for side in ("train", "test")} for name in plan.amounts}
    for place, (side, name) in sides.of_case.items():
        counts[name][side]["originals"] += int(looked.pictures[place])
    copies = _copies(plan, looked, sides)
    place_of = {int(number): place for place, number in enumerate(looked.numbers)}
    writers = {side: _Writer(folder / f"{side}.parquet") for side in ("train", "test")}
    for number, case in enumerate(cases):
        advance(1)
        place = place_of.get(number, -1)
        if place not in sides.of_case:
            continue
        side, name = sides.of_case[place]
        readable, _ = decode_case(case, number, PictureSize(side_px, side_px), cases.all_pictures)
        originals = [(picture.name, picture.encoded) for picture in readable]
        writers[side].add(case.case_id, name, originals, case.case_id, False)
        # Of this case alone: its variants are the same whatever else is drawn.
        random = np.random.default_rng([seed, number])
        for copy in range(copies[place]):
            made = _jpeg(variant(readable[copy % len(readable)].pixels, random))
            case_id = f"{case.case_id}+{copy + 1}"
            writers[side].add(case_id, name, [(f"{name}_{case_id}.jpg", made)], case.case_id, True)
            counts[name][side]["generated"] += 1
    for writer in writers.values():
        writer.close()
    return counts


def _copies(plan: Plan, looked: Looked, sides: Sides) -> dict[int, int]:
    """How many pictures are generated from each case, as evenly as can be."""
    copies = dict.fromkeys(sides.of_case, 0)
    for name, amounts in plan.amounts.items():
        for side, amount in zip(("train", "test"), amounts, strict=True):
            mine = [place for place, drawn in sides.of_case.items() if drawn == (side, name)]
            originals = int(looked.pictures[mine].sum()) if mine else 0
            missing = amount.total - amount.originals if originals else 0
            for turn in range(missing):
                copies[mine[turn % len(mine)]] += 1
    return copies


def _jpeg(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


class _Writer:
    """Rows of cases → a Parquet file in small row groups, renamed to its place at the end."""

    _ROWS = 64

    def __init__(self, path: Path) -> None:
        self._path, self._unfinished = path, path.with_suffix(".unfinished")
        # Small pages: a reader's memory grows with the largest.
        self._file = pq.ParquetWriter(self._unfinished, SCHEMA, write_batch_size=16)
        self._rows: list[dict[str, object]] = []

    def add(
        self, case_id: str, hs_code: str, images: list[tuple[str, bytes]], source_case: str, generated: bool
    ) -> None:
        pictures = [{"bytes": encoded, "path": name} for name, encoded in images]
        self._rows.append(dict(zip(SCHEMA.names, (case_id, hs_code, pictures, source_case, generated), strict=True)))
        if len(self._rows) == self._ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
            self._rows.clear()

    def close(self) -> None:
        self._flush()
        self._file.close()
        self._unfinished.replace(self._path)
