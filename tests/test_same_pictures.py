"""The same picture under other importers' names and under other codes, on nights against a real server."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from hs_audit.cli import main
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive

RUN_DATE = "2026-11-21"


def photo(seed: int) -> Image.Image:
    """A picture that no other one looks like."""
    soft = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(soft).resize((240, 180), Image.Resampling.BICUBIC)


def saved(image: Image.Image, quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


PHOTO = saved(photo(1))
AGAIN = saved(photo(1).resize((120, 90)), quality=60)


@pytest.fixture
def run(colour_server: str, tmp_path: Path) -> Callable[..., Path]:
    """Audits some rows, and returns the published run."""

    def run(rows: list[dict], settings: str = "{}", run_date: str = RUN_DATE, *flags: str, row_group: int = 2) -> Path:
        archive = tmp_path / f"archive-{run_date}.parquet"
        write_archive(archive, rows, row_group, importer_id=pa.string())
        (tmp_path / "config.yaml").write_text(
            f"server: {{model: hs, batch_size: 8}}\nworklist: {{budget: 100%}}\nsame_picture: {settings}\n"
        )
        assert (
            main(
                ["run", f"--config={tmp_path / 'config.yaml'}", f"--run-date={run_date}", f"--server={colour_server}",
                 f"--input={archive}", f"--output={tmp_path / 'audits'}", *flags]
            ) == 0
        )  # fmt: skip
        return tmp_path / "audits" / f"run_date={run_date}"

    return run


def partners_in(published: Path) -> dict[str, list[tuple[str, str | None, str, int]]]:
    """Declaration → its partners: declaration, importer, code, distance."""
    return {
        finding["declaration_id"]: [
            (each["declaration_id"], each["importer"], each["declared_hs_code"], each["distance"])
            for each in finding["partners"] or ()
        ]
        for finding in findings_of(published)
    }


def test_a_finding_names_those_who_have_the_same_picture_or_nearly(run):
    rows = [
        row("mine", RED, PHOTO, importer_id="A"),
        row("his", RED, PHOTO, importer_id="B"),
        row("hers", GREEN, AGAIN, importer_id="C"),
        row("other goods", BLUE, saved(photo(2)), importer_id="D"),
        row("mine again", RED, AGAIN, importer_id="A"),
        row("blank", GREEN, picture(GREEN), importer_id="E"),
        row("blank, too", RED, picture(GREEN), importer_id="F"),
        row("none", RED, importer_id="G"),
    ]

    published = run(rows)

    found = partners_in(published)
    assert found["mine"] == [("hers", "C", GREEN, 0), ("his", "B", RED, 0)]  # those under another code first
    assert found["hers"] == [("mine", "A", RED, 0), ("his", "B", RED, 0)]  # A is named once, by the first declaration
    assert found["mine again"] == found["mine"]
    assert [found[name] for name in ("other goods", "blank", "blank, too", "none")] == [[], [], [], []]
    said = json.loads((published / "manifest.json").read_text())["same_picture"]
    assert said == {
        "findings": 4, "under_other_codes": 4, "stock_pictures": 0, "most_used": [], "earlier_nights": 0,
    }  # fmt: skip
