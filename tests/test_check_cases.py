"""`check cases`: planted wrong codes, copies, and pictures that show nothing are found, and nothing else."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs.errors import UsageError
from hs_audit.cli import main
from model.cases.excluding import excluded_from
from model.cases.reading import open_cases
from tests.archives import BLUE, COLOURS, GREEN, RED
from tests.editions import nomenclature_of
from tests.rulings import noise, tinted_cases, write_cases
from tests.test_training import backbone_file


def saved_again(picture: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).resize((48, 48)).save(out, "JPEG", quality=90)
    return out.getvalue()


def blank() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((24, 24, 3), 250, np.uint8)).save(out, "PNG")
    return out.getvalue()


def listed(folder: Path) -> list[dict[str, str]]:
    with open(folder / "suspects.csv", newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def check(cases: Path, *flags: str) -> list[dict[str, str]]:
    assert main(["check", "cases", str(cases), f"--output={cases.parent}", *flags]) == 0
    return listed(cases.parent)


def test_sound_cases_are_not_suspected(tmp_path, capsys):
    found = check(write_cases(tmp_path / "cases.parquet", tinted_cases(4)))

    assert found == []
    assert "!" not in capsys.readouterr().out


def test_a_code_that_the_pictures_contradict_is_named_with_what_they_recommend(tmp_path, capsys):
    cases = tinted_cases(12)
    planted = {0: BLUE, 4: RED, 8: GREEN}
    true = {f"case-{number}": cases[number][0] for number in planted}
    for number, code in planted.items():
        cases[number] = (code, cases[number][1])
    path = write_cases(tmp_path / "cases.parquet", cases)

    found = check(path, f"--backbone={backbone_file(tmp_path)}")

    assert len(found) >= 2
    assert {line["case_id"]: line["recommended"] for line in found}.items() <= true.items()
    assert {line["reason"] for line in found} == {"contradicted"}
    chances = [float(line["probability_of_hs_code"]) for line in found]
    assert chances == sorted(chances)
    assert "with pictures that contradict their code" in capsys.readouterr().out


def test_the_same_picture_under_another_code_is_named_with_its_partners(tmp_path):
    cases = tinted_cases(4)
    copies = [(GREEN, [cases[0][1][0]]), (BLUE, [saved_again(cases[3][1][0])]), (f"{RED}0000", [cases[6][1][0]])]
    path = write_cases(tmp_path / "cases.parquet", [*cases, *copies])

    found = check(path)

    assert {(line["case_id"], line["reason"], line["others"]) for line in found} == {
        ("case-0", "same_picture", f"case-12 ({GREEN})"),
        ("case-12", "same_picture", f"case-0 ({RED})"),
        ("case-3", "near_duplicate", f"case-13 ({BLUE})"),
        ("case-13", "near_duplicate", f"case-3 ({RED})"),
    }  # and not the last, whose code is only longer


def test_a_case_is_listed_where_no_picture_of_it_shows_anything(tmp_path, capsys):
    cases = [*tinted_cases(4), (RED, [b"%PDF-1.4"]), (RED, [blank(), b""]), (RED, [blank(), noise(99)]), (RED, [])]

    found = check(write_cases(tmp_path / "cases.parquet", cases))

    assert [(line["case_id"], line["reason"], line["detail"]) for line in found] == [
        ("case-12", "unreadable", "0.png: not_a_picture"),
        ("case-13", "nearly_blank", "1.png: empty"),
        ("case-15", "unreadable", "no picture"),
    ]
    said = capsys.readouterr().out
    assert "2 pictures cannot be read; 2 cases have no other" in said
    assert "2 pictures are nearly blank; 1 case has no other" in said


def test_codes_of_an_older_edition_are_named_with_their_successors(tmp_path):
    (tmp_path / "editions.yaml").write_text(nomenclature_of(tmp_path))
    cases = [*tinted_cases(2), ("031419", [noise(7)]), ("999999", [noise(8)])]
    path = write_cases(tmp_path / "cases.parquet", cases)

    found = check(path, f"--config={tmp_path / 'editions.yaml'}")

    assert [(line["case_id"], line["reason"], line["recommended"], line["detail"]) for line in found] == [
        ("case-6", "older_edition", "010121", "HS 2012; in HS 2022 010121"),
        ("case-7", "unknown_code", "", "not in HS 2022"),
    ]


def test_cases_that_train_would_refuse_are_looked_at_all_the_same(tmp_path, capsys):
    path = write_cases(tmp_path / "cases.parquet", [(RED, [noise(number)]) for number in range(6)])

    code = main(["check", "cases", str(path), f"--output={tmp_path}", "--backbone=compact", "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == said["exit_code"] == 2
    assert "at least two HS codes" in said["error"]
    assert listed(tmp_path) == said["suspects"] == []


def test_the_page_shows_the_pictures_of_what_is_to_be_looked_at_again(tmp_path):
    cases = [*tinted_cases(4), (GREEN, [noise(0, COLOURS[RED])]), (RED, [blank()]), ("999999", [noise(8)])]
    path = write_cases(tmp_path / "cases.parquet", cases)

    check(path)

    page = (tmp_path / "suspects.html").read_text()
    assert page.count("<img ") == 3  # both copies, and what is blank
    for said in (">case-0<", ">case-12<", ">case-13<", "The same picture", "nearly blank", "999999", "not in HS 2022"):
        assert said in page
    assert "No classifier was asked" in page


def test_a_list_that_cannot_be_written_is_said_before_pictures_are_looked_at(tmp_path, capsys):
    path = write_cases(tmp_path / "cases.parquet", tinted_cases(1))

    code = main(["check", "cases", str(path), f"--output={path}"])

    assert code == 2
    assert "--output" in (said := capsys.readouterr().err)
    assert "looking at" not in said


def test_what_the_list_names_is_left_out_of_a_training(tmp_path, capsys):
    cases = [*tinted_cases(5), (GREEN, [noise(0, COLOURS[RED])])]
    ids = [*(f"case-{number}" for number in range(15)), "=1+1"]  # the last is a copy of the first
    path = write_cases(tmp_path / "cases.parquet", cases, case_id=ids)
    check(path)

    code = main([
        "train", f"--cases={path}", f"--output={tmp_path / 'model'}", "--epochs=1",
        f"--exclude={tmp_path / 'suspects.csv'}",
    ])  # fmt: skip

    about = tmp_path / "model" / "1" / "assets.extra"
    assert code == 0
    assert len((about / "learned_from.txt").read_text().split()) == 14
    assert "left out: 2 of 16 cases, which" in capsys.readouterr().err


def test_cases_without_some_have_another_digest_and_the_columns_of_the_others(tmp_path):
    cases = open_cases(write_cases(tmp_path / "cases.parquet", tinted_cases(2), office=list("abcdef")))
    (tmp_path / "some.txt").write_text("case-0\n\n case-3 \nnobody\n")

    some = cases.without_cases(excluded_from(cases, tmp_path / "some.txt"))

    assert [case.case_id for case in some] == ["case-1", "case-2", "case-4", "case-5"]
    assert some.column("office") == ["b", "c", "e", "f"]
    assert (some.count, some.without([RED]).count) == (4, 4)
    assert some.digest() != cases.digest()


@pytest.mark.parametrize(
    ("name", "written", "sentence"),
    [
        ("list.csv", "id\ncase-0\n", "has no column case_id"),
        ("list.txt", "nobody\n", "names 1 case, and none is of"),
        ("none.txt", None, "cannot be read"),
    ],
)
def test_a_list_that_names_no_case_is_refused(tmp_path, name, written, sentence):
    cases = open_cases(write_cases(tmp_path / "cases.parquet", tinted_cases(1)))
    if written:
        (tmp_path / name).write_text(written)

    with pytest.raises(UsageError, match=sentence):
        excluded_from(cases, tmp_path / name)


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [("nowhere", "does not exist"), ("here", "holds no cases")],
)
def test_what_holds_no_cases_is_a_sentence(tmp_path, capsys, cases, sentence):
    (tmp_path / "here").mkdir()

    code = main(["check", "cases", str(tmp_path / cases)])

    assert code == 2
    assert sentence in capsys.readouterr().err
