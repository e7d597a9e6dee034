"""The same picture under other importers' names and under other codes, on nights against a real server."""

import hashlib
import io
import json
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs.errors import NotPublished
from hs.pictures.looks import perceptual_hash
from hs.pictures.near import SAME_WITHIN
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE
from hs_audit.cli import main
from pipeline.findings.hash_store import HashStore, StoredNight
from pipeline.findings.partners import name_partners
from pipeline.findings.uses import Known
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.report_pages import Page

RUN_DATE = "2026-11-21"


def photo(seed: int) -> Image.Image:
    """A picture that no other one looks like."""
    soft = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(soft).resize((240, 180), Image.Resampling.BICUBIC)


def saved(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


PHOTO = saved(photo(1))
AGAIN = saved(photo(1).resize((120, 90)), quality=60)
ROWS = [
    row("mine", RED, PHOTO, importer_id="A"),
    row("his", RED, PHOTO, importer_id="B"),
    row("hers", GREEN, AGAIN, importer_id="C"),
    row("other goods", BLUE, saved(photo(2)), importer_id="D"),
    row("mine again", RED, AGAIN, importer_id="A"),
    row("blank", GREEN, picture(GREEN), importer_id="E"),
    row("blank, too", RED, picture(GREEN), importer_id="F"),
    row("none", RED, importer_id="G"),
    *(row(f"placeholder {name}", RED, saved(photo(3)), importer_id=name) for name in "HIJK"),
    *(row(f"logo {code}", code, saved(photo(4)), importer_id="L") for code in (RED, GREEN, BLUE, "080810")),
]
STOCK = {declaration: [hashlib.sha256(saved(photo(seed))).hexdigest()] for declaration, seed in [
    *((f"placeholder {name}", 3) for name in "HIJK"), *((f"logo {code}", 4) for code in (RED, GREEN, BLUE, "080810")),
]}  # fmt: skip


def night(folder: Path, server: str, rows: list[dict], settings: str, run_date: str = RUN_DATE, *flags: str) -> Path:
    """Audits some rows, and returns the published run."""
    archive = write_archive(folder / f"archive-{run_date}.parquet", rows, 2, importer_id=pa.string())
    config = folder / "config.yaml"
    config.write_text(f"server: {{model: hs, batch_size: 8}}\nworklist: {{budget: 100%}}\nsame_picture: {settings}\n")
    exit_code = main(
        ["run", f"--config={config}", f"--run-date={run_date}", f"--server={server}", f"--input={archive}",
         f"--output={folder / 'audits'}", *flags]
    )  # fmt: skip
    assert exit_code == 0
    return folder / "audits" / f"run_date={run_date}"


@pytest.fixture(scope="module")
def published(colour_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return night(tmp_path_factory.mktemp("shared"), colour_server, ROWS, "{stock_above: 3}")


def partners_in(published: Path) -> dict[str, list[tuple[str, str, str | None, str, int]]]:
    """Declaration → its partners: night, declaration, importer, code, distance."""
    names = ("run_date", "declaration_id", "importer", "declared_hs_code", "distance")
    return {
        finding["declaration_id"]: [tuple(each[name] for name in names) for each in finding["partners"] or ()]
        for finding in findings_of(published)
    }


def test_a_finding_names_those_who_have_the_same_picture_or_nearly(published):
    found, tonight = partners_in(published), date.fromisoformat(RUN_DATE)

    hers, his, mine = ((tonight, *rest, 0) for rest in (("hers", "C", GREEN), ("his", "B", RED), ("mine", "A", RED)))
    assert found["mine"] == found["mine again"] == [hers, his]  # those under another code first
    assert found["hers"] == [mine, his]  # A is named once, by the first declaration
    assert found["his"] == [hers, mine]
    assert [found[name] for name in ("other goods", "blank", "blank, too", "none")] == [[], [], [], []]


def test_what_too_many_use_is_named_and_not_raised(published):
    findings = findings_of(published)

    stock = {each["declaration_id"]: each["stock_pictures"] for each in findings if each["stock_pictures"]}
    assert stock == STOCK
    assert not any(partners_in(published)[name] for name in STOCK)
    said = json.loads((published / "manifest.json").read_text())["same_picture"]
    used = sorted({sha256 for (sha256,) in STOCK.values()})
    assert said == {
        "findings": 4, "under_other_codes": 4, "stock_pictures": 2, "earlier_nights": 0,
        "most_used": [{"sha256": sha256, "findings": 4} for sha256 in used],
    }  # fmt: skip


def test_those_with_a_picture_under_another_code_are_a_lane_and_one_case(published):
    worklist = pq.read_table(published / "worklist.parquet").to_pylist()

    names = [line["declaration_id"] for line in worklist]
    group = ["mine", "his", "hers", "mine again"]
    differing = [line["declaration_id"] for line in worklist if line["mismatch"]]
    lane = [name for name in group if name not in differing]
    assert lane
    assert names[: len(differing)] == differing
    assert sorted(names[len(differing) : len(differing) + len(lane)]) == sorted(lane)
    assert len({line["case"] for line in worklist if line["declaration_id"] in group}) == 1
    sheet = (published / "worklist.csv").read_text(encoding="utf-8-sig")
    assert f"{RUN_DATE} hers/1: {GREEN} (importer C); {RUN_DATE} his/1: {RED} (importer B)" in sheet


def test_the_page_and_explain_say_who_has_the_picture(published, capsys):
    page = Page((published / "report.html").read_text(encoding="utf-8"))

    assert main(["explain", str(published), "mine"]) == 0

    (mine,) = (entry for entry in page.entries if entry["name"] == "mine")
    assert [(each["name"], each["same_file"]) for each in mine["partners"]] == [("hers", False), ("his", True)]
    assert mine["shares_picture"]
    assert "under another code: 4 findings" in page.text
    told = " ".join(capsys.readouterr().out.split())
    assert f"same picture {RUN_DATE} hers: 3926.90, importer C, 0 of 64 bits differ" in told


def run_id_of(published: Path) -> str:
    return json.loads((published / "manifest.json").read_text())["run_id"]


def test_earlier_nights_are_remembered_and_a_damaged_store_is_made_again(colour_server, tmp_path, capsys):
    settings = f"{{store: {tmp_path / 'hashes'}}}"
    hers, his = [row("hers", GREEN, AGAIN, importer_id="C")], [row("his", RED, PHOTO, importer_id="B")]
    partner = (date(2026, 11, 20), "hers", "C", GREEN, 0)

    first = night(tmp_path, colour_server, hers, settings, "2026-11-20")
    alone = run_id_of(first)
    second = night(tmp_path, colour_server, his, settings)
    before = run_id_of(second)
    (file,) = (tmp_path / "hashes" / "run_date=2026-11-20").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    capsys.readouterr()
    again = night(tmp_path, colour_server, his, settings)
    told = " ".join(capsys.readouterr().err.split())

    assert partners_in(again) == {"his": [partner]}
    assert "same_picture.store: 1 night had no hashes that can be read; those of 1 night were made again" in told
    assert run_id_of(again) == before  # the same hashes, under the same digest
    assert json.loads((again / "manifest.json").read_text())["same_picture"]["earlier_nights"] == 1
    night(tmp_path, colour_server, hers, settings, "2026-11-20")
    assert run_id_of(first) == alone  # a later night is no earlier one
    assert partners_in(first) == {"hers": []}


def test_the_store_keeps_each_use_once_for_as_long_as_it_shall(published, tmp_path):
    store = HashStore(Location.parse(tmp_path), 2, ANYWHERE)
    parts = [Location.parse(part) for part in (published / "findings").iterdir()]

    for day in (18, 19, 20, 21):
        store.keep(date(2026, 11, day), parts)

    kept = store.before(date(2026, 11, 22))
    assert [each.run_date.day for each in kept.nights] == [20, 21]
    assert sorted(folder.name for folder in tmp_path.iterdir() if any(folder.iterdir()))[0] == "run_date=2026-11-19"
    uses = [
        (each["importer"], each["declared_hs_code"]) for each in pq.read_table(kept.nights[0].file.text).to_pylist()
    ]
    assert sorted(uses) == sorted(
        [("A", RED), ("B", RED), ("C", GREEN), ("D", BLUE), *((name, RED) for name in "HIJK"),
         *(("L", code) for code in (RED, GREEN, BLUE, "080810"))]
    )  # fmt: skip
    assert store.before(date(2026, 11, 20)).digest != kept.digest


@pytest.mark.parametrize("again", [lambda image: saved(image, 50), lambda image: saved(image.resize((120, 90)))])
def test_a_photo_that_was_saved_again_or_halved_is_near_and_no_other_is(again):
    def hash_of(file: bytes) -> int:
        return perceptual_hash(np.asarray(Image.open(io.BytesIO(file)).resize((224, 224))))

    photos = [photo(seed) for seed in range(100, 180)]
    hashes = np.array([hash_of(saved(each)) for each in photos], np.uint64)
    apart = np.bitwise_count(hashes[:, None] ^ np.array([hash_of(again(each)) for each in photos], np.uint64))

    assert (apart.diagonal() <= SAME_WITHIN).mean() >= 0.97
    assert (apart <= SAME_WITHIN).sum() <= len(photos)


def test_where_nobody_shall_look_no_picture_has_a_hash(colour_server, tmp_path):
    published = night(tmp_path, colour_server, ROWS[:3], "null")

    assert not any(picture["hash"] for finding in findings_of(published) for picture in finding["pictures"])
    assert not any(partners_in(published).values())
    assert "same_picture" not in json.loads((published / "manifest.json").read_text())


def test_a_store_that_goes_away_during_the_night_is_a_sentence(tmp_path):
    gone = StoredNight(date(2026, 11, 20), Location.parse(tmp_path / "hashes-0.parquet"))
    met = {1: {(2, 3): Known(0, -gone.run_date.toordinal(), 1)}}

    with pytest.raises(NotPublished, match=r"same_picture\.store: the hashes of 2026-11-20 cannot be read any more"):
        name_partners([], met, date(2026, 11, 21), [gone], "attempt", ANYWHERE)
