"""Takes every picture of docs/ anew: `make screenshots`, or `python docs/screenshots.py [--demo DIR]`.

Needs Chromium, and five minutes for the demo unless the folder of one is given.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_BYTES = 400_000
DOCS = Path(__file__).parent


@dataclass(frozen=True)
class Screenshot:
    """The top of a page of the demo.

    Attributes:
        page: glob of the page in the demo's folder.
        width, height: of the window, in CSS pixels; a README is some 830 wide.
        scale: pixels of the picture to a CSS pixel.
    """

    page: str
    width: int
    height: int
    scale: float = 1.5


SCREENSHOTS = {"report.png": Screenshot("audits/run_date=*/report.html", 1080, 735)}


def main(argv: list[str] | None = None) -> int:
    """Takes the pictures; what is missing is one sentence and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, metavar="DIR", help="what `hs-audit demo DIR` made (default: a new one)")
    parser.add_argument("--output", type=Path, metavar="DIR", default=DOCS, help="default: docs")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        try:
            browser = find_browser()
            demo = args.demo or run_demo(Path(folder) / "demo")
            for name, screenshot in SCREENSHOTS.items():
                take(browser, find_page(demo, screenshot), screenshot, args.output / name, Path(folder) / "profile")
        except FileNotFoundError as missing:
            print(missing, file=sys.stderr)
            return 2
    return 0


def find_browser() -> str:
    """The path of a Chromium.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        raise FileNotFoundError(
            f"no browser: none of {', '.join(BROWSERS)} is here; on Debian: apt-get install chromium"
        )
    return found[0]


def run_demo(folder: Path) -> Path:
    """Runs the demo into a folder."""
    subprocess.run([sys.executable, "-m", "hs_audit.cli", "demo", folder], check=True)
    return folder


def find_page(demo: Path, screenshot: Screenshot) -> Path:
    """The page to show.

    Raises:
        FileNotFoundError: if the demo has none.
    """
    found = sorted(demo.glob(screenshot.page))
    if not found:
        raise FileNotFoundError(f"{demo} has no {screenshot.page}; `hs-audit demo {demo}` makes it")
    return found[-1].resolve()


def take(browser: str, page: Path, screenshot: Screenshot, picture: Path, profile: Path) -> None:
    """Writes the picture of a page."""
    # No sandbox: Chromium refuses to start one for root, which containers run as.
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}",
        f"--window-size={screenshot.width},{screenshot.height}", f"--force-device-scale-factor={screenshot.scale}",
    ]  # fmt: skip
    unseen = picture.with_suffix(".new.png")  # one that turns out too large leaves the old picture where it is
    subprocess.run(
        [browser, *flags, f"--screenshot={unseen.absolute()}", page.as_uri()], check=True, capture_output=True
    )
    size = unseen.stat().st_size
    assert size <= MOST_BYTES, f"{unseen} has {size} bytes, more than {MOST_BYTES}: take a smaller window or scale"
    unseen.replace(picture)
    print(f"{picture}: {size} bytes")


if __name__ == "__main__":
    sys.exit(main())
