import csv
import glob
import hashlib
import io
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs.declared_codes import parse_declared_code
from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs_audit.demo.articles import GOODS
from hs_audit.demo.drawing import draw_goods, draw_unknown
from hs_audit.demo.night import DemoFiles, write_demo
from pipeline.archive.page_sizes import page_sizes

RUN_DATE = date(2026, 11, 21)
DECLARATIONS = 160
KNOWN = {goods.hs_code for goods in GOODS}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("demo"), RUN_DATE, declarations=DECLARATIONS, cases_per_kind=3)


def night(demo: DemoFiles) -> list[dict]:
    return [row for path in sorted(glob.glob(demo.archive)) for row in pq.ParquetFile(path).read().to_pylist()]


def truth(demo: DemoFiles) -> dict[str, dict[str, str]]:
    with open(demo.truth, newline="", encoding="utf-8") as stream:
        return {line["declaration_id"]: line for line in csv.DictReader(stream)}


def of_kind(demo: DemoFiles, kind: str) -> list[tuple[dict, str]]:
    """The declarations of a kind, each with its true code."""
    known = truth(demo)
    lines = [(row, known[row["declaration_id"]]) for row in night(demo)]
    return [(row, line["true_hs_code"]) for row, line in lines if line["kind"] == kind]


def bytes_of(row: dict) -> tuple[bytes, ...]:
    return tuple(image["bytes"] for image in row["images"])


def statuses(row: dict) -> list[PictureStatus]:
    size, limits = PictureSize(32, 32, "bilinear"), PictureLimits()
    return [decode(image["bytes"], size, limits).status for image in row["images"]]


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_files_and_another_one_others(tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_demo(tmp_path / name, RUN_DATE, seed=seed, declarations=12, cases_per_kind=1)

    assert digests(tmp_path / "first") == digests(tmp_path / "again")
    assert not set(digests(tmp_path / "first").values()) & set(digests(tmp_path / "other").values())


def test_every_kind_of_goods_has_its_cases(demo):
    cases = pq.ParquetFile(demo.cases).read().to_pylist()

    assert Counter(case["hs_code"] for case in cases) == dict.fromkeys(KNOWN, 3)
    assert len({case["case_id"] for case in cases}) == len(cases)
    assert {status for case in cases for status in statuses(case)} == {PictureStatus.OK}


def test_the_night_has_as_many_declarations_as_asked_for_in_three_files(demo):
    names = [Path(path).name for path in sorted(glob.glob(demo.archive))]

    rows = night(demo)

    assert names == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert len(rows) == DECLARATIONS
    assert {row["declared_on"] for row in rows} == {RUN_DATE}


def test_the_pages_of_the_archive_are_small_and_have_checksums(demo):
    pages = [page for path in glob.glob(demo.archive) for page in page_sizes(path, "images")]

    assert max(page.uncompressed_bytes for page in pages) < 3_000_000
    assert all(page.has_checksum for page in pages)


def test_the_truth_names_every_item_of_a_declaration_once(demo):
    declared = [(row["declaration_id"], str(row["item_no"])) for row in night(demo)]

    assert declared == [(line["declaration_id"], line["item_no"]) for line in truth(demo).values()]
    assert len(declared) == len(set(declared))


def test_six_per_cent_are_declared_under_a_wrong_code(demo):
    kinds = Counter(line["kind"] for line in truth(demo).values())

    assert kinds == {"right": 136, "wrong": 10, "outside": 4, "bad code": 5, "unknown": 5}


@pytest.mark.parametrize("kind", ["right", "wrong", "outside", "unknown"])
def test_codes_are_written_in_many_ways_and_all_can_be_read(demo, kind):
    written = [row["declared_hs_code"] for row, _ in of_kind(demo, kind)]

    assert all(parse_declared_code(code).code for code in written)


def test_right_declarations_have_the_code_of_their_goods_and_every_kind_of_goods_occurs(demo):
    lines = of_kind(demo, "right")

    assert all(code.startswith(parse_declared_code(row["declared_hs_code"]).code.digits) for row, code in lines)
    assert {code for _, code in lines} == KNOWN


def test_wrong_declarations_have_the_code_of_other_goods(demo):
    for row, code in of_kind(demo, "wrong"):
        declared = parse_declared_code(row["declared_hs_code"]).code.digits

        assert declared[:6] in {known[:6] for known in KNOWN - {code}}


def test_wrong_declarations_keep_a_picture_that_can_be_read(demo):
    assert all(PictureStatus.OK in statuses(row) for row, _ in of_kind(demo, "wrong"))


def test_some_pictures_of_goods_under_a_wrong_code_are_shown_under_the_right_one_too(demo):
    right = {bytes_of(row): row for row, _ in of_kind(demo, "right")}
    shared = [(row, right[bytes_of(row)]) for row, _ in of_kind(demo, "wrong") if bytes_of(row) in right]

    assert len(shared) == 2
    for wrong, other in shared:
        assert wrong["importer_id"] != other["importer_id"]
        assert {image["path"] for image in wrong["images"]}.isdisjoint(image["path"] for image in other["images"])


def test_outside_declarations_share_no_chapter_with_a_known_code(demo):
    declared = [parse_declared_code(row["declared_hs_code"]).code for row, _ in of_kind(demo, "outside")]

    assert not {code.digits[:2] for code in declared} & {known[:2] for known in KNOWN}


def test_bad_codes_take_turns_and_none_can_be_read(demo):
    written = [row["declared_hs_code"] for row, _ in of_kind(demo, "bad code")]

    assert {None, "", "n/a", "999"} < set(written)
    assert not any(parse_declared_code(code).code for code in written)


def test_of_unknown_goods_the_truth_names_no_code(demo):
    lines = of_kind(demo, "unknown")

    assert {code for _, code in lines} == {""}
    assert {parse_declared_code(row["declared_hs_code"]).code.digits[:6] for row, _ in lines} <= {k[:6] for k in KNOWN}


def test_the_night_has_declarations_without_pictures_with_broken_ones_and_with_both(demo):
    albums = [statuses(row) for row in night(demo)]

    assert [] in albums
    assert any(album and PictureStatus.OK not in album for album in albums)
    assert any(PictureStatus.OK in album and set(album) != {PictureStatus.OK} for album in albums)
    assert max(len(album) for album in albums) >= 3


@pytest.mark.parametrize("goods", GOODS, ids=lambda goods: goods.hs_code)
def test_goods_are_drawn_as_pictures_of_moderate_size(goods):
    pictures = [Image.open(io.BytesIO(draw_goods(goods, np.random.default_rng(seed)))) for seed in range(4)]

    for picture in pictures:
        picture.load()
        assert picture.format in {"JPEG", "PNG", "WEBP"}
        assert 240 <= min(picture.size) <= max(picture.size) <= 400


def test_one_article_can_be_photographed_twice():
    first, second = (draw_goods(GOODS[0], np.random.default_rng(seed), looks=5) for seed in (1, 2))

    assert first != second


def test_unknown_things_are_drawn_as_pictures_too():
    pictures = [draw_unknown(np.random.default_rng(seed)) for seed in range(12)]

    assert len({hashlib.sha256(picture).digest() for picture in pictures}) == 12
    assert all(Image.open(io.BytesIO(picture)).size for picture in pictures)
