"""The night by other engines, in environments of their own, and what measures them."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.engines.engine import ENGINES, OURS
from benchmarks.engines.night import run, write_night
from benchmarks.process_tree import watched
from benchmarks.stand_in import MODEL
from serving.fake import FakeServer
from serving.messages import PredictRequest
from serving.tensors import from_tensor, to_tensor

ROOT = Path(__file__).parents[1]
ROWS = 200


def test_what_a_command_starts_counts_as_its_own(tmp_path: Path) -> None:
    busy = "end = time.process_time() + 1\nwhile time.process_time() < end: pass"
    child = f"import time; held = bytes(range(256)) * 400_000; {busy}"
    # The parent ends only after its child, and does nothing meanwhile.
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"

    ended = watched([sys.executable, "-c", f"{parent}; sys.exit(3)"], tmp_path / "log")

    assert ended.code == 3
    assert 1.0 <= ended.cpu_s < 3.0
    assert 102 < ended.peak_mb < 150


@pytest.fixture(scope="module")
def environments() -> Path:
    ours = [f"PYTHON={sys.executable}", f"VENV={sys.prefix}"]  # with PYTHON alone it would make another for us, too
    made = subprocess.run(["make", "peers", *ours], cwd=ROOT, capture_output=True, text=True)
    if "No matching distribution" in made.stderr or "Failed to establish a new connection" in made.stderr:
        pytest.skip("the package index cannot be reached")
    assert made.returncode == 0, made.stderr
    return ROOT / ".venv-peers"


def _picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


def _by_colour(request, response) -> None:
    if isinstance(request, PredictRequest) and "images" in request.inputs:
        brightest = from_tensor(request.inputs["images"]).mean(axis=(1, 2)).argmax(axis=1)
        probabilities = np.where(np.arange(3) == brightest[:, None], 0.8, 0.1).astype(np.float32)
        response.outputs["probabilities"].CopyFrom(to_tensor(probabilities))


@pytest.mark.endurance
@pytest.mark.parametrize("name", ENGINES)
def test_a_peer_recommends_what_we_do_and_loses_no_more_than_is_said(name, environments: Path, tmp_path: Path) -> None:
    colours = [_picture(colour) for colour in ("red", "lime", "blue", "lime", "red")] * 10
    archives = {
        "intact": write_night(tmp_path / "intact", colours, ROWS),
        "broken": write_night(tmp_path / "broken", [*colours[:49], colours[0][:300]], ROWS),
    }

    found = {}
    with FakeServer(MODEL, spoil=_by_colour).listening() as address:
        for engine in (OURS, ENGINES[name]):
            for archive, path in archives.items():
                folder = tmp_path / engine.name / archive
                folder.mkdir(parents=True)
                ended = run(engine, environments, path, address, folder)
                said = (folder / "log").read_text()
                if "The current node timed out during startup" in said:
                    pytest.skip("Ray gives its agents 15 s to start, and this machine is too busy for that")
                assert ended.code == 0, said
                found[engine.name, archive] = engine.findings(folder)

    ours = found["hs-audit", "intact"]
    theirs = {key: MODEL.table.labels[int(number)] for key, number in found[name, "intact"].items()}
    assert len(ours) == ROWS
    assert set(ours.values()) == set(MODEL.table.labels)
    assert theirs == ours
    unreadable = {f"D{row}" for row in range(49, ROWS, 50)}
    assert {key for key, code in found["hs-audit", "broken"].items() if code is None} == unreadable
    assert len(found["hs-audit", "broken"]) == ROWS
    answered = {key for key, number in found[name, "broken"].items() if number is not None}
    if name == "ray-data":  # drops the batches that a broken picture is in
        assert answered < ours.keys() - unreadable
    else:
        assert answered == ours.keys() - unreadable
