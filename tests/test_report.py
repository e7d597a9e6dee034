"""The page that officers open, from published runs with real archives."""

import base64
import dataclasses
import hashlib
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image

from hs.codes import HSCode
from hs.declared_codes import DECIMAL_DROPPED, DIGITS_LOST, LEADING_ZERO, TRAILING_ZERO_LOST
from hs.nomenclature import description
from hs.pictures.decoding import PictureStatus
from hs.verdicts import Reason
from hs.words import explain, picture_words, repair_words
from hs_audit.cli import main
from pipeline.archive.footers import inspect
from pipeline.config import Config
from pipeline.findings.finding import Finding, Recommendation
from pipeline.report.entries import looks_unknown
from tests.archives import BLUE, COLOURS, GREEN, RED, encoded, grey_picture, picture, row, write_archive
from tests.findings import finding, read
from tests.report_pages import Night, Page


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)


def test_a_finding_says_what_was_declared_what_the_pictures_speak_for_and_why(night):
    night.audit(row("KR-1", "8708.29", picture(BLUE)))

    page = night.page()

    (entry,) = page.entries
    assert "Night of 20 November 2026" in page.text
    assert (entry["name"], entry["item_no"], entry["declared"], entry["differs_at"]) == ("KR-1", 1, RED, 2)
    assert entry["risk"] == pytest.approx(0.996, abs=1e-3)
    assert entry["why"]["en"] == explain(Reason.DIFFERS, HSCode(RED), 2, [HSCode(BLUE)])
    assert entry["why"]["ko"] == explain(Reason.DIFFERS, HSCode(RED), 2, [HSCode(BLUE)], "ko")
    assert entry["recommended"][0]["hs_code"] == BLUE
    assert [level for level, _ in entry["levels"]] == [2, 4, 6]
    assert page.blocks["nomenclature"][RED] == description(HSCode(RED))
    assert (entry["source_file"], entry["source_row_group"], entry["source_row"]) == (str(night.archive), 0, 0)


@pytest.mark.parametrize(
    ("declared", "digits", "repair"),
    [
        ("8708.29.9000", "8708299000", None),
        ("7326.20-1000", "7326201000", None),
        ("７３２６.20", "732620", None),
        ("8708290000.0", "8708290000", "the decimals of a number were dropped"),
    ],
)
def test_a_declared_code_travels_as_read_and_as_written(night, declared, digits, repair):
    night.audit(row("KR-1", declared, picture(BLUE)))

    (entry,) = night.page().entries

    assert (entry["declared"], entry["written"], (entry["repair"] or {}).get("en")) == (digits, declared, repair)


def test_the_passed_through_columns_travel_where_they_are_not_null(night):
    night.audit(row("KR-1", RED, picture(BLUE), office="Busan", customs_value=15138.5, net_mass_kg=None))

    (entry,) = night.page().entries

    assert entry["kept"] == [
        [{"en": "Office", "ko": "세관"}, "Busan"],
        [{"en": "Value", "ko": "금액"}, "15,138.5"],
    ]
    assert (entry["office"], entry["importer"]) == ("Busan", None)


@pytest.mark.parametrize(
    ("image_format", "orientation", "shown"),
    [("PNG", 1, (632, 474)), ("JPEG", 1, (632, 474)), ("JPEG", 6, (474, 632)), ("TIFF", 6, (474, 632))],
)
def test_a_picture_keeps_its_shape_turned_upright_and_is_large_enough_to_judge(night, image_format, orientation, shown):
    image = Image.new("RGB", (1200, 900), COLOURS[BLUE])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    out = io.BytesIO()
    image.save(out, image_format, exif=exif)
    night.audit(row("KR-1", RED, out.getvalue()))

    (travelled,) = night.page().pictures

    jpeg = Image.open(io.BytesIO(base64.b64decode(travelled["uri"].partition(",")[2])))
    assert (jpeg.format, jpeg.size) == ("JPEG", shown)
    assert (travelled["width"], travelled["height"], travelled["words"]) == (*shown, None)


def test_a_small_picture_is_not_blown_up(night):
    night.audit(row("KR-1", RED, encoded(Image.new("RGB", (40, 30), COLOURS[BLUE]), "PNG")))

    (travelled,) = night.page().pictures

    assert (travelled["width"], travelled["height"]) == (40, 30)


def test_the_pictures_of_a_finding_fit_their_room_however_busy_they_are(night):
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    night.audit(row("KR-1", RED, picture(BLUE), *([encoded(Image.fromarray(noise), "JPEG")] * 4)))

    page = night.page()

    assert 2 <= len(page.pictures) <= 4
    assert sum(len(travelled["uri"]) for travelled in page.pictures) < 66_000  # 200 such findings: 13.2 MB


def test_each_finding_shows_its_own_pictures_and_at_most_four(night):
    night.audit(
        row("KR-0", RED, picture(RED)),
        row("KR-1", RED, picture(BLUE)),
        row("KR-2", RED, *(picture(GREEN, shade=shade) for shade in range(6))),
        row("KR-3", RED, picture(GREEN), picture(GREEN, shade=9)),
    )

    counts = {entry["name"]: (len(entry["pictures"]), entry["images_total"]) for entry in night.page().entries}

    assert counts == {"KR-0": (1, 1), "KR-1": (1, 1), "KR-2": (4, 6), "KR-3": (2, 2)}


def test_lines_of_a_declaration_that_are_not_on_the_page_are_named_with_their_verdict(night):
    lines = [row("KR-1", "8708.29", picture(RED), item_no=number) for number in range(2, 40)]
    night.audit(row("KR-1", RED, picture(BLUE)), *lines, row("KR-2", RED, picture(RED)), budget="1")

    elsewhere = night.page().blocks["night"]["elsewhere"]

    assert set(elsewhere) == {"KR-1"}
    assert elsewhere["KR-1"]["count"] == 38
    assert [line["item_no"] for line in elsewhere["KR-1"]["first"]] == list(range(2, 22))
    assert elsewhere["KR-1"]["first"][0] == {"item_no": 2, "declared": RED, "recommended": RED, "verdict": "agrees"}


@pytest.mark.parametrize("declaration_id", [None, "", " ", "K" * 1001])
def test_what_has_no_id_to_go_by_has_no_other_lines(night, declaration_id):
    night.audit(*(row(declaration_id, RED, picture(BLUE)) for _ in range(2)), budget="1")

    assert night.page().blocks["night"]["elsewhere"] == {}


def words_of(page: Page) -> list[str | None]:
    return [picture["words"] and picture["words"]["en"] for entry in page.entries for picture in entry["pictures"]]


def test_a_picture_that_could_not_be_read_says_why_beside_those_that_could(night):
    night.audit(row("KR-1", RED, picture(BLUE), b"%PDF-1.4 invoice", b"", picture(BLUE)[:60]))

    page = night.page()

    assert words_of(page) == [
        None, "Not a picture (PDF)", "The picture has no bytes", "The picture is cut short (PNG)",
    ]  # fmt: skip
    assert len(page.pictures) == 1


def test_an_archive_file_that_is_gone_costs_the_pictures_not_the_page(night):
    night.audit(row("KR-1", RED, picture(BLUE), b"%PDF-1.4"))
    night.archive.unlink()

    page = night.page()

    assert not page.pictures
    assert words_of(page) == ["The archive file is no longer there.", "Not a picture (PDF)"]


def test_an_archive_file_that_was_written_again_shows_no_pictures_of_other_goods(night):
    night.audit(row("KR-1", RED, picture(BLUE)))
    write_archive(night.archive, [row("KR-1", RED, picture(GREEN)), row("KR-2", RED, picture(GREEN))])

    page = night.page()

    assert not page.pictures
    assert words_of(page) == ["The archive file was changed after the run."]


def test_a_picture_that_is_not_the_audited_one_is_not_shown(night):
    night.audit(row("KR-1", RED, picture(BLUE)))
    write_archive(night.archive, [row("KR-1", RED, picture(GREEN))], row_group_size=3)
    described = json.loads((night.published / "manifest.json").read_text())
    described["inputs"][0]["footer_sha256"] = inspect(night.archive, Config().columns).footer_digest
    (night.published / "manifest.json").write_text(json.dumps(described))

    page = night.page()

    assert not page.pictures
    assert words_of(page) == ["The picture was changed after the run."]


def test_an_archive_file_with_overwritten_pages_says_so(night):
    night.audit(row("KR-1", RED, picture(BLUE)))
    content = night.archive.read_bytes()
    start = content.index(b"\x89PNG")
    night.archive.write_bytes(content[:start] + bytes(20) + content[start + 20 :])

    page = night.page()

    assert not page.pictures
    assert words_of(page) == ["The archive file has broken pages."]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script><!--",
        '"><img src=x onerror=alert(1)>',
        "'); background: url(https://example.com/x); ('",
        "</style></title><iframe src=//example.com>",
        "{{ 7 * 7 }}{% raw %}",
        "&lt;b&gt;",
        "K" * 10_000,
        "٠٨\u202e0180\u2066\u2028\x00\x1b[31m",
    ],
)
def test_text_from_the_archive_changes_nothing_but_the_text_of_the_page(night, text):
    night.audit(row(text, f"8708.29 {text}", picture(BLUE), office=text), row(text, RED, picture(BLUE), office=text))
    harmless = Night(night.folder / "harmless").audit(
        row("KR-1", "8708.29 KR-1", picture(BLUE), office="Busan"), row("KR-1", RED, picture(BLUE), office="Busan")
    )

    page = night.page()

    assert page.shape == harmless.page().shape
    assert not re.search("[\x00-\x08\x1b\u2028\u202a-\u202e\u2066-\u2069]", page.html)
    assert "K" * 300 not in page.html


def test_a_declaration_id_travels_as_it_is_unless_it_is_endless(night):
    night.audit(*(row(text, RED, picture(BLUE)) for text in ("08\u202e01", "K" * 1000, "K" * 1001)))

    entries = night.page().entries

    assert [entry["declaration_id"] for entry in entries] == ["08\u202e01", "K" * 1000, None]
    assert entries[2]["name"] == f"{'K' * 120}… (1,001 characters)"


@pytest.mark.parametrize("declaration_id", [None, "", " "])
def test_a_declaration_without_an_id_has_no_name(night, declaration_id):
    night.audit(row(declaration_id, RED, picture(BLUE)))

    (entry,) = night.page().entries

    assert (entry["name"], entry["declaration_id"]) == (None, declaration_id)


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script(night):
    night.audit(*(row(f"KR-{number}", RED, picture(BLUE), b"") for number in range(5)))

    page = night.page()

    tags = {tag for tag, _ in page.elements}
    attributes = {(name, value) for _, attributes in page.elements for name, value in attributes.items()}
    assert not tags & {"link", "iframe", "object", "embed", "base", "video", "audio", "source", "img"}
    assert all(value.startswith("#") for name, value in attributes if name == "href")
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("srcset", "src", "action", "style")]
    assert not re.search(r"url\(|@import|https?:", re.sub('<script type="application/json".*?</script>', "", page.html))
    assert policy(page) == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "style-src": digest_of(page, "<style>", "</style>"), "script-src": digest_of(page, "<script>", "</script>"),
    }  # fmt: skip


def policy(page: Page) -> dict[str, str]:
    (written,) = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]+)">', page.html)
    return dict(directive.strip().split(" ", 1) for directive in unescape(written).split(";"))


def digest_of(page: Page, before: str, after: str) -> str:
    content = page.html.partition(before)[2].partition(after)[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def test_goods_that_look_unknown_are_said_to_whatever_the_verdict():
    thresholds = {"novel_above": 0.1, "unknown_above": 0.8}
    by_entropy = thresholds | {"novel_above": None}
    spread = [best(code, 0.2) for code in ("870829", "732690", "392690", "080810", "851713")]

    assert looks_unknown(of_goods(0.11, [best(RED, 1.0)]), thresholds, 5)
    assert not looks_unknown(of_goods(0.09, spread), thresholds, 5)
    assert looks_unknown(of_goods(None, spread), by_entropy, 5)
    assert not looks_unknown(of_goods(None, [best(RED, 0.98)]), by_entropy, 5)
    assert not looks_unknown(of_goods(None, []), by_entropy, 5)


def best(code: str, probability: float) -> Recommendation:
    return Recommendation(HSCode(code), probability, None)


def of_goods(novelty: float | None, recommendations: list[Recommendation]) -> Finding:
    (found,) = read(finding(0, 0.5))
    return dataclasses.replace(found, novelty=novelty, recommendations=tuple(recommendations))


def test_the_night_is_told_in_figures_with_their_reasons(night):
    night.audit(
        row("KR-1", RED, picture(BLUE)),
        row("KR-2", RED, picture(RED)),
        row("KR-3", RED),
        row("KR-4", "8708.3", picture(RED), b"", budget="1"),
    )

    text = night.page().text

    assert "Of 4 declarations, the pictures of 1 speak for another code:" in text
    assert "Recommend review 1 25.0%" in text
    assert "Unsure 0 0.0%" in text
    assert "The declaration has no picture. no_picture 1 25.0%" in text
    assert "The declared code cannot be read as an HS code without guessing. code_malformed 1 25.0%" in text
    assert "Judged 50.0% 2 of 4 findings" in text
    assert "Pictures 4 3 read and classified" in text
    assert "Model hs version 3, 4 codes of HS 2022" in text
    assert f"87 {description(HSCode('87'))} 3 66.7% 1" in text


def test_the_page_says_what_it_does_not_know(night):
    night.audit(row("KR-1", RED, picture(BLUE), b""), row(None, RED, grey_picture()), row("KR-1", RED, picture(RED)))

    text = night.page().text

    assert "What this page does not know Whether the codes of 1 declaration (33.3%) are right" in text
    assert "What 1 picture showed that could not be read or classified" in text
    assert "1 have no id, 2 share their id and item with another" in text
    assert "Goods beyond the 4 codes that the classifier has learned" in text
    assert "The risk assumes 5.0%" in text


def test_files_and_rows_that_could_not_be_read_are_named(night):
    damaged = write_archive(
        night.archive.with_name("b.parquet"), [row(f"B{i}", RED, picture(BLUE)) for i in range(5)], row_group_size=3
    )
    content = damaged.read_bytes()
    start = content.index(b"\x89PNG")
    damaged.write_bytes(content[:start] + bytes(20) + content[start + 20 :])
    night.archive.with_name("c.parquet").write_bytes(b"")
    night.audit(row("KR-1", RED, picture(BLUE)))

    text = night.page().text

    assert "What stands in 3 rows that could not be read, of 2 files." in text
    assert "b.parquet 3 of 5 rows not read" in text
    assert "c.parquet has no bytes: an unknown number of rows not read" in text
    assert "How many declarations 1 file held" in text


def test_pictures_without_an_answer_leave_the_worklist_empty_and_say_so(night):
    night.audit(row("KR-1", RED, picture(BLUE)), not_scored=True)

    text = night.page().text

    assert "the classifier gave no answer for them. not_scored 1 100.0%" in text
    assert "The worklist is empty: no declaration of this night could be judged." in text


def test_a_night_without_declarations_has_a_page_too(night):
    page = night.audit().page()

    assert "There was no declaration to judge." in page.text
    assert "The worklist is empty: there is nothing to open." in page.text


def test_the_page_shows_the_first_of_a_longer_worklist(night):
    night.audit(*(row(f"KR-{number}", RED, picture(BLUE)) for number in range(5)), budget="4", report_findings=2)

    page = night.page()

    assert len(page.pictures) == 2
    assert "The 4 findings to open first" in page.text
    assert "The first 2 are shown here, all of them stand in worklist.csv." in page.text


def test_the_page_says_where_those_stand_that_speak_for_another_code_and_are_not_on_it(night):
    night.audit(*(row(f"KR-{number}", RED, picture(BLUE)) for number in range(5)), budget="4", report_findings=2)
    whole = Night(night.folder / "whole").audit(row("KR-1", RED, picture(BLUE)))

    text = night.page().text

    assert "Not on this page, as the night's budget was spent: 3 findings more for which the pictures speak for" in text
    assert "They stand in findings with mismatch true" in text
    assert "이 페이지에 없는 건: 사진이 다른 세번을 가리키는 3건이 더 있습니다" in text
    assert "budget was spent" not in whole.page().text


def test_a_worklist_that_was_chosen_anew_has_its_page(night, capsys):
    night.audit(*(row(f"KR-{number}", RED, picture(BLUE, shade=number)) for number in range(5)), budget="1")
    main(["worklist", str(night.published), "--budget", "3", "--output", str(night.folder / "anew")])

    page = night.page("--worklist", str(night.folder / "anew" / "worklist.parquet"))

    assert len(page.entries) == 3


def test_a_worklist_of_another_run_has_no_page_here(night, capsys):
    night.audit(row("KR-1", RED, picture(BLUE)))
    anew = night.folder / "worklist.parquet"
    table = pq.ParquetFile(night.published / "worklist.parquet").read()
    other = table.set_column(table.column_names.index("run_id"), "run_id", pa.array(["r2"]))
    pq.write_table(other, anew)

    assert main(["report", str(night.published), "--worklist", str(anew), "--output", str(night.folder)]) == 2
    assert "is a worklist of another run" in capsys.readouterr().err


def test_the_page_says_what_ranks_the_worklist_and_what_was_drawn(night):
    night.audit(*(row(f"KR-{number}", RED, picture(BLUE, shade=number)) for number in range(4)), random_share=0.5)

    page = night.page()

    assert "The 4 findings to open first, by risk" in page.text
    assert "2 findings of them drawn at random from the whole night" in page.text
    assert sum(entry["drawn"] for entry in page.entries) == 2


def test_the_page_says_that_a_draw_within_each_office_is_to_be_weighed(night):
    rows = [row(f"KR-{n}", RED, picture(BLUE, shade=n), office="Busan" if n else "Incheon") for n in range(4)]
    night.audit(*rows, budget="1", per_office=True, random_share=1.0)

    text = night.page().text

    assert "2 findings of them drawn at random within each office: weighed by draw_probability" in text


def test_the_page_of_a_run_that_did_not_say_how_likely_a_row_was_drawn_is_as_it_was(night):
    night.audit(row("KR-1", RED, picture(BLUE)), random_share=1.0)
    worklist = night.published / "worklist.parquet"
    pq.write_table(pq.ParquetFile(worklist).read().drop_columns(["draw_probability"]), worklist)

    assert "1 finding of them drawn at random from the whole night" in night.page().text


def test_pictures_that_are_surely_of_other_goods_are_said_to_come_after_those_that_differ(night):
    night.audit(row("KR-1", "610910", picture(BLUE)), row("KR-2", RED, picture(BLUE)))

    assert "Of 1 declaration among them the pictures are surely of other goods" in night.page().text


def test_a_page_set_to_show_no_findings_points_to_the_worklist(night):
    night.audit(row("KR-1", RED, picture(BLUE)), report_findings=0)

    page = night.page()

    assert not page.pictures
    assert "The worklist has 1 finding, which this page was set not to show; see worklist.csv" in page.text


def test_the_same_run_gives_the_same_page(night):
    night.audit(row("KR-1", RED, picture(BLUE)), row("KR-2", RED, picture(GREEN)))

    assert night.page() == night.page()


def test_a_published_run_is_never_written_to(night, capsys, monkeypatch):
    night.audit(row("KR-1", RED, picture(BLUE)))
    before = sorted(night.published.rglob("*"))
    monkeypatch.chdir(night.published)

    codes = [
        main(["report", ".", *flags]) for flags in ([], ["--output", "findings"], ["--output", str(night.published)])
    ]

    assert codes == [2, 2, 2]
    assert "nothing is written into a published run" in capsys.readouterr().err
    assert sorted(night.published.rglob("*")) == before


def test_a_folder_that_is_no_published_run_is_one_sentence(night, tmp_path, capsys):
    night.audit(row("KR-1", RED, picture(BLUE)))
    (night.published / "_SUCCESS").unlink()

    assert main(["report", str(night.published)]) == 2
    assert main(["report", str(tmp_path / "nowhere")]) == 2

    assert capsys.readouterr().err.count("is no published run: it has no _SUCCESS") == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 0}', "\x00"])
def test_a_manifest_that_is_none_is_one_sentence(night, content, tmp_path, capsys):
    night.audit(row("KR-1", RED, picture(BLUE)))
    (night.published / "manifest.json").write_text(content)

    assert main(["report", str(night.published), "--output", str(tmp_path / "out")]) == 2

    assert "manifest.json" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_one_sentence(night, tmp_path, capsys):
    night.audit(row("KR-1", RED, picture(BLUE)))
    (tmp_path / "out").write_text("a file")

    assert main(["report", str(night.published), "--output", str(tmp_path / "out")]) == 2

    assert "out cannot be made: File exists" in capsys.readouterr().err


def test_a_worklist_that_cannot_be_read_is_one_sentence(night, tmp_path, capsys):
    night.audit(row("KR-1", RED, picture(BLUE)))
    (night.published / "worklist.parquet").write_bytes(b"PAR1")

    assert main(["report", str(night.published), "--output", str(tmp_path / "out")]) == 2

    assert "worklist.parquet cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_that_accuses_nobody(reason):
    sentence = explain(reason)

    assert re.fullmatch(r"[A-Z][^{}]+\.", sentence)
    assert not re.search("fraud|false|cheat|illegal|smuggl", sentence, re.IGNORECASE)


@pytest.mark.parametrize("status", [*PictureStatus, "not_scored"])
def test_every_picture_status_has_words(status):
    assert picture_words(status)[0].isupper()


@pytest.mark.parametrize("repair", [LEADING_ZERO, TRAILING_ZERO_LOST, DIGITS_LOST, DECIMAL_DROPPED])
def test_every_repair_has_words(repair):
    assert repair_words(repair) != repair.replace("_", " ")


@pytest.mark.parametrize(
    ("declared", "differs_at", "recommended", "part"),
    [
        ("870829", 2, ["392690"], "chapter (first 2 digits), such as 3926.90;"),
        ("870829", 4, ["870829", "870710"], "heading (first 4 digits), such as 8707.10;"),
        ("8708290000", 6, ["8708", "870899"], "subheading (first 6 digits), such as 8708.99;"),
        ("8708290000", 10, ["8708291000"], "national code (first 10 digits), such as 8708.29.1000;"),
        ("870829", 6, ["8708"], "subheading (first 6 digits);"),
        ("870829", 6, [], "subheading (first 6 digits);"),
    ],
)
def test_a_difference_names_its_level_and_the_first_code_that_contradicts_it(declared, differs_at, recommended, part):
    sentence = explain(Reason.DIFFERS, HSCode(declared), differs_at, [HSCode(digits) for digits in recommended])

    assert sentence == f"The pictures speak for another {part} recommend review."
