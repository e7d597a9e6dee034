"""A browser for all tests of pages, and a night's page; skipped where no Chromium is."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from hs.precedents import Precedent
from tests.archives import BLUE, GREEN, RED, encoded, picture, row
from tests.browser.chromium import Desk, NoBrowser, desk
from tests.installed import npm_package
from tests.report_pages import Night
from tests.rulings import write_cases

RULINGS = (
    Precedent("case-0", BLUE, 0.93), Precedent("case-1", BLUE, 0.88), Precedent("case-2", RED, 0.41),
)  # fmt: skip
DULL_BLUE = encoded(Image.new("RGB", (40, 30), (10, 20, 120)), "PNG")  # less sure than the others


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Headless Chromium."""
    try:
        with desk(tmp_path_factory.mktemp("downloads")) as found:
            yield found
    except NoBrowser as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    try:
        return (npm_package("axe-core@4.11") / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    except FileNotFoundError:
        pytest.skip("no npm to install axe-core with: on Debian, apt-get install npm")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"axe-core cannot be installed: {error.stderr[-300:]}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six findings: four of blue goods under red codes, two that agree; two offices, three importers."""
    night = Night(tmp_path_factory.mktemp("night"))
    shown = [(BLUE, [picture(BLUE, size=(90, 60))]), (BLUE, [b"no picture"]), (RED, [picture(RED, size=(60, 90))])]
    night.audit(
        row("KR-1", "8708.29", picture(BLUE), picture(BLUE, shade=3), office="Busan", importer_id="Han Trading"),
        row("KR-2", "7326.20-1000", DULL_BLUE, office="Incheon", importer_id="Seoul Parts"),
        row("KR-3", RED, picture(GREEN), office="Busan", importer_id="Han Trading"),
        row("KR-3", RED, picture(BLUE, shade=7), item_no=2, office="Busan", importer_id="Han Trading"),
        row("KR-5", RED, picture(RED), office="Incheon", importer_id="Abc"),
        row("KR-6", BLUE, picture(BLUE, shade=9), office="Incheon", importer_id="Abc"),
        rulings=RULINGS,
        cases=write_cases(night.folder / "cases.parquet", shown),
    )
    night.page()
    return night.written


@pytest.fixture
def at_the_page(browser: Desk, page: Path) -> Iterator[Desk]:
    """The page, opened with nothing decided; in the end nothing was asked of a network, and the console is silent."""
    browser.open(page)
    for file in browser.downloads.iterdir():
        file.unlink()
    browser.complaints(), browser.requests()
    browser.forget()
    yield browser
    assert browser.requests() == []
    assert browser.complaints() == []
