"""Memory does not depend on the archive: peak above imports, in a process of its own, for row groups of 500 MB."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs.card import Card, Thresholds
from pipeline.archive.page_sizes import largest_data_page
from pipeline.archive.row_groups import LARGE_PAGE_BYTES
from serving.server.bundled import bundled_server
from tests.archives import COLOURS, IMAGES

ARCHIVE_BYTES = 500_000_000
LOCAL = Path(__file__).parent.parent / "configs" / "local.yaml"

PROBE = """
import json, sys
from hs_audit.cli import main
main(["config", "local"])
import pipeline.night, hs_audit.commands.run
def status_mb(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024 / 1e6
before = status_mb("VmRSS")
code = main(sys.argv[1:])
peak = status_mb("VmHWM")
print(json.dumps({"code": code, "mb": peak - before, "all_mb": peak}))
"""


@pytest.fixture(scope="module")
def large_input_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A classifier that wants 224 x 224 pixels, as the paper's do, and hardly computes."""
    import keras

    from model.exported.export import export

    folder = tmp_path_factory.mktemp("models") / "large"
    images = keras.Input((224, 224, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.AveragePooling2D(16)(images))
    network = keras.Model(images, keras.layers.Dense(3)(pooled))
    card = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.4, 1.0), "sha256:00")
    export(network, tuple(COLOURS), card, {}, folder)
    with bundled_server(folder) as address:
        yield address


def photos(side: int, at_least_bytes: int) -> list[bytes]:
    """A dozen JPEGs of about one size in bytes."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(12):
        coarse = Image.fromarray(random.integers(0, 255, (side // 4, side // 4, 3), np.uint8))
        image = coarse.resize((side, side), Image.Resampling.BICUBIC)
        for quality in range(20, 100, 3):
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality)
            if out.tell() >= at_least_bytes:
                break
        made.append(out.getvalue())
    return made


def one_large_row_group(path: Path, pictures: list[bytes], write_batch_size: int) -> None:
    """Writes 500 MB of declarations as one row group; each picture is a file of its own by a few last bytes."""
    count = ARCHIVE_BYTES // (sum(map(len, pictures)) // len(pictures))
    images = [[{"bytes": pictures[n % len(pictures)] + b"%d" % n, "path": "a.jpg"}] for n in range(count)]
    table = pa.table(
        {
            "declaration_id": [str(n) for n in range(count)],
            "declared_hs_code": ["870829"] * count,
            "images": pa.array(images, IMAGES),
            "net_mass_kg": [1.0] * count,
        }
    )
    pq.write_table(
        table, path, row_group_size=count, write_batch_size=write_batch_size, use_dictionary=False, compression="none"
    )


@pytest.mark.slow
@pytest.mark.parametrize("write_batch_size", [16, 1024], ids=["small pages", "pages as pyarrow writes them"])
@pytest.mark.parametrize(("side", "picture_bytes"), [(348, 20_000), (1200, 300_000)], ids=["20 kB", "300 kB"])
def test_peak_memory_follows_the_largest_page_up_to_32_mb(
    tmp_path, large_input_server, side, picture_bytes, write_batch_size
):
    archive = tmp_path / "archive.parquet"
    one_large_row_group(archive, photos(side, picture_bytes), write_batch_size)
    page = largest_data_page(str(archive), "images")

    measured = run_of(archive, large_input_server, tmp_path)

    print(f"peak {measured['mb']:.0f} MB above imports, largest page {page.uncompressed_bytes / 1e6:.1f} MB")
    assert measured["code"] == 0
    assert measured["mb"] <= 100 + 3.5 * min(page.uncompressed_bytes, LARGE_PAGE_BYTES) / 1e6


@pytest.mark.slow
def test_a_declaration_of_500_megabytes_costs_no_more_than_its_largest_pictures(tmp_path, large_input_server):
    archive = tmp_path / "archive.parquet"
    pictures = photos(1200, 300_000)
    count = ARCHIVE_BYTES // (sum(map(len, pictures)) // len(pictures))
    images = [[{"bytes": pictures[n % len(pictures)] + b"%d" % n, "path": "a.jpg"} for n in range(count)]]
    columns = {"declaration_id": ["1"], "declared_hs_code": ["870829"], "net_mass_kg": [1.0]}
    pq.write_table(pa.table(columns | {"images": pa.array(images, IMAGES)}), archive)  # as pyarrow does by itself
    del images

    measured = run_of(archive, large_input_server, tmp_path)

    print(f"peak {measured['mb']:.0f} MB above imports, {measured['all_mb']:.0f} MB in all")
    assert measured["code"] == 0
    assert measured["mb"] <= 212
    assert measured["all_mb"] < 1000


def run_of(archive: Path, server: str, folder: Path) -> dict[str, float]:
    """Exit code and peak memory of a run in a process of its own, launcher and worker together."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "run", f"--config={LOCAL}", f"--server={server}",
         f"--input={archive}", f"--output={folder / 'audits'}"],
        capture_output=True, text=True,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured
