"""Takes the pictures of docs/ anew: `make screenshots`, or `python docs/screenshots.py [--demo DIR] [PICTURE…]`.

Needs Chromium, and five minutes for the demo unless the folder of one is given. The page of changes compares its night
with the same night by the thresholds for mistakes within a heading.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_BYTES = 200_000
BELOW = 16  # what is left free below the last thing, CSS pixels
DOCS = Path(__file__).parent


@dataclass(frozen=True)
class Screenshot:
    """What a window shows of a page of the demo.

    Attributes:
        page: `report` or `diff`.
        keys: pressed before, one after the other.
        language: that the page speaks.
        media: `screen` or `print`.
        scheme: `light` or `dark`.
        width, height: of the window, in CSS pixels: a small laptop, or half a sheet of A4.
        scale: pixels of the picture to a CSS pixel.
        at: what is scrolled into it; the top of the page where that is nothing.
        to: the window is as high as the page is down to the end of this; `height` where that is nothing.
    """

    page: str = "report"
    keys: str = ""
    language: str = "en"
    media: str = "screen"
    scheme: str = "light"
    width: int = 1366
    height: int = 768
    scale: float = 1.0
    at: str = ""
    to: str = ""


PAGE = "audits/run_date=*/report.html"
SCREENSHOTS = {
    "report.png": Screenshot(),
    "report-case.png": Screenshot(keys="rjcjw870880"),
    "report-rulings.png": Screenshot(at=".rulings"),
    "report-partners.png": Screenshot(keys="jj", at=".source"),
    "report-dark.png": Screenshot(keys="jj", scheme="dark"),
    "report-korean.png": Screenshot(keys="j", language="ko"),
    "report-print.png": Screenshot(keys="r", media="print", width=700, height=1000),
    "diff.png": Screenshot(page="diff", width=1180, to=".change"),
}


def main(argv: list[str] | None = None) -> int:
    """Takes the pictures; what is missing is one sentence and exit code 2."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, metavar="DIR", help="what `hs-audit demo DIR` made (default: a new one)")
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help="such as diff.png (default: all of them)")
    parser.add_argument("--output", type=Path, metavar="DIR", default=DOCS, help="default: docs")
    args = parser.parse_args(argv)
    if unknown := set(args.pictures) - SCREENSHOTS.keys():
        parser.error(f"no pictures of docs/: {', '.join(sorted(unknown))}; there are {', '.join(SCREENSHOTS)}")
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        try:
            browser = find_browser()
            demo = args.demo or run_demo(Path(folder) / "demo")
            find = {"report": cache(lambda: find_page(demo)), "diff": cache(lambda: find_changes(demo, Path(folder)))}
            for name in args.pictures or SCREENSHOTS:
                screenshot = SCREENSHOTS[name]
                take(browser, find[screenshot.page](), screenshot, args.output / name)
        except FileNotFoundError as missing:
            print(missing, file=sys.stderr)
            return 2
    return 0


def find_browser() -> str:
    """The path of a Chromium that has its driver beside it.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found or not shutil.which("chromedriver"):
        raise FileNotFoundError(
            f"no browser: none of {', '.join(BROWSERS)} is here with chromedriver; on Debian: apt-get install chromium "
            "chromium-driver"
        )
    return found[0]


def run_demo(folder: Path) -> Path:
    """Runs the demo into a folder."""
    subprocess.run([sys.executable, "-m", "hs_audit.cli", "demo", folder], check=True)
    return folder


def find_page(demo: Path) -> Path:
    """The page of a demo's night.

    Raises:
        FileNotFoundError: if the demo has none.
    """
    found = sorted(demo.glob(PAGE))
    if not found:
        raise FileNotFoundError(f"{demo} has no {PAGE}; `hs-audit demo {demo}` makes it")
    return found[-1].resolve()


def find_changes(demo: Path, folder: Path) -> Path:
    """The page of what other thresholds change in a demo's night; made in a folder where the demo has none."""
    page = demo / "diff" / "diff.html"
    if page.exists():
        return page.resolve()
    run = find_page(demo).parent.name
    night, config = run.removeprefix("run_date="), folder / "diff.yaml"
    config.write_text((demo / "config.yaml").read_text() + "verdict:\n  mistakes: within_heading\n")
    (folder / "first").symlink_to(demo.resolve() / "audits")  # short names, as the page shows them
    places = (f"--input={demo.resolve()}/archive/{night}/*.parquet", f"--saved-model={demo.resolve()}/model")
    for step in (
        ("run", f"--config={config}", f"--run-date={night}", *places, "--output=second"),
        ("diff", f"first/{run}", f"second/{run}", "--output=."),
    ):
        subprocess.run([sys.executable, "-m", "hs_audit.cli", *step], check=True, cwd=folder)
    return (folder / "diff.html").resolve()


def take(browser: str, page: Path, screenshot: Screenshot, picture: Path) -> None:
    """Writes the picture of a page, in 256 colours."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # No sandbox: Chromium refuses to start one for root, which containers run as.
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        look_as(driver, Screenshot() if screenshot.media == "print" else screenshot)  # on paper no key decides
        driver.get(page.as_uri())
        if screenshot.page == "report":
            driver.execute_script(
                "document.querySelector(`#languages [value=${arguments[0]}]`).click()", screenshot.language
            )
        for key in screenshot.keys:
            ActionChains(driver).send_keys(key).perform()
        if screenshot.at:
            driver.execute_script(
                "document.querySelector(arguments[0]).scrollIntoView({ block: 'nearest' })", screenshot.at
            )
        if screenshot.to:
            end = driver.execute_script(
                "return document.querySelector(arguments[0]).getBoundingClientRect().bottom", screenshot.to
            )
            look_as(driver, replace(screenshot, height=round(end) + BELOW))
        if screenshot.media == "print":
            look_as(driver, screenshot)
            driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        time.sleep(0.5)  # what is said in passing fades, pictures decode
        shown = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    shown.quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)
    size = picture.stat().st_size
    assert size <= MOST_BYTES, f"{picture} has {size} bytes, more than {MOST_BYTES}: take a smaller window or scale"
    print(f"{picture}: {size} bytes")


def look_as(driver: webdriver.Chrome, screenshot: Screenshot) -> None:
    """Gives the browser the window and the medium of a screenshot."""
    size = {"width": screenshot.width, "height": screenshot.height, "deviceScaleFactor": screenshot.scale}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size | {"mobile": False})
    scheme = {"name": "prefers-color-scheme", "value": screenshot.scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": screenshot.media, "features": [scheme]})


if __name__ == "__main__":
    sys.exit(main())
