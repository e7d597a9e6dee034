"""What axe-core finds on the page: nothing, at WCAG 2.2 AA, in light and dark, with each dialog open."""

import subprocess

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import Desk
from tests.installed import npm_package

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ASK = """
const [rules, done] = arguments;
axe.run({ runOnly: rules }).then((found) => done(found.violations.map((one) =>
  `${one.impact}: ${one.id} at ${one.nodes.map((node) => node.target.join(" ")).slice(0, 5).join(", ")}`)));
"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    try:
        return (npm_package("axe-core@4.11") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    except FileNotFoundError:
        pytest.skip("no npm to install axe-core with: on Debian, apt-get install npm")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"axe-core cannot be installed: {error.stderr[-300:]}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("keys", ["", "w", "r", "t", "?", "e", "f", "ko"])
def test_axe_finds_no_violation(at_the_page: Desk, axe: str, keys: str, scheme: str):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if keys == "ko":
        at_the_page.run("document.querySelector('#languages button[value=ko]').click()")
    else:
        at_the_page.press(*keys)
    at_the_page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})  # the policy binds pages, not this

    found = at_the_page.driver.execute_async_script(_ASK, _RULES)

    at_the_page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
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
