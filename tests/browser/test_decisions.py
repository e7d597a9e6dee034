"""Decisions in a browser: made by keyboard alone, kept, undone, handed over, taken back, merged."""

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from selenium.webdriver.common.keys import Keys

from hs.codes import HSCode
from hs.nomenclature import description
from hs_audit.cli import main
from tests.archives import BLUE, RED
from tests.browser.chromium import Desk, desk

OURS = '{"format": "hs-audit decisions", "version": 1, "run_id": "%s", "decisions": [%s]}'
COLUMNS = (
    "run_id,attempt_id,run_date,officer,source_file,source_row_group,source_row,declaration_id,item_no,decision,"
    "correct_code,note,decided_at"
)


def decide_three(desk: Desk) -> None:
    """Wrong with its code, right with a note, and one that cannot be told, by keyboard alone."""
    desk.press("w", "7326.90", Keys.ENTER)
    desk.press("r", "m", "=looked at the invoice", Keys.ENTER)
    desk.press("c", Keys.ENTER)


def export(desk: Desk, kind: str, officer: str = "Officer 7") -> str:
    desk.press("e")
    desk.one("#officer").clear()
    desk.one("#officer").send_keys(officer)
    desk.one(f"[data-export={kind}]").click()
    desk.press(Keys.ESCAPE)
    return desk.downloaded(f".{kind}")


def test_three_decisions_by_keyboard_leave_as_json_that_says_what_was_shown(at_the_page: Desk, page: Path):
    decide_three(at_the_page)

    file = json.loads(export(at_the_page, "json"))

    one, two, three = file.pop("decisions")
    assert {name: value for name, value in file.items() if name != "exported_at"} == {
        "format": "hs-audit decisions", "version": 1, "run_id": "r1", "attempt_id": "a1", "run_date": "2026-11-20",
        "model": {"name": "hs", "version": 3}, "officer": "Officer 7",
    }  # fmt: skip
    assert datetime.fromisoformat(file["exported_at"]).tzinfo
    assert datetime.fromisoformat(one["decided_at"]).tzinfo
    assert set(one) == {
        "source_file", "source_row_group", "source_row", "declaration_id", "item_no", "decision", "correct_code",
        "note", "decided_at", "shown",
    }  # fmt: skip
    answers = [
        (d["declaration_id"], d["item_no"], d["decision"], d["correct_code"], d["note"]) for d in (one, two, three)
    ]
    assert answers[0] == ("KR-1", 1, "wrong", BLUE, "")
    assert [answer[2:] for answer in answers[1:]] == [
        ("right", None, "=looked at the invoice"), ("cannot_tell", None, ""),
    ]  # fmt: skip
    assert one["shown"]["declared_hs6"] == RED
    assert (one["shown"]["verdict"], one["shown"]["reason"]) == ("differs", "differs")
    assert one["shown"]["recommended"][0]["hs_code"] == BLUE
    assert at_the_page.text("#progress-words") == "3 of 6 decided, 3 left"


def test_csv_has_a_line_for_each_decision_and_no_formula(at_the_page: Desk):
    decide_three(at_the_page)

    text = export(at_the_page, "csv")

    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert text.startswith("\ufeff" + ",".join(f'"{name}"' for name in COLUMNS.split(",")) + "\r\n")
    assert text.endswith('"\r\n')
    assert [line["decision"] for line in lines] == ["wrong", "right", "cannot_tell"]
    assert lines[1]["note"] == "'=looked at the invoice"
    assert (lines[0]["correct_code"], lines[0]["officer"], lines[0]["run_date"]) == (BLUE, "Officer 7", "2026-11-20")


@pytest.mark.parametrize(
    ("typed", "words", "kept"),
    [
        ("732690", description(HSCode(BLUE)), BLUE),
        ("7326.90", description(HSCode(BLUE)), BLUE),
        ("８７０８８０", description(HSCode("870880")), "870880"),
        ("7326", description(HSCode("7326")), None),
        ("73265", "1 more digit", None),
        ("999999", "9999.99 is no subheading of the nomenclature.", None),
        ("7326909", "7326.90.9 is no subheading of the nomenclature.", None),
        ("870829", "This is the declared code.", None),
        ("7326x", "A code has digits only.", None),
        ("", "Six digits, or leave it empty if you do not know it.", None),
    ],
)
def test_a_correct_code_is_checked_while_it_is_typed(at_the_page: Desk, typed: str, words: str, kept: str | None):
    at_the_page.press("w", *typed)

    assert at_the_page.text("#correct-words") == words
    at_the_page.press(Keys.ESCAPE)
    assert json.loads(export(at_the_page, "json"))["decisions"][0]["correct_code"] == kept


def test_codes_that_begin_with_what_is_typed_are_offered(at_the_page: Desk):
    at_the_page.press("w", "8708")

    at_the_page.all("#suggestions button")[1].click()

    assert at_the_page.text("#correct-words") == description(HSCode("870821"))


def test_the_declared_code_is_not_offered_as_the_correct_one(at_the_page: Desk):
    at_the_page.press("w", "87082")

    assert [words[:7] for words in at_the_page.texts("#suggestions button")] == ["8708.21", "8708.22"]


def test_a_recommended_code_is_taken_by_its_number(at_the_page: Desk):
    at_the_page.press("1")

    assert at_the_page.one("#correct-code").get_property("value") == "7326.90"


def test_what_was_decided_is_still_there_when_the_page_is_opened_again(at_the_page: Desk, page: Path):
    decide_three(at_the_page)

    at_the_page.open(page)

    assert at_the_page.text("#progress-words") == "3 of 6 decided, 3 left"
    assert at_the_page.texts(".mark") == ["wrong", "right", "cannot tell"]
    assert at_the_page.one("#correct-code").get_property("value") == "7326.90"


@pytest.mark.parametrize("typed", ["040199", "870829", "7326", "7326x"])
def test_enter_stays_where_what_was_typed_is_no_code(at_the_page: Desk, typed: str):
    at_the_page.press("w", typed, Keys.ENTER)

    assert at_the_page.run("return document.activeElement.id") == "correct-code"
    assert at_the_page.text("#case-title").startswith("1")
    assert "is no whole code" in at_the_page.text("#announcement")


def test_what_was_typed_and_is_no_code_is_kept_and_the_list_says_so(at_the_page: Desk, page: Path):
    at_the_page.press("w", "7326", Keys.ESCAPE, "j", "w", Keys.ENTER, "k", "k")
    there = at_the_page.one("#correct-code").get_property("value")

    at_the_page.open(page)

    assert there == "7326"
    assert at_the_page.one("#correct-code").get_property("value") == "7326"
    assert at_the_page.texts(".mark") == ["wrong, code unfinished", "wrong, no code"]


def test_a_code_is_one_step_however_it_was_typed(at_the_page: Desk):
    at_the_page.press("w", *"732690", Keys.ESCAPE, "u")

    assert at_the_page.texts(".mark") == ["wrong, no code"]
    assert at_the_page.one("#correct-code").get_property("value") == ""


def test_what_is_not_handed_over_is_said_before(at_the_page: Desk):
    at_the_page.press("w", "7326", Keys.ESCAPE, "j", "w", Keys.ENTER, "1", "j", "m", "ask the broker", Keys.ESCAPE)

    at_the_page.press("e")

    assert at_the_page.text("#export-words") == (
        "Decisions: 3. Wrong without a correct code: 2. Of these with an unfinished code, which is not handed over: 1. "
        "Notes on findings that are not decided, which are not handed over: 1."
    )


def test_a_note_on_what_is_not_decided_says_that_it_stays_here(at_the_page: Desk):
    at_the_page.press("m", "ask the broker")
    alone = at_the_page.text("#note-words")
    at_the_page.press(Keys.ESCAPE)
    marked = at_the_page.texts(".mark")
    at_the_page.press("r")

    assert alone == "A note alone is not handed over: decide the finding, too."
    assert marked == ["note only"]
    assert at_the_page.text("#note-words") == ""
    assert json.loads(export(at_the_page, "json"))["decisions"][0]["note"] == "ask the broker"


def test_two_tabs_of_one_page_keep_what_each_decided(at_the_page: Desk, page: Path):
    driver = at_the_page.driver
    first = driver.current_window_handle
    at_the_page.press("m", "mine", Keys.ESCAPE)
    driver.switch_to.new_window("tab")
    at_the_page.open(page)
    at_the_page.press("r", "j", "c")
    second = driver.current_window_handle
    driver.switch_to.window(first)
    at_the_page.until(lambda: at_the_page.texts(".mark") == ["right", "cannot tell"])
    at_the_page.press(Keys.END, "w")
    driver.switch_to.window(second)
    driver.close()
    driver.switch_to.window(first)

    at_the_page.open(page)

    assert at_the_page.texts(".mark") == ["right", "cannot tell", "wrong, no code"]
    assert at_the_page.one("#note").get_property("value") == "mine"


def test_a_tab_that_heard_nothing_of_the_other_keeps_its_decisions(at_the_page: Desk, page: Path):
    at_the_page.press("r")
    stored = at_the_page.run("return localStorage.getItem('hs-audit decisions r1')")
    at_the_page.press("u", "j", "c")
    at_the_page.run("localStorage.setItem('hs-audit decisions r1', arguments[0])", stored)  # a tab hears not of itself

    at_the_page.press("j", "w")

    assert at_the_page.texts(".mark") == ["right", "wrong, no code"]


def test_a_decision_of_yesterday_can_be_taken_back(at_the_page: Desk, page: Path):
    at_the_page.press("1", "j", "r", "m", "seen", Keys.ESCAPE)
    at_the_page.open(page)

    at_the_page.press("j", "u")
    once = at_the_page.text("#announcement"), at_the_page.texts(".mark")
    at_the_page.press("u")

    assert once == ("Taken back. KR-3 item 2: not decided.", ["wrong", "note only"])
    assert at_the_page.text("#announcement") == "Taken back. KR-3 item 2: Declared code right."
    assert at_the_page.texts(".mark") == ["wrong", "right"]


def test_a_note_that_is_taken_back_leaves_the_decision(at_the_page: Desk):
    at_the_page.press("r", "m", "seen", Keys.ESCAPE, "u")

    assert (
        at_the_page.text("#announcement")
        == "The last change of a note is taken back. KR-1 item 1: Declared code right."
    )
    assert at_the_page.one("#note").get_property("value") == ""


def test_what_is_said_is_seen_each_time(at_the_page: Desk):
    at_the_page.press("u")
    at_the_page.run("document.getElementById('announcement').getAnimations()[0].finish()")
    gone = not at_the_page.one("#announcement").is_displayed()

    at_the_page.press("u")

    assert gone
    assert at_the_page.one("#announcement").is_displayed()


def test_a_recommended_code_that_is_the_declared_one_is_told(at_the_page: Desk):
    at_the_page.press("/", "KR-5", Keys.ESCAPE, "1")
    declared = at_the_page.text("#announcement")
    at_the_page.press("5")

    assert declared == "8708.29 is the declared code; if it is right, press r."
    assert at_the_page.text("#announcement") == "There is no recommended code 5."
    assert at_the_page.texts(".mark") == []


def test_escape_leaves_the_hand_over_at_once_and_keeps_the_name(at_the_page: Desk, page: Path):
    at_the_page.press("e")
    at_the_page.one("#officer").send_keys("Officer 7", Keys.ESCAPE)

    assert not at_the_page.one("#exchange").is_displayed()
    assert at_the_page.run("return localStorage.getItem('hs-audit officer')") == "Officer 7"


def test_a_key_right_after_the_hand_over_is_not_lost(at_the_page: Desk):
    at_the_page.press("e")

    focused = at_the_page.run(
        "const name = document.getElementById('officer'); name.focus(); name.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'Escape', bubbles: true, cancelable: true }));"
        "return [document.activeElement.tagName, document.querySelector('dialog[open]')]"
    )

    assert focused == ["BODY", None]


def test_enter_in_the_name_exports_and_the_page_says_what(at_the_page: Desk):
    at_the_page.press("r", "e")
    at_the_page.one("#officer").send_keys("Officer 7", Keys.ENTER)

    assert json.loads(at_the_page.downloaded(".json"))["officer"] == "Officer 7"
    assert re.fullmatch(
        r"Decisions exported: 1, into decisions_2026-11-20_[-0-9]+\.json\.", at_the_page.text("#export-words")
    )


def test_nothing_is_exported_without_a_name(at_the_page: Desk):
    at_the_page.press("r", "e")
    at_the_page.one("[data-export=json]").click()

    assert at_the_page.text("#export-words") == "Give your name or number first: it says who decided."
    assert at_the_page.run("return document.activeElement.id") == "officer"
    assert list(at_the_page.downloads.iterdir()) == []


def test_each_step_can_be_taken_back(at_the_page: Desk):
    at_the_page.press("r", "c", "u")
    once = at_the_page.texts(".mark")
    at_the_page.press("u", "u")

    assert once == ["right"]
    assert at_the_page.texts(".mark") == []
    assert at_the_page.text("#announcement") == "There is nothing to take back."


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_another_desk_goes_on_where_this_one_stopped(at_the_page: Desk, page: Path, tmp_path: Path, kind: str):
    decide_three(at_the_page)
    written = tmp_path / f"decisions.{kind}"
    written.write_text(export(at_the_page, kind), encoding="utf-8", newline="")
    at_the_page.forget()

    at_the_page.press("e")
    at_the_page.give(written)

    at_the_page.until(lambda: at_the_page.text("#import-words") == "Decisions taken: 3; in conflict: 0.")
    assert at_the_page.text("#progress-words") == "3 of 6 decided, 3 left"
    at_the_page.press(Keys.ESCAPE)
    assert [d["correct_code"] for d in json.loads(export(at_the_page, "json"))["decisions"]] == [BLUE, None, None]


def test_decisions_of_two_desks_are_merged_and_contradictions_are_chosen(at_the_page: Desk, page: Path, tmp_path: Path):
    decide_three(at_the_page)
    theirs = tmp_path / "theirs.json"
    theirs.write_text(export(at_the_page, "json", "Officer 8"), encoding="utf-8")
    at_the_page.forget()
    at_the_page.press("r", Keys.ENTER, "r", "m", "=looked at the invoice", Keys.ENTER)  # against theirs; as theirs

    at_the_page.press("e")
    at_the_page.give(theirs)
    at_the_page.until(lambda: at_the_page.one("#conflicts").is_displayed())
    lines = at_the_page.texts("#conflict-lines fieldset")
    at_the_page.one("#conflict-lines input[value=theirs]").click()
    at_the_page.one("#conflict-form [type=submit]").click()

    assert len(lines) == 1
    assert all(part in lines[0] for part in ("KR-1", "Officer 8", "Declared code right", "correct is 7326.90"))
    assert at_the_page.texts(".mark") == ["wrong", "right", "cannot tell"]
    assert json.loads(export(at_the_page, "json", "Officer 7"))["officer"] == "Officer 8; Officer 7"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON or CSV"),
        ("a,b\n1,2\n", "is no file of decisions"),
        ('{"format": "something else"}', "is no file of decisions"),
        ('{"format": "hs-audit decisions", "version": 1, "run_id": "r9", "decisions": []}', "another run, r9"),
        (
            '{"format": "hs-audit decisions", "version": 1, "run_id": "r1", "decisions": [{"a": 1}]}',
            "decision 1 cannot",
        ),
        ('{"format": "hs-audit decisions", "version": 1, "run_id": "r1", "decisions": [null]}', "decision 1 cannot"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_whole_with_a_sentence(
    at_the_page: Desk, tmp_path: Path, content, words
):
    file = tmp_path / "decisions.json"
    file.write_text(content)

    at_the_page.press("e")
    at_the_page.give(file)

    at_the_page.until(lambda: words in at_the_page.text("#import-words"))
    assert at_the_page.text("#progress-words").startswith("0 of 6")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_file_whose_correct_code_is_the_declared_one_is_refused_with_a_sentence(
    at_the_page: Desk, page: Path, tmp_path: Path, kind: str
):
    decide_three(at_the_page)
    written = tmp_path / f"decisions.{kind}"
    written.write_text(export(at_the_page, kind).replace(f'"{BLUE}"', f'"{RED}"'), encoding="utf-8", newline="")
    at_the_page.forget()

    at_the_page.press("e")
    at_the_page.give(written)

    words = "decision 1 calls the declared code wrong and names it, 8708.29, as the correct one"
    at_the_page.until(lambda: words in at_the_page.text("#import-words"))
    assert at_the_page.text("#progress-words").startswith("0 of 6")


def test_a_browser_that_keeps_nothing_says_so(page: Path, tmp_path: Path, browser: Desk):
    with desk(tmp_path) as forgetful:
        refuse = (
            "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }})"
        )
        forgetful.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refuse})
        forgetful.open(page)

        forgetful.press("r")

        assert forgetful.texts(".mark") == ["right"]
        assert "does not keep your decisions" in forgetful.text("#keeping")


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_what_leaves_the_page_is_what_feedback_files(at_the_page: Desk, page: Path, tmp_path: Path, kind: str):
    decide_three(at_the_page)
    file = tmp_path / f"decisions.{kind}"
    file.write_text(export(at_the_page, kind), encoding="utf-8", newline="")

    code = main(["feedback", str(page.parents[1] / "run_date=2026-11-20"), str(file), "--output", str(tmp_path)])

    parts = (tmp_path / "decisions").rglob("*.parquet")
    filed = [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]
    assert code == 0
    assert sorted((row["declaration_id"], row["decision"]) for row in filed)[0] == ("KR-1", "wrong")
    assert {row["note"] for row in filed} == {"", "=looked at the invoice"}
