"""Two thousand findings stay fluid: first paint and answers to keys, as medians."""

from pathlib import Path

import pytest

from tests.archives import BLUE, RED, picture, row
from tests.browser.chromium import Desk
from tests.report_pages import Night

pytestmark = pytest.mark.endurance  # an idle machine
MOST_FIRST_PAINT_MS, MOST_KEY_MS = 1000, 50
KEYS = ("j", "k", "ArrowRight", "r", "u", "End", "Home")
# From a key to the frame that shows its answer, seen from within: a driver's own way there takes longer.
_ANSWERED = """
const [key, done] = arguments;
const start = performance.now();
document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
document.body.getBoundingClientRect(); // layout is part of the answer
const worked = performance.now() - start;
requestAnimationFrame(() => done(worked));
"""
_SEARCHED = """
const field = document.getElementById("search");
const start = performance.now();
field.value = arguments[0];
field.dispatchEvent(new Event("input"));
document.body.getBoundingClientRect();
return performance.now() - start;
"""


@pytest.fixture(scope="module")
def long_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 2,000 findings."""
    night = Night(tmp_path_factory.mktemp("long"))
    rows = (
        row(f"KR-{n}", RED, picture(BLUE, shade=n % 100), office=f"Office {n % 30}", importer_id=f"Importer {n % 300}")
        for n in range(2000)
    )
    night.audit(*rows, report_findings=2000)
    night.page()
    return night.written


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def first_paint_ms(desk: Desk, page: Path) -> float:
    desk.open(page)
    return desk.until(lambda: desk.run("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"))


def test_the_first_paint_comes_within_a_second(browser: Desk, long_page: Path, record_property):
    took = median([first_paint_ms(browser, long_page) for _ in range(5)])

    record_property("first_paint_ms", took)
    assert browser.text("#shown-count") == "2000 of 2000 findings"
    assert took < MOST_FIRST_PAINT_MS


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_answered_within_50_ms(browser: Desk, long_page: Path, key: str, record_property):
    browser.open(long_page)
    browser.until(lambda: browser.one("#case").is_displayed())

    took = median([browser.driver.execute_async_script(_ANSWERED, key) for _ in range(9)])

    record_property("key_ms", took)
    print(f"{key}: {took:.1f} ms")
    assert took < MOST_KEY_MS


def test_a_typed_search_is_answered_within_50_ms(browser: Desk, long_page: Path):
    browser.open(long_page)
    took = []
    for words in ("I", "Im", "Importer 7", "Importer 77", ""):
        took.append(browser.run(_SEARCHED, words))

    print(f"search: {took}")
    assert median(took) < MOST_KEY_MS
