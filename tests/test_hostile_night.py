"""A night in which one of each hostile kind stands beside 200 good declarations."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.hostile import COSTLY, READ, REFUSED, UNPACKS, UNSUPPORTED, archive, odd_archives, saved

TEXTS = ["=cmd|' /C calc'!A1", "[/red]", "\x1b]0;owned\x07", "\u202eevil", "</script><script>alert(1)</script>", "\0"]
PICTURES = 20_000
PROBE = """
import sys
from hs_audit.cli import main
code = main(sys.argv[1:])
print(code, next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    goods = (RED, GREEN, BLUE)
    good = [row(f"good {n}", goods[n % 3], picture(goods[n % 3], shade=n % 25), office="Busan") for n in range(200)]
    write_archive(folder / "good.parquet", good, office=pa.string())
    files = UNSUPPORTED | {what: make() for what, make in (READ | REFUSED).items()}
    files |= {what: make() for what, (make, _) in COSTLY.items()}
    hostile = [row(what, "870829", data, picture(RED), office="Busan") for what, data in files.items()]
    hostile += [row(text, text, text.encode(), office=text) for text in TEXTS]
    write_archive(folder / "pictures.parquet", hostile, row_group_size=1, office=pa.string())
    colours = [saved(Image.new("RGB", (8, 8), (n & 255, n >> 8, 0)), "BMP") for n in range(PICTURES)]
    write_archive(folder / "album.parquet", [row("album", "870829", *colours)])
    odd_archives(folder)
    for number, kind in enumerate(UNPACKS):
        archive(folder / f"unpacks {number}.parquet", 20, **UNPACKS[kind](20))
    whole = (folder / "good.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "flipped.parquet").write_bytes(whole[:300] + b"\xff" * 200 + whole[500:])
    (folder / "text.parquet").write_bytes(b"declaration_id,images\n")
    (folder / "empty.parquet").touch()
    (folder / "CP949 \udcbd\udcc3.parquet").write_bytes(whole)
    return folder


@pytest.mark.slow
def test_a_night_of_hostile_files_is_published_and_the_good_ones_are_complete(corpus, colour_server, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("server: {model: hs}\nlimits: {max_unscored_share: 1.0}\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    done = subprocess.run(
        [sys.executable, "-c", PROBE, "run", f"--config={config}", "--run-date=2026-11-21",
         f"--server={colour_server}", f"--input={corpus}/*.parquet", f"--output={tmp_path / 'audits'}"],
        capture_output=True, text=True, errors="surrogateescape", check=False,
    )  # fmt: skip

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    took_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime  # whatever else the machine does
    assert "Traceback" not in done.stderr, done.stderr
    code, peak_kb = map(int, done.stdout.split()[-2:])
    print(f"{took_s:.0f} s of processor time, peak {peak_kb / 1000:.0f} MB\n{done.stderr}")
    assert code == 3
    published = tmp_path / "audits" / "run_date=2026-11-21"
    findings = findings_of(published)
    good = [finding for finding in findings if finding["declaration_id"].startswith("good ")]
    assert len({finding["declaration_id"] for finding in good}) == 200
    assert {finding["verdict"] for finding in good} == {"agrees"}
    (album,) = [finding for finding in findings if finding["declaration_id"] == "album"]
    assert album["images_used"] == PICTURES
    status_of = {one["declaration_id"]: one["pictures"][0]["status"] for one in findings if one["pictures"]}
    assert {what: status_of[what] for what in READ} == dict.fromkeys(READ, "ok")
    assert not {what for what in REFUSED | UNSUPPORTED if status_of[what] in ("ok", "too_costly")}
    letters = pq.read_table(published / "dead_letters").to_pylist()
    assert {"bad_footer", "too_large", "truncated", "not_parquet", "empty_file"} <= {one["reason"] for one in letters}
    manifest = json.loads((published / "manifest.json").read_text())
    assert manifest["pictures"]["too_costly"] == len(COSTLY)
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stderr)
    assert not [line for line in done.stderr.splitlines() if "warn" in line.lower() or "libpng" in line]
    assert peak_kb < 1_000_000
    assert took_s < 90
