"""The worklist in a browser: found, filtered, sorted, opened, looked at, in two languages and on paper."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from hs.words import catalogue
from tests.archives import BLUE, RED, row
from tests.browser.chromium import LAPTOP, Desk
from tests.ruled_nights import WITH_RULINGS, night
from tests.test_same_pictures import PHOTO
from tests.test_same_pictures import night as audited


def opened(desk: Desk) -> str:
    return desk.text("#case-title")


def test_the_first_finding_is_open_with_its_codes_side_by_side(at_the_page: Desk):
    assert "KR-1" in opened(at_the_page)
    assert at_the_page.texts(".comparison h3") == ["Declared", "Recommended"]
    assert at_the_page.texts(".comparison .code") == ["8708.29", "7326.90"]
    assert [mark.text for mark in at_the_page.all(".comparison mark")] == ["8708.29", "7326.90"]
    assert at_the_page.texts(".level .cell b") == ["87", "73", "8708", "7326", "8708.29", "7326.90"]
    assert "another chapter" in at_the_page.text(".why")
    assert at_the_page.one("#picture img").get_property("naturalWidth") > 0


def test_the_rulings_that_pictures_are_like_stand_below_the_codes(browser: Desk, tmp_path):
    browser.open(night(tmp_path / "night", WITH_RULINGS) / "report.html")

    lines = [" ".join(line.split()) for line in browser.texts(".rulings tbody tr")]
    assert [line.split()[0] for line in lines][:3] == ["8708.29"] * 3
    assert "KR-1" in lines[0]
    assert '<b onload="x()">' in lines[2]
    assert browser.complaints() == []


def test_rulings_have_their_pictures_where_the_page_has_them(at_the_page: Desk):
    lines = [" ".join(line.split()) for line in at_the_page.texts(".rulings li")]
    assert lines == ["7326.90 0.93 case-0", "– 7326.90 0.88 case-1", "8708.29 0.41 case-2"]
    shapes = [
        (one.get_property("naturalWidth"), one.get_property("naturalHeight")) for one in at_the_page.all(".rulings img")
    ]
    assert shapes == [(90, 60), (60, 90)]
    assert at_the_page.one(".rulings img").get_attribute("alt") == "Picture of ruling case-0"


def test_who_else_has_a_picture_is_said_with_his_name(browser: Desk, tmp_path: Path, colour_server: str):
    rows = [row("KR-1", RED, PHOTO, importer_id="Han Trading"), row("KR-2", BLUE, PHOTO, importer_id="Seoul Parts")]
    published = audited(tmp_path, colour_server, rows, "{}")
    browser.open(published / "report.html")

    browser.press("/", "KR-1", Keys.ESCAPE)
    (line, *_) = browser.texts(".others li")
    assert line == (
        "2026-11-21 · KR-2 item 1 · 7326.90 → 7326.90 · Cannot judge · not decided · Importer Seoul Parts"
        " · the very same picture file"
    )
    assert [link.text for link in browser.all(".others a")] == ["KR-2"]  # under one heading, with a link


@pytest.mark.parametrize(
    ("declaration", "why"),
    [("KR-1", "the pictures speak for another code."), ("KR-6", "by its risk: there was room")],
)
def test_a_case_says_by_what_it_is_in_the_list(at_the_page: Desk, declaration: str, why: str):
    at_the_page.press("/", declaration, Keys.ESCAPE)

    assert why in at_the_page.text(".listed")


@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_key_switches_light_and_dark_and_the_browser_keeps_it(at_the_page: Desk, page, system: str):
    scheme = [{"name": "prefers-color-scheme", "value": system}]
    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    first = paper(at_the_page)

    at_the_page.press("d")
    switched = paper(at_the_page)
    at_the_page.open(page)
    again = paper(at_the_page), at_the_page.one("#scheme").get_attribute("aria-pressed")
    at_the_page.one("#scheme").click()

    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert sorted([first, switched]) == ["rgb(21, 24, 28)", "rgb(251, 250, 247)"]
    assert again == (switched, "true" if system == "light" else "false")
    assert at_the_page.run("return localStorage.getItem('hs-audit scheme')") == ""  # the system's again


def paper(desk: Desk) -> str:
    return desk.run("return getComputedStyle(document.body).backgroundColor")


def test_levels_that_are_the_same_stand_in_one_line(at_the_page: Desk):
    at_the_page.press("/", "KR-2", Keys.ESCAPE)

    assert "The same down to the heading 7326 Iron or steel" in at_the_page.text(".same")
    assert at_the_page.texts(".comparison mark") == ["20.1000", "90"]
    assert at_the_page.texts(".level .cell b") == ["7326.20", "7326.90"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("kr-3", {"KR-3"}),
        ("HAN tra", {"KR-1", "KR-3"}),
        ("7326.20", {"KR-2"}),
        ("732620", {"KR-2"}),
        ("nothing like it", set()),
    ],
)
def test_a_search_finds_declarations_importers_and_codes(at_the_page: Desk, words: str, found: set[str]):
    at_the_page.press("/", words)

    assert set(at_the_page.listed()) == found
    assert at_the_page.one("#no-match").is_displayed() == (not found)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("office", "Incheon", {"KR-2", "KR-5", "KR-6"}),
        ("chapter", "73", {"KR-2", "KR-6"}),
        ("verdict", "agrees", {"KR-5", "KR-6"}),
        ("reason", "differs", {"KR-1", "KR-2", "KR-3"}),
    ],
)
def test_a_filter_leaves_what_has_its_value(at_the_page: Desk, name: str, value: str, found: set[str]):
    at_the_page.press("t")
    at_the_page.run(
        "const it = document.getElementById(arguments[0]); it.value = arguments[1];"
        " it.dispatchEvent(new Event('change'))",
        f"filter-{name}", value,
    )  # fmt: skip

    assert set(at_the_page.listed()) == found
    assert at_the_page.one("#filters-on").is_displayed()


def test_what_is_decided_leaves_the_list_of_what_is_not(at_the_page: Desk):
    at_the_page.press("r", "o")

    assert len(at_the_page.listed()) == 5
    assert "KR-1" not in at_the_page.listed()


def test_the_list_is_sorted_by_importer_by_keyboard_alone(at_the_page: Desk):
    at_the_page.press("s", "I", Keys.ESCAPE)

    assert set(at_the_page.listed()[:2]) == {"KR-5", "KR-6"}
    assert at_the_page.listed()[-1] == "KR-2"


def test_keys_go_through_findings_and_pictures(at_the_page: Desk):
    at_the_page.press(Keys.END)
    last = opened(at_the_page)
    at_the_page.press("k", Keys.HOME, "j")

    assert last.startswith("6")
    assert opened(at_the_page).startswith("2")


def test_pictures_are_shown_in_full_turned_over_and_enlarged_by_keys(at_the_page: Desk):
    at_the_page.press("/", "KR-1", Keys.ESCAPE, "f")
    before = at_the_page.one("#full img").size["width"]
    at_the_page.press("+")
    larger = at_the_page.one("#full img").size["width"]
    at_the_page.press("0", Keys.ARROW_RIGHT)
    place = at_the_page.text("#full-place")
    at_the_page.press(Keys.ESCAPE)

    assert larger == pytest.approx(1.5 * before, abs=2)
    assert place == "Picture 2 of 2"
    assert not at_the_page.one("#full").is_displayed()


def test_an_enlarged_picture_is_moved_by_arrows(at_the_page: Desk):
    at_the_page.press("f", "+", "+", Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    moved = at_the_page.run("const it = document.getElementById('full-picture'); return [it.scrollLeft, it.scrollTop]")
    at_the_page.press(Keys.ARROW_LEFT, Keys.ARROW_UP)
    back = at_the_page.run("const it = document.getElementById('full-picture'); return [it.scrollLeft, it.scrollTop]")

    assert min(moved) > 0
    assert back == [0, 0]
    assert at_the_page.text("#full-place") == "Picture 1 of 2"


def test_pictures_of_rulings_are_enlarged_by_keyboard_as_others_are(at_the_page: Desk):
    at_the_page.run("document.querySelector('.rulings button').focus()")
    at_the_page.press(Keys.ENTER)
    first = at_the_page.text("#full-place"), at_the_page.one("#full img").get_attribute("alt")
    at_the_page.press(Keys.ARROW_RIGHT)
    second = at_the_page.text("#full-place"), at_the_page.one("#full img").get_attribute("alt")
    at_the_page.press(Keys.ESCAPE)

    assert first == ("Picture 1 of 2", "Picture of ruling case-0")
    assert second == ("Picture 2 of 2", "Picture of ruling case-2")
    assert at_the_page.one("#strip button").get_attribute("aria-pressed") == "true"  # the case's own has not changed


def test_a_finding_opens_at_its_top(at_the_page: Desk):
    at_the_page.run("document.getElementById('case-body').scrollTop = 200")
    before = at_the_page.run("return document.getElementById('case-body').scrollTop")

    at_the_page.press("j")

    assert before > 0
    assert at_the_page.run("return document.getElementById('case-body').scrollTop") == 0


@pytest.mark.parametrize("key", ["j", Keys.HOME, Keys.ENTER, "u"])
def test_a_key_that_opens_a_finding_brings_it_into_sight(at_the_page: Desk, key: str):
    at_the_page.press("r")
    scroll_to_the_figures(at_the_page)

    at_the_page.press(key)

    assert in_sight(at_the_page)


@pytest.mark.parametrize("key", ["w", "1", "r", "c"])
def test_a_finding_out_of_sight_is_shown_before_it_is_decided(at_the_page: Desk, key: str):
    scroll_to_the_figures(at_the_page)

    at_the_page.press(key)
    undecided = at_the_page.texts(".mark")
    at_the_page.press(key)

    assert undecided == []
    assert in_sight(at_the_page)
    assert len(at_the_page.texts(".mark")) == 1


def test_on_a_narrow_screen_a_key_shows_the_finding_and_the_next_decides_it(at_the_page: Desk):
    with narrow(at_the_page):
        at_the_page.press("r")
        undecided, shown = at_the_page.texts(".mark"), in_sight(at_the_page)
        at_the_page.press("r")
        decided = at_the_page.texts(".mark")

    assert (undecided, shown, decided) == ([], True, ["right"])


@contextmanager
def narrow(desk: Desk) -> Iterator[None]:
    """A window in which the list stands above the case."""
    size = {"deviceScaleFactor": 1, "mobile": False}
    desk.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 700, "height": 700} | size)
    yield
    desk.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": LAPTOP[0], "height": LAPTOP[1]} | size)


def scroll_to_the_figures(desk: Desk) -> None:
    desk.run("document.getElementById('overview').scrollIntoView({behavior: 'instant'})")
    assert not in_sight(desk)


def in_sight(desk: Desk) -> bool:
    return desk.run(
        "const it = document.getElementById('case-title').getBoundingClientRect();"
        " return it.top >= 0 && it.bottom <= innerHeight"
    )


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (Keys.PAGE_DOWN, Keys.PAGE_UP),
        (Keys.SPACE, Keys.PAGE_UP),
        (Keys.ARROW_DOWN, Keys.ARROW_UP),
    ],
)
def test_keys_scroll_the_open_finding(at_the_page: Desk, there: str, back: str):
    at_the_page.press(there)
    scrolled = at_the_page.run("return [document.getElementById('case-body').scrollTop, scrollY]")
    at_the_page.press(back)

    assert scrolled[0] > 0
    assert scrolled[1] == 0
    assert at_the_page.run("return document.getElementById('case-body').scrollTop") == 0
    assert opened(at_the_page).startswith("1")


def test_arrows_go_through_the_list_where_it_has_the_focus(at_the_page: Desk):
    at_the_page.run("document.querySelector('#rows a[aria-current]').focus()")
    at_the_page.press(Keys.ARROW_DOWN)

    assert opened(at_the_page).startswith("2")
    assert at_the_page.run("return document.activeElement.getAttribute('aria-current')") == "true"


@pytest.mark.parametrize("key", ["j", Keys.ENTER])
def test_the_focus_stays_in_the_case_when_another_opens(at_the_page: Desk, key: str):
    at_the_page.run("document.getElementById('note').focus()" if key == Keys.ENTER else "byId('picture').focus()")

    at_the_page.press(key)

    assert opened(at_the_page).startswith("2")
    assert at_the_page.run("return document.activeElement.id") == "case"


@pytest.mark.parametrize(
    ("key", "code"),
    [("\u3131", "KeyR"), ("Process", "KeyR"), ("\u043a", "KeyR"), ("R", "KeyR"), ("r", "KeyO")],
)
def test_letters_decide_with_any_script_switched_on(at_the_page: Desk, key: str, code: str):
    send_key(at_the_page, key, code)

    assert at_the_page.texts(".mark") == ["right"]


@pytest.mark.parametrize(("key", "code"), [("\u00e9", "KeyR"), ("Dead", "KeyR"), ("\u3131", "")])
def test_a_key_that_says_another_letter_decides_nothing(at_the_page: Desk, key: str, code: str):
    send_key(at_the_page, key, code)

    assert at_the_page.texts(".mark") == []


@pytest.mark.parametrize("field", ["search", "note", "officer"])
def test_no_key_is_taken_while_a_syllable_is_composed(at_the_page: Desk, field: str):
    if field == "officer":
        at_the_page.press("r", "e")
    at_the_page.run("document.getElementById(arguments[0]).focus()", field)

    for key in ("Enter", "Escape", "Process"):
        send_key(at_the_page, key, "KeyC", composing=True)

    assert at_the_page.run("return document.activeElement.id") == field
    assert "cannot tell" not in at_the_page.texts(".mark")
    assert opened(at_the_page).startswith("1")
    assert list(at_the_page.downloads.iterdir()) == []


def send_key(desk: Desk, key: str, code: str, composing: bool = False) -> None:
    """As an input method would; none can be switched on without a screen."""
    desk.run(
        "const [key, code, isComposing] = arguments; document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', { key, code, isComposing, bubbles: true, cancelable: true }))",
        key, code, composing,
    )  # fmt: skip


def test_only_the_open_finding_has_its_pictures_in_the_page(at_the_page: Desk):
    at_the_page.press("/", "KR-1", Keys.ESCAPE)

    assert len(at_the_page.all(".pictures img")) == 3  # the large one, and two in the strip


def test_a_permalink_opens_its_finding_and_the_address_follows_the_list(at_the_page: Desk, page):
    at_the_page.open(page, "#KR-3/2")
    title = opened(at_the_page)
    at_the_page.press(Keys.HOME)

    assert title.endswith("item 2")
    assert at_the_page.run("return location.hash") == "#KR-1/1"


def test_other_lines_of_the_declaration_are_named_and_open(at_the_page: Desk, page):
    at_the_page.open(page, "#KR-3/2")

    at_the_page.one(".others a").click()

    assert at_the_page.text("#case-title .item") == "item 1"


def test_the_page_speaks_korean_and_says_that_nobody_checked_it(at_the_page: Desk, page):
    at_the_page.run("document.querySelector('#languages button[value=ko]').click()")
    words = catalogue("ko")["page"]

    assert at_the_page.run("return document.documentElement.lang") == "ko"
    assert at_the_page.texts(".comparison h3") == [words["declared"], words["recommended"]]
    assert words["wrong"] in at_the_page.text("#answers")
    assert at_the_page.one("#worklist-title").get_property("textContent") == words["worklist"]
    assert at_the_page.texts(".kept dt") == ["세관", "수입자"]
    assert at_the_page.text(".progress [data-language=ko]") == words["unchecked"]
    at_the_page.open(page)
    assert at_the_page.text(".comparison h3") == words["declared"]


def test_the_help_lists_every_key(at_the_page: Desk):
    at_the_page.press("?")

    assert len(at_the_page.all("#help-keys div")) == at_the_page.run(
        "return document.querySelectorAll('#help-keys dt').length"
    )
    assert "declared code wrong" in at_the_page.text("#help-keys")
    assert at_the_page.run("return document.activeElement.dataset.closes") == "help"
    assert not at_the_page.all("[autofocus]")  # it would ask for the focus when the page loads, too, and complain


def test_letters_do_nothing_where_they_are_switched_off(at_the_page: Desk):
    at_the_page.press("?")
    at_the_page.one("#letters").click()
    at_the_page.press(Keys.ESCAPE, "r")

    assert at_the_page.text("#progress-words").startswith("0 of 6")


def test_paper_has_two_findings_a_page_each_with_its_decision(at_the_page: Desk):
    at_the_page.press("r")

    printed = at_the_page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})

    pdf = base64.b64decode(printed["data"])
    assert len(at_the_page.all("#paper .sheet")) == 6
    assert (
        at_the_page.run("return document.querySelector('.sheet-decision').textContent")
        == "Decision: Declared code right"
    )
    assert pdf.count(b"/Type /Page\n") in (4, 5)  # three of findings, the first below the heading, the figures


def test_a_laptop_shows_list_case_and_decision_at_once(at_the_page: Desk):
    screenshot = Image.open(io.BytesIO(at_the_page.driver.get_screenshot_as_png()))
    boxes = [at_the_page.one(css).rect for css in ("#list", "#picture", ".comparison", "#note")]

    assert screenshot.size == (1366, 768)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1366 for box in boxes)
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= 768 for box in boxes)
    assert at_the_page.run("return document.documentElement.scrollWidth <= innerWidth")
