"""What tests run that is no Python: packages of npm, installed once below `build/`, which no commit holds."""

import shutil
import subprocess
from pathlib import Path

from hs.files import alone

BUILD = Path(__file__).parent.parent / "build"
AZURITE = "azurite@3.35.0"


def npm_package(package: str) -> Path:
    """The `node_modules` of a package, as `axe-core@4.11`; whole, whatever ended an earlier install.

    Raises:
        FileNotFoundError: if there is no npm.
        CalledProcessError: if it fails.
    """
    folder = BUILD / package
    BUILD.mkdir(exist_ok=True)
    with alone(BUILD):  # tests on other cores want it, too
        if not folder.exists():
            unfinished = BUILD / f"{package}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(unfinished), package]
            subprocess.run(command, check=True, capture_output=True, text=True)
            unfinished.rename(folder)
    return folder / "node_modules"
