"""What strangers wrote is text in the page, and nothing in it runs, breaks or leaves."""

import json
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.archives import BLUE, RED, picture, row
from tests.browser.chromium import Desk
from tests.report_pages import Night

HOSTILE = [
    "<img src=x onerror=\"document.title='run'\">",
    "</script><script>document.title='run'</script><!--",
    "\"'`${document.title='run'}{{7*7}}",
    '=HYPERLINK("http://example.com")',
    "08\u202e0180\u2066\u2028\u200b",
    "\x00\x1b[31mred",
    "javascript:document.title='run'",
    "M" * 1_000_000,
    "../../#row/1/2/3%",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Findings whose every text is hostile."""
    night = Night(tmp_path_factory.mktemp("hostile"))
    night.audit(
        *(
            row(
                text,
                f"8708.29 {text[:50]}" if n % 2 else RED,
                picture(BLUE, shade=n),
                office=text[:9000],
                importer_id=text[:9000],
            )
            for n, text in enumerate(HOSTILE)
        ),
        random_share=1.0,  # also those whose code cannot be read
    )
    night.page()
    return night.written


def test_hostile_texts_are_shown_as_they_are_written(browser: Desk, hostile: Path):
    browser.open(hostile)
    browser.complaints(), browser.requests()

    browser.open(hostile)
    shown = browser.listed()
    kept = []
    for _ in HOSTILE:
        kept.append(browser.text(".kept"))
        browser.press("j")

    assert browser.driver.title.startswith("Declared HS codes")
    assert set(shown) >= {HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[3]}
    assert "08[U+202E]0180[U+2066][U+2028][U+200B]" in shown
    assert "[U+0000][U+001B][31mred" in shown
    assert f"{'M' * 120}… (1,000,000 characters)" in shown
    assert any(HOSTILE[0] in text for text in kept)
    assert not browser.all("#case img[src=x], #case script, #rows img")
    assert browser.complaints() == []
    assert browser.requests() == []


def test_hostile_texts_leave_and_come_back_as_they_are(browser: Desk, hostile: Path, tmp_path: Path):
    browser.open(hostile)
    browser.forget()
    for _ in HOSTILE:
        browser.press("c", "j")
    browser.press("e")
    browser.one("#officer").send_keys("Officer 7")
    browser.one("[data-export=json]").click()
    written = browser.downloaded(".json")
    file = tmp_path / "decisions.json"
    theirs = json.loads(written)
    for decision in theirs["decisions"]:
        decision |= {"decision": "right", "note": HOSTILE[0] + HOSTILE[4]}
    theirs["officer"] = HOSTILE[1]
    file.write_text(json.dumps(theirs))

    browser.give(file)
    browser.until(lambda: browser.one("#conflicts").is_displayed())
    lines = browser.text("#conflict-lines")
    browser.press(Keys.ESCAPE)

    ids = {decision["declaration_id"] for decision in theirs["decisions"]}
    assert ids == {text if len(text) <= 1000 else None for text in HOSTILE}
    assert all(part in lines for part in (HOSTILE[0], HOSTILE[1][:40], "[U+202E]"))
    assert browser.driver.title.startswith("Declared HS codes")
    assert browser.complaints() == []
