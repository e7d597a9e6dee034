"""A headless Chromium as an officer uses it: keys, texts, files; it tells its requests and its complaints."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAPTOP = (1366, 768)
_PATIENCE_S = 30


class NoBrowser(Exception):
    """What is missing."""


class Desk:
    """A browser at which somebody works."""

    def __init__(self, driver: webdriver.Chrome, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads

    def open(self, page: Path, link: str = "") -> None:
        """Opens a page anew, as it is kept in this browser."""
        self.driver.get("about:blank")  # else a link within the same page would not load it again
        self.driver.get(page.as_uri() + link)

    def forget(self) -> None:
        """Clears what this browser keeps of pages, and loads the one that is open again."""
        self.run("localStorage.clear(); location.hash = ''")
        self.driver.refresh()  # another process, as `open` may start, could still be told what was there before

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the page has its focus; a word is typed."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        return self.one(css).text

    def texts(self, css: str) -> list[str]:
        return [element.text for element in self.all(css)]

    def listed(self) -> list[str]:
        """The declarations in the list, in their order, but for those far out of sight."""
        return self.run("return [...document.querySelectorAll('#rows bdi')].map((name) => name.textContent)")

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def until(self, holds: object) -> object:
        """Waits for an event of the page."""
        return WebDriverWait(self.driver, _PATIENCE_S, poll_frequency=0.02).until(lambda _: holds())

    def downloaded(self, ending: str) -> str:
        """What the page handed over last, as text."""

        def whole() -> Path | None:
            found = sorted(self.downloads.glob(f"*{ending}"), key=lambda path: path.stat().st_mtime_ns)
            return found[-1] if found and not list(self.downloads.glob("*.crdownload")) else None

        file = self.until(whole)
        content = file.read_bytes().decode("utf-8")
        file.unlink()  # else the next one, while it is still on its way, would be taken to be this one
        return content

    def give(self, *files: Path) -> None:
        """Imports files."""
        self.one("#import").send_keys("\n".join(map(str, files)))

    def complaints(self) -> list[str]:
        """What the console says since it was asked last: errors of scripts, what the policy forbade."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What was asked for since this was asked last, but for the page itself and what stands in it."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:", "about:"))]


@contextmanager
def desk(downloads: Path, *flags: str) -> Iterator[Desk]:
    """Starts a browser with a profile of its own.

    Raises:
        NoBrowser: if there is none.
    """
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    driver_path = shutil.which("chromedriver")
    if not found or not driver_path:
        raise NoBrowser("no Chromium with its driver: on Debian, apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    # No sandbox: Chromium refuses to start one for root, which containers run as.
    size = f"--window-size={LAPTOP[0]},{LAPTOP[1]}"
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", size, *flags):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        width, height = LAPTOP
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield Desk(driver, downloads)
    finally:
        driver.quit()
