"""What has room on a laptop and on paper: nothing is cut, no word is broken."""

import pytest

from tests.browser.chromium import LAPTOP, Desk


def speak(desk: Desk, language: str) -> None:
    desk.run("document.querySelector(`#languages [value=${arguments[0]}]`).click()", language)


def width(desk: Desk, pixels: int) -> None:
    metrics = {"width": pixels, "height": LAPTOP[1], "deviceScaleFactor": 1, "mobile": False}
    desk.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def ends_of(desk: Desk, css: str) -> list[tuple[float, float]]:
    """The right and lower ends of elements, CSS pixels."""
    boxes = [element.rect for element in desk.all(css)]
    return [(box["x"] + box["width"], box["y"] + box["height"]) for box in boxes]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("typed", ["04", "0401", "8708"])
def test_suggestions_are_whole_and_leave_the_bar_whole(at_the_page: Desk, language: str, typed: str):
    speak(at_the_page, language)
    at_the_page.press("w", typed)

    ((right, lower),) = ends_of(at_the_page, "#case")
    inside = ends_of(at_the_page, "#undo, #next-undecided, #note, #suggestions, #correct-words, #answers button")
    assert at_the_page.all("#suggestions button")
    assert all(one[0] <= right and one[1] <= lower for one in inside)
    buttons = at_the_page.all("#suggestions button")
    assert all(one.get_property("scrollWidth") <= one.get_property("clientWidth") for one in buttons)
    assert at_the_page.one("#case-body").size["height"] > 150


def test_a_table_of_the_figures_breaks_no_word(at_the_page: Desk):
    width(at_the_page, 920)
    at_the_page.run("document.querySelectorAll('details').forEach((one) => { one.open = true })")

    broken = at_the_page.run("""
        const lines = (cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return new Set([...range.getClientRects()].map((box) => box.top)).size;
        };
        return [...document.querySelectorAll('#overview th')].filter((cell) => lines(cell) > 1)
          .map((cell) => cell.textContent.trim()).filter((words) => !/[\\s/-]/.test(words));
    """)

    width(at_the_page, LAPTOP[0])
    assert broken == []


def test_the_buttons_of_the_full_view_stand_below_the_middle_of_the_picture(at_the_page: Desk):
    at_the_page.press("f")

    middle = at_the_page.run(
        "const boxes = [...document.querySelectorAll('#full .buttons > *')].map((one) => one.getBoundingClientRect());"
        "return (Math.min(...boxes.map((box) => box.left)) + Math.max(...boxes.map((box) => box.right))) / 2"
    )
    picture = at_the_page.one("#full img").rect
    assert middle == pytest.approx(picture["x"] + picture["width"] / 2, abs=12)


def test_paper_says_why_a_case_is_listed_its_verdict_and_what_is_left_out(at_the_page: Desk):
    at_the_page.run("dispatchEvent(new Event('beforeprint'))")
    at_the_page.until(lambda: len(at_the_page.all("#paper .sheet")) == 6)

    first = at_the_page.run("return document.querySelector('.sheet').textContent")
    assert "Recommend review" in first
    assert "In the list because the pictures speak for another code." in first
    assert "7326.90 case-0 (0.93) · 7326.90 case-1 (0.88) · 8708.29 case-2 (0.41)" in first


def test_paper_shows_opened_parts_of_the_figures_without_the_mark_of_closed_ones(at_the_page: Desk):
    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    marks = at_the_page.run("return getComputedStyle(document.querySelector('#overview summary')).listStyleType")
    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})

    assert marks == "none"


def test_a_long_mark_of_a_decision_leaves_the_declaration_its_room_in_the_list(at_the_page: Desk):
    before = at_the_page.one("#rows .row-name").size["width"]
    at_the_page.press("w", "04")
    at_the_page.until(lambda: at_the_page.texts("#rows .mark"))

    assert at_the_page.one("#rows .row-name").size["width"] == pytest.approx(before, abs=1)
