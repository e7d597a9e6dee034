"""A night of six hundred declarations, to and from object storage, for the tests of it that are slow."""

from pathlib import Path

from hs.storage.location import Location
from hs.storage.stores import Stores
from pipeline.findings.parts import opened
from pipeline.runs.published import published_run
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive

RUN_DATE = "2026-11-21"
GOODS = (RED, GREEN, BLUE)
ROWS = [row(f"D{n}", GOODS[n % 5 % 3], picture(GOODS[n % 3], size=(300, 200), shade=n % 50)) for n in range(600)]


def write_night(folder: Path) -> Path:
    """Its archive, in a file of six row groups."""
    return write_archive(folder / "a.parquet", ROWS, row_group_size=100)


def flags(folder: Path, endpoint: str, server: str, archive: object, output: object) -> list[str]:
    config = folder / "config.yaml"
    config.write_text(
        f"server: {{model: hs, batch_size: 16}}\nstorage: {{endpoint: '{endpoint}', region: us-east-1}}\n"
    )
    where = [f"--server={server}", f"--input={archive}", f"--output={output}"]
    return [f"--config={config}", f"--run-date={RUN_DATE}", *where]


def findings_at(output: Location, stores: Stores) -> list[dict]:
    """Of the run that stands, in the order of the archive."""
    rows = []
    for part in published_run((output / f"run_date={RUN_DATE}").text, stores).files("findings"):
        with opened(part, stores) as file:
            rows += file.read().to_pylist()
    return sorted(rows, key=lambda finding: (finding["source_row_group"], finding["source_row"]))
