"""The page of two runs side by side in a browser: nothing that axe-core complains of, dark at night, whole on paper."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from hs_audit.cli import main
from tests.archives import BLUE, GREEN, RED, picture, row
from tests.browser.axe import violations
from tests.browser.chromium import Desk
from tests.report_pages import Night


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight findings of which the pictures say something else on the second night."""
    folder = tmp_path_factory.mktemp("changes")
    first, second = Night(folder / "first"), Night(folder / "second")
    first.audit(*(row(f"KR-{n}", RED, picture(BLUE, shade=n), b"") for n in range(8)), row("KR-9", RED))
    second.audit(*(row(f"KR-{n}", RED, picture((RED, GREEN)[n % 2], shade=n)) for n in range(8)))
    assert main(["diff", str(first.published), str(second.published), f"--output={folder}"]) == 0
    return folder / "diff.html"


@pytest.fixture
def at_the_changes(browser: Desk, changes: Path) -> Iterator[Desk]:
    """The page; in the end nothing was asked of a network, and the console is silent."""
    browser.complaints(), browser.requests()
    browser.open(changes)
    yield browser
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert browser.requests() == []
    assert browser.complaints() == []


def seen_as(desk: Desk, scheme: str, media: str = "screen") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    desk.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_on_the_page_of_changes(at_the_changes: Desk, axe: str, scheme: str):
    seen_as(at_the_changes, scheme)
    at_the_changes.run("for (const one of document.querySelectorAll('details')) one.open = true")

    assert violations(at_the_changes, axe) == []


@pytest.mark.parametrize(
    ("scheme", "media", "paper"),
    [
        ("light", "screen", "rgb(251, 250, 247)"),
        ("dark", "screen", "rgb(21, 24, 28)"),
        ("dark", "print", "rgb(255, 255, 255)"),
    ],
)
def test_the_page_of_changes_is_dark_at_night_and_white_on_paper(at_the_changes: Desk, scheme, media, paper):
    seen_as(at_the_changes, scheme, media)

    assert at_the_changes.run("return getComputedStyle(document.body).backgroundColor") == paper


def test_the_bars_and_pictures_of_changes_are_there_and_nothing_is_cut_off(at_the_changes: Desk):
    widths = [one.rect["width"] for one in at_the_changes.all(".bar rect")]
    images = at_the_changes.all(".change img")

    assert widths
    assert all(width > 0 for width in widths)
    assert all(one.get_property("complete") for one in images[:2])
    assert at_the_changes.run("return document.documentElement.scrollWidth - innerWidth") <= 0


def test_changes_are_whole_on_paper(at_the_changes: Desk):
    printed = at_the_changes.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})

    assert 2 <= base64.b64decode(printed["data"]).count(b"/Type /Page\n") <= 6
    assert at_the_changes.run("return getComputedStyle(document.querySelector('.change')).breakInside") == "avoid"
