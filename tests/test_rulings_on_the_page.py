"""The pictures of rulings on the page: found by id wherever the cases lie, shared, small, from hostile files none."""

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs.pictures.decoding import PictureLimits
from hs.precedents import Precedent
from hs.storage.stores import ANYWHERE
from pipeline.report.rulings import rulings_of
from tests.archives import BLUE, IMAGES, RED, encoded, picture, row
from tests.hostile import jpeg_of_scans, png_of_chunks
from tests.report_pages import Night, Page
from tests.rulings import noise, write_cases

RULINGS = tuple(
    Precedent(f"case-{number}", code, 0.9 - number / 10) for number, code in enumerate((BLUE, BLUE, BLUE, RED, RED))
)
ROOM = 1_000_000


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Five rulings on blue and red goods."""
    drawn = [(one.hs_code, [picture(one.hs_code, size=(400, 300), shade=n)]) for n, one in enumerate(RULINGS)]
    return write_cases(tmp_path / "cases.parquet", drawn)


def page_of(folder: Path, cases: Path | None, findings: int = 1) -> Page:
    rows = [row(f"KR-{number}", RED, picture(BLUE)) for number in range(findings)]
    return Night(folder / "night").audit(*rows, rulings=RULINGS, cases=cases).page()


def shown(cases: Path | str, *wanted: str) -> list[str]:
    return sorted(rulings_of(wanted, str(cases), ANYWHERE, PictureLimits(), ROOM))


def test_a_ruling_has_its_picture_where_the_cases_are_known(tmp_path, cases):
    page = page_of(tmp_path, cases)

    (entry,) = page.entries
    assert [one["case_id"] for one in entry["precedents"]] == [one.case_id for one in RULINGS]
    for ruling in entry["precedents"]:
        shown = page.rulings[ruling["picture"]]
        content = Image.open(io.BytesIO(base64.b64decode(shown["uri"].partition(",")[2])))
        assert (content.size, (shown["width"], shown["height"])) == ((141, 106), (141, 106))
        red, _, blue = content.getpixel((70, 50))
        assert (blue > red) == (ruling["hs_code"] == BLUE)


def test_without_the_cases_the_ids_stand_alone(tmp_path):
    page = page_of(tmp_path, None)

    assert [one["picture"] for one in page.entries[0]["precedents"]] == [None] * 5
    assert page.rulings == {}


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and nothing else", b"hs_code,images"])
def test_cases_that_cannot_be_read_cost_their_pictures_and_no_page(tmp_path, caplog, content):
    cases = tmp_path / "cases.parquet"
    if content is not None:
        cases.write_bytes(content)

    page = page_of(tmp_path, cases)

    assert page.rulings == {}
    assert "the page has no pictures of 5 rulings" in caplog.text


def test_a_picture_that_several_findings_and_rulings_have_stands_on_the_page_once(tmp_path):
    same = picture(BLUE, size=(200, 100))
    cases = write_cases(tmp_path / "cases.parquet", [(one.hs_code, [same]) for one in RULINGS])

    page = page_of(tmp_path, cases, findings=4)

    assert [[one["picture"] for one in entry["precedents"]] for entry in page.entries] == [[1] * 5] * 4
    assert [[one["picture"] for one in entry["pictures"]] for entry in page.entries] == [[0]] * 4
    assert [name for name in page.blocks if name.startswith("picture-")] == ["picture-0", "picture-1"]


def test_rulings_with_hostile_files_have_the_first_picture_that_can_be_read(tmp_path):
    hostile = [b"", b"%PDF-1.4", jpeg_of_scans(500), png_of_chunks()]
    cases = write_cases(tmp_path / "cases.parquet", [(BLUE, hostile), (RED, [*hostile[:2], picture(RED)])])

    assert shown(cases, "case-0", "case-1") == ["case-1"]


def test_cases_are_found_by_the_ids_that_training_gave_them(tmp_path):
    numbered = written(tmp_path / "numbered.parquet", None, 70)
    whole_numbers = written(tmp_path / "whole.parquet", list(range(7)), 7)
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "a.parquet", None, 3)
    written(folder / "b.parquet", ["08\u202e10", "x" * 200, None], 3)

    assert shown(numbered, "0", "69", "70") == ["0", "69"]
    assert shown(whole_numbers, "6", "7") == ["6"]
    assert shown(folder, "a.parquet:2", "08\\u202e10", "x" * 99 + "…", "b.parquet:2", "2") == sorted(
        ["a.parquet:2", "08\\u202e10", "x" * 99 + "…", "b.parquet:2"]
    )


def written(path: Path, ids: Sequence | None, rows: int) -> Path:
    """Cases in row groups of four, without ids where there are none."""
    images = pa.array([[{"bytes": noise(number), "path": "a.png"}] for number in range(rows)], IMAGES)
    columns = {"hs_code": [BLUE] * rows, "images": images} | ({} if ids is None else {"case_id": ids})
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


def test_cases_on_object_storage_are_read_there(tmp_path, cases, s3, by_the_environment):
    place = s3.folder("cases/cases.parquet")
    ANYWHERE.write_bytes(place, cases.read_bytes())

    assert shown(str(place), "case-4") == ["case-4"]


def test_pictures_of_findings_and_rulings_share_the_room_of_the_page_however_busy_they_are(tmp_path):
    cases = write_cases(tmp_path / "cases.parquet", [(BLUE, [busy(number, 200)]) for number in range(100)])
    rows = [row(f"KR-{number}", RED, picture(BLUE), *[busy(number, 700)] * 3) for number in range(20)]
    night = Night(tmp_path / "night").audit(*rows, cases=cases)
    listed = pq.ParquetFile(night.published / "worklist.parquet").read()
    nearest = [[asdict(Precedent(f"case-{5 * n + m}", BLUE, 0.5)) for m in range(5)] for n in range(20)]
    place = listed.column_names.index("precedents")
    column = pa.array(nearest, listed.schema.field(place).type)
    pq.write_table(listed.set_column(place, listed.schema.field(place), column), night.published / "worklist.parquet")

    page = night.page()

    rulings, pictures = (sum(len(one["uri"]) for one in of) for of in (page.rulings.values(), page.pictures))
    assert len(page.rulings) == 100
    assert rulings > 300_000
    assert rulings + pictures < 1_350_000  # ten times as many: 13.5 MB


def busy(seed: int, side: int) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)), "JPEG")
