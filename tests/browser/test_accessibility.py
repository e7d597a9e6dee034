"""What axe-core finds on the page: nothing, at WCAG 2.2 AA, in light and dark, with each dialog open."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.axe import look_in, violations
from tests.browser.chromium import Desk


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("keys", ["", "d", "w", "r", "t", "?", "e", "f", "ko"])
def test_axe_finds_no_violation(at_the_page: Desk, axe: str, keys: str, scheme: str):
    look_in(at_the_page, scheme)
    if keys == "ko":
        at_the_page.run("document.querySelector('#languages button[value=ko]').click()")
    else:
        at_the_page.press(*keys)

    found = violations(at_the_page, axe)

    look_in(at_the_page, "")
    assert found == []


def test_the_first_key_leads_past_the_list_to_the_open_case(at_the_page: Desk):
    at_the_page.press(Keys.TAB)
    first = at_the_page.run("return document.activeElement.textContent")
    at_the_page.press(Keys.ENTER)

    assert first == "Skip to the open case"
    assert at_the_page.run("return document.activeElement.id") == "case"


def test_what_can_be_pressed_is_large_enough(at_the_page: Desk):
    at_the_page.press("w", "8708")

    small = at_the_page.run(
        "return [...document.querySelectorAll('button, select, input, a, summary')].filter((one) =>"
        " one.checkVisibility() && !one.matches('.skip, p a, input[type=checkbox]')"
        " && one.getBoundingClientRect().height < 24)"
        ".map((one) => one.outerHTML.slice(0, 80))"
    )

    assert small == []
