"""The pictures of docs/, taken of a page that is there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.chromium import Desk

SCRIPT = Path(__file__).parents[2] / "docs" / "screenshots.py"


@pytest.mark.slow  # it starts browsers of its own
def test_screenshots_are_taken_of_a_demo_that_is_there(browser: Desk, page: Path, tmp_path: Path):
    night = tmp_path / "demo" / "audits" / "run_date=2026-11-20"
    night.mkdir(parents=True)
    shutil.copy(page, night)
    changes = tmp_path / "demo" / "diff" / "diff.html"
    changes.parent.mkdir()
    high = "<svg width='9' height='{}' style='display: block'></svg>"
    changes.write_text(
        "<!doctype html><title>Changes</title><body style='margin: 0'>"
        + "".join(f"<article class='change'>{high.format(pixels)}</article>" for pixels in (1200, 50))
    )

    done = subprocess.run(
        [sys.executable, SCRIPT, "--demo", tmp_path / "demo", "--output", tmp_path], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    sizes = {picture.name: Image.open(picture).size for picture in tmp_path.glob("*.png")}
    assert sizes == {
        **dict.fromkeys(
            (
                "report.png",
                "report-case.png",
                "report-rulings.png",
                "report-partners.png",
                "report-dark.png",
                "report-korean.png",
            ),
            (1366, 768),
        ),
        "report-print.png": (700, 1000),
        "diff.png": (1180, 1200 + 16),  # to the end of the first change
    }
