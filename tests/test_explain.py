"""`hs-audit explain`, and the sentences of the catalogues."""

import json
import re
import shutil
from pathlib import Path

import pytest

from hs.verdicts import Reason, Verdict
from hs.words import LANGUAGES, catalogue
from hs_audit.cli import main
from tests.archives import GREEN, RED, picture, row, write_archive

RUN_DATE = "2026-11-21"


@pytest.fixture(scope="module")
def published(colour_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    rows = [
        row("A1", "8708.29-0000", picture(GREEN), picture(GREEN, shade=1), b"%PDF-1.7"),
        row("A2", "n/a"),
        row("A3#7", "870829", picture(RED)),
        row("A4", "870829", picture(RED), item_no=1),
        row("A4", "392690", picture(RED), item_no=2),
    ]
    write_archive(folder / "a.parquet", rows)
    (folder / "config.yaml").write_text("server: {model: hs}\n")
    flags = [f"--config={folder}/config.yaml", f"--input={folder}/a.parquet", f"--output={folder}/audits"]
    assert main(["run", f"--run-date={RUN_DATE}", f"--server={colour_server}", *flags]) == 0
    return folder / "audits" / f"run_date={RUN_DATE}"


def explained(published, capsys, *arguments: str) -> str:
    assert main(["explain", str(published), *arguments]) == 0
    return capsys.readouterr().out


def test_the_whole_decision_is_printed(published, capsys):
    text = explained(published, capsys, "A1")

    read = ("'8708.29-0000'", "8708.29.0000", "Not a picture (PDF)", "a.parquet")
    decided = ("Recommend review (differs)", "another chapter", "differs below", "◄ differs", "3926.90", "risk")
    for said in (*read, *decided, "hs version 1", "of the model"):
        assert said in text
    tested = (
        r"of 4 wrong codes planted at random \d differed \(\d+% to \d+%\); 2 of the same declarations did as declared"
    )
    assert re.search(tested, " ".join(text.split()))


def test_levels_of_a_card_are_told_with_what_they_are_a_share_of(published, tmp_path, capsys):
    copy = tmp_path / published.name
    shutil.copytree(published, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    levels = [{"digits": 2, "within": 0, "differs_below": 0.01}, {"digits": 6, "within": 4, "differs_below": 0.1}]
    manifest["thresholds"] |= {"levels": levels, "right_flagged": 0.004, "right_flagged_at_most": 0.0071}
    (copy / "manifest.json").write_text(json.dumps(manifest))

    text = " ".join(explained(copy, capsys, "A1").split())

    assert "0.0100 │" in text
    assert "(10.0% of the heading)" in text
    assert "0.40% of right declarations are flagged, at 90 % confidence at most 0.71%" in text


def test_a_finding_about_which_nothing_is_known_is_explained_too(published, capsys):
    text = explained(published, capsys, "A2")

    assert "Cannot judge (no_picture): The declaration has no picture." in text
    assert "no code" in text
    assert "levels" not in text


def test_an_item_is_chosen_by_its_number(published, capsys):
    both, second = explained(published, capsys, "A4"), explained(published, capsys, "A4#2")

    assert both.count("read as") == 2
    assert second.count("read as") == 1
    assert "'392690'" in second


def test_an_id_may_hold_the_sign_that_parts_items(published, capsys):
    assert "A3#7" in explained(published, capsys, "A3#7")


def test_an_unknown_declaration_is_one_sentence(published, capsys):
    assert main(["explain", str(published), "A9"]) == 2
    assert "has no finding of declaration A9" in capsys.readouterr().err


def test_other_languages_say_the_same(published, capsys):
    text = explained(published, capsys, "A1", "--language=ko")

    assert "검토 권고" in text
    assert "예: 3926.90" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_every_sentence_with_the_same_gaps(language):
    ours, english = catalogue(language), catalogue("en")

    assert {name: set(section) for name, section in ours.items()} == {
        name: set(section) for name, section in english.items()
    }
    for name, section in english.items():
        for key, sentence in section.items():
            gaps = re.findall(r"\{\w+\}", sentence)
            assert set(re.findall(r"\{\w+\}", ours[name][key])) == set(gaps), (name, key)
    assert set(ours["reasons"]) == set(Reason)
    assert set(ours["verdicts"]) == set(Verdict)


WHAT_GAPS_END_IN = {"{findings}": "건", "{declarations}": "건", "{rows}": "행", "{nights}": "회", "{assumed}": "트"}


def test_a_korean_particle_after_a_gap_follows_the_sound_that_the_gap_ends_in():
    """What ends in a number or a name sounds this way or that: there both are written, 은(는), or none."""
    for section in catalogue("ko").values():
        for key, words in section.items():
            for gap, particle in re.findall(r"(\{\w+\})(으로|[은는이가을를과와로])(?=[ .,])", words):
                closed = (ord(WHAT_GAPS_END_IN[gap]) - ord("가")) % 28 > 0
                assert closed == (particle in ("은", "이", "을", "과", "으로")), (key, gap, particle)


@pytest.mark.parametrize("section", catalogue())
def test_the_documentation_has_every_korean_sentence_beside_what_it_says(section):
    page = (Path(__file__).parents[1] / "docs" / "korean.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| {section}\.(\w+) \| (.+) \| (.+) \| (.+) \|$", page.replace("\\|", "¦"), re.MULTILINE)

    assert "**Not yet checked by a native reader.**" in page
    assert {name: (english, korean) for name, english, korean, _ in rows} == {
        name: (words.replace("|", "¦"), catalogue("ko")[section][name]) for name, words in catalogue()[section].items()
    }
    for name, _, korean, back in rows:
        assert set(re.findall(r"\{\w+\}", back)) == set(re.findall(r"\{\w+\}", korean)), name
        assert not re.search("[가-힣]", back), name
