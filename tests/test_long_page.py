"""The page of a long night: 100,000 declarations, of which the worklist has 2,000, their pictures in the archive."""

import dataclasses
import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.material import draw
from benchmarks.measuring import command
from pipeline.values import Classified, Declarations
from tests.archives import COLOURS, row, write_archive
from tests.report_pages import KEPT, TABLE, Night, Page

pytestmark = pytest.mark.endurance  # an idle machine, and 3 GB of disk
DECLARATIONS, FILES, LISTED, DIFFERENT = 100_000, 20, 2_000, 200
MOST_S, MOST_MB = 60, 500


def write_long_archive(folder: Path) -> None:
    """Declarations of one or two photographs, each a file of its own by its last bytes, which nobody decodes."""
    drawn, codes = draw(350, 350, DIFFERENT), tuple(COLOURS)
    for first in range(0, DECLARATIONS, DECLARATIONS // FILES):
        rows = []
        for n in range(first, first + DECLARATIONS // FILES):
            pictures = [drawn[(n + which) % DIFFERENT] + b"%d.%d" % (n, which) for which in range(1 + (n % 5 < 2))]
            about = {
                "office": f"Office {n % 30}",
                "importer_id": f"Importer {n % 3000}",
                "customs_value": n % 77 * 100.0,
            }
            rows.append(row(f"KR-{n}", codes[n % 3], *pictures, **about))
        write_archive(folder / f"{first:06d}.parquet", rows, row_group_size=1000, **KEPT)


def looked_at_by_chance(declarations: Declarations) -> Classified:
    """Every picture is of some goods or other, surely; the digests are those of the files."""
    pictures = declarations.pictures.to_pylist()
    random = np.random.default_rng(declarations.first_row + declarations.source.index)
    probabilities = random.dirichlet([0.3] * len(TABLE.labels), len(pictures)).astype(np.float32)
    return Classified(
        dataclasses.replace(declarations, pictures=declarations.pictures[:0]),
        [hashlib.sha256(data).hexdigest() for data in pictures],
        ["ok"] * len(pictures),
        [None] * len(pictures),
        probabilities,
        np.full(len(pictures), np.nan, np.float32),
    )


def test_the_page_of_100_000_declarations_is_written_within_a_minute_and_500_mb(tmp_path: Path):
    night = Night(tmp_path)
    write_long_archive(night.archive.parent)
    night.publish(looked_at_by_chance, budget=LISTED, report_findings=LISTED)

    started = time.monotonic()
    used = command("hs_audit.cli", "report", str(night.published), f"--output={night.written.parent}")
    took_s = time.monotonic() - started

    print(f"{took_s:.1f} s, {used.cpu_s:.1f} s of CPU, {used.peak_mb:.0f} MB", file=sys.stderr)
    page = Page(night.written.read_text(encoding="utf-8"))
    assert len(page.entries) == LISTED
    assert all(picture["uri"] and not picture["words"] for entry in page.entries for picture in entry["pictures"])
    assert used.cpu_s < MOST_S  # one thread, so on an idle machine the clock says little more
    assert used.peak_mb < MOST_MB
