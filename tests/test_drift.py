"""Nights against the nights before them, against a real server; and the counts that they are compared by."""

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from hs.errors import UsageError
from hs.storage.location import Location
from hs.storage.stores import ANYWHERE
from hs_audit.cli import main
from pipeline.findings.drift import Drift, Earlier, EarlierNight
from pipeline.runs.current import Current
from pipeline.runs.earlier import earlier_nights
from tests.archives import COLOURS, RED, encoded, picture, row, write_archive
from tests.object_storage import DENIED
from tests.report_pages import Page

NIGHT = date(2026, 11, 21)
NAMES = list(COLOURS)
QUIET = [row(f"Q{place}", NAMES[place % 3], picture(NAMES[place % 3], shade=place % 20)) for place in range(60)]
BLACK = [row(f"B{place}", NAMES[place % 3], encoded(Image.new("RGB", (40, 30)), "PNG")) for place in range(60)]


def audit(folder: Path, server: str, rows: list[dict], drift: str = "{max_psi: 0.25}") -> int:
    """Audits some rows and returns the exit code."""
    write_archive(folder / "archive" / "a.parquet", rows, row_group_size=30)
    (folder / "config.yaml").write_text(f"server: {{model: hs, batch_size: 8}}\ndrift: {drift}\n")
    return main(
        ["run", f"--config={folder / 'config.yaml'}", f"--run-date={NIGHT}", f"--server={server}",
         f"--input={folder / 'archive' / '*.parquet'}", f"--output={folder / 'audits'}"]
    )  # fmt: skip


@pytest.fixture(scope="module")
def quiet_night(colour_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night that was published."""
    folder = tmp_path_factory.mktemp("quiet")
    assert audit(folder, colour_server, QUIET) == 0
    return folder / "audits" / f"run_date={NIGHT}"


@pytest.fixture
def nights(quiet_night: Path, tmp_path: Path) -> Callable[[date], Path]:
    """Seven nights with the manifest of the quiet one; gives the folder of a night."""

    def folder(night: date) -> Path:
        return tmp_path / "audits" / f"run_date={night}"

    for days in range(1, 8):
        earlier = folder(NIGHT - timedelta(days=days))
        earlier.mkdir(parents=True)
        for name in ("manifest.json", "_SUCCESS"):
            shutil.copy(quiet_night / name, earlier)
    return folder


@pytest.fixture
def run(colour_server: str, tmp_path: Path) -> Callable[..., int]:
    return partial(audit, tmp_path, colour_server)


def manifest_of(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())


def test_a_night_keeps_what_later_ones_are_compared_by(run, nights):
    pictures = [picture(RED, size=(640, 480), image_format="JPEG")] * 3 + [picture(RED), b"%PDF-1.4"]

    assert run([row("A1", "870829", *pictures), row("A2", "8708.29", picture(RED)), row("A3", "8708.3")]) == 3

    kept = manifest_of(nights(NIGHT))["distributions"]
    assert kept["picture_formats"] == {"JPEG": 3, "PNG": 2}  # of the same file each time that it comes
    assert kept["picture_pixels"] == {"262144": 3, "1024": 2}
    assert sum(kept["declared_probability"].values()) == 2
    assert kept["novelty"] == {}  # this model gives none


def test_a_night_like_those_before_it_has_not_drifted(run, nights):
    assert run(QUIET[:40]) == 0

    drift = manifest_of(nights(NIGHT))["drift"]
    assert drift["nights"][0] == "2026-11-20"
    assert len(drift["nights"]) == 7
    assert drift["warning"] is None
    assert all(moved["psi"] <= moved["chance"] for moved in drift["shifts"].values())


def test_black_pictures_are_seen_on_the_first_night(run, nights, capsys):
    assert run(BLACK) == 3

    drift = manifest_of(nights(NIGHT))["drift"]
    told = " ".join(capsys.readouterr().err.split())
    assert drift["warning"] in told
    assert "the night has drifted from the 7 nights before it" in told
    assert drift["shifts"]["reasons"]["psi"] > max(drift["shifts"]["reasons"]["chance"], 0.25)
    assert drift["shifts"]["chapters"]["psi"] < drift["shifts"]["chapters"]["chance"]
    page = Page((nights(NIGHT) / "report.html").read_text(encoding="utf-8")).text
    assert "How far this night lies from the 7 nights before it" in page
    assert "moved away from those before it, beyond chance and a PSI of 0.25" in page
    assert "unknown_goods 0.0% → 100.0%" in page
    assert "그날 밤은 이전 야간 점검에서 우연의 한계와 PSI 기준 0.25보다 더 벗어났습니다" in page
    assert "hs_audit_drifted 1\n" in (nights(NIGHT) / "metrics.prom").read_text()


def test_the_warning_names_what_moved_furthest_and_another_version_of_the_model():
    def counts(first: int) -> dict[str, dict[str, int]]:
        return {name: {"a": first, "b": 1000 - first} for name in ("verdicts", "reasons", "chapters", "novelty")}

    before = Earlier([EarlierNight(NIGHT - timedelta(days=days), "hs version 7", counts(500)) for days in range(1, 7)])
    now = counts(900) | {"chapters": {"a": 990, "b": 10}}

    assert Drift(counts(510), "hs version 8", before, 0.25).warning is None
    assert Drift(now, "hs version 8", before, 0.25).warning == (
        "the night has drifted from the 6 nights before it, beyond chance and drift.max_psi of 0.25: chapters by a "
        "PSI of 2.23 (b: 50.0% → 1.0%), verdicts by a PSI of 0.88 (b: 50.0% → 10.0%), reasons by a PSI of 0.88 "
        "(b: 50.0% → 10.0%), and 1 more; hs version 8 classified it, and hs version 7 the latest of them"
    )


def test_without_a_bound_and_after_few_nights_nothing_is_warned_of(run, nights):
    assert run(BLACK, "{}") == 0
    assert run(BLACK, "{max_psi: 0.25, nights: 4}") == 0

    drift = manifest_of(nights(NIGHT))["drift"]
    assert drift["warning"] is None
    assert len(drift["nights"]) == 4
    assert drift["shifts"]["reasons"]["psi"] > 0.25


def test_a_night_again_is_the_same_run_until_those_before_it_are_others(run, nights):
    ids = []
    for change in (
        lambda: None,
        lambda: shutil.copytree(nights(NIGHT), nights(NIGHT + timedelta(days=1))),  # what comes after says nothing
        lambda: shutil.rmtree(nights(NIGHT - timedelta(days=3))),
    ):
        change()
        assert run(QUIET[:3]) == 0
        ids.append(manifest_of(nights(NIGHT))["run_id"])

    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "is no published run"),
        (b"{", "cannot be read"),
        (b'{"schema_version": 99}', "schema_version 99"),
        (b'{"schema_version": 1, "coverage_by_chapter": {}, "verdicts": {}, "reasons": {}, "pictures": {}}',
         "it has no distributions"),
        (b'{"schema_version": 1, "coverage_by_chapter": {}, "verdicts": {"agrees": -1}, "reasons": {}, "pictures": {},'
         b' "distributions": {}}', "its counts are none"),
        (b'{"schema_version": 1, "coverage_by_chapter": {}, "verdicts": {"agrees": 1%s}, "reasons": {}, "pictures": {},'
         b' "distributions": {}}' % (b"0" * 30), "its counts are none"),
        (b'{"schema_version": 1, "coverage_by_chapter": [], "verdicts": {}}', "its counts are none"),
    ],
)  # fmt: skip
def test_a_manifest_that_does_not_say_it_is_left_out(content, why, nights):
    damaged = nights(NIGHT - timedelta(days=2)) / "manifest.json"
    damaged.unlink() if content is None else damaged.write_bytes(content)

    earlier = earlier_nights(Location.parse(damaged.parent.parent), NIGHT, 28, ANYWHERE)

    assert why in earlier.left_out[date(2026, 11, 19)]
    assert len(earlier.nights) == 6


def test_on_object_storage_one_listing_and_what_stands_is_read(quiet_night, s3):
    output, stores = s3.folder("drift"), s3.stores()
    manifest = (quiet_night / "manifest.json").read_bytes()
    for night in ("2026-11-19", "2026-11-20", "2026-11-22"):
        stores.write_bytes(output / f"run_date={night}" / "attempt-a1" / "manifest.json", manifest)
        current = Current("a1", hashlib.sha256(manifest).hexdigest(), "2026-11-22T00:00:00+00:00").to_json()
        stores.write_bytes(output / f"run_date={night}" / "_CURRENT", current)
    stores.write_bytes(output / "run_date=2026-11-18" / "attempt-a2" / "part.parquet", b"of a night that failed")
    s3.requests.clear()

    earlier = earlier_nights(output, NIGHT, 28, stores)

    assert [str(night.run_date) for night in earlier.nights] == ["2026-11-20", "2026-11-19"]
    assert "is no published run" in earlier.left_out[date(2026, 11, 18)]
    assert sum("list-type" in request[1] for request in s3.requests) == 1


def test_an_output_that_cannot_be_listed_is_told(s3):
    s3.fault = lambda method, path: DENIED if "list-type" in path else None

    with pytest.raises(UsageError, match=r"the output .* cannot be listed"):
        earlier_nights(s3.folder("drift"), NIGHT, 28, s3.stores())


def test_nights_that_are_left_out_cost_no_night_and_are_told(run, nights, caplog):
    for days in (2, 3):
        (nights(NIGHT - timedelta(days=days)) / "manifest.json").unlink()

    assert run(QUIET[:3]) == 0

    assert list(manifest_of(nights(NIGHT))["drift"]["left_out"]) == ["2026-11-19", "2026-11-18"]
    assert "the night is not compared with that of 2026-11-19" in caplog.text
    assert "_SUCCESS; give a run_date=… folder), nor with 1 other" in caplog.text
