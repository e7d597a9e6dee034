"""Training end to end, small: cases in, a version that keeps the contract out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.client import Client, Connection
from serving.launch import bundled_server
from tests.archives import COLOURS, IMAGES, picture


def write_cases(path: Path, cases: list[tuple[str, list[bytes]]]) -> Path:
    table = pa.table(
        {
            "case_id": [str(number) for number in range(len(cases))],
            "hs_code": [hs_code for hs_code, _ in cases],
            "images": pa.array([[{"bytes": data, "path": ""} for data in pictures] for _, pictures in cases], IMAGES),
        }
    )
    pq.write_table(table, path)
    return path


def colourful_cases(each: int = 9) -> list[tuple[str, list[bytes]]]:
    return [(code, [picture(code, shade=3 * number)]) for number in range(each) for code in COLOURS]


def train(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipeline.cli", "train", *flags]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    cases = write_cases(folder / "cases.parquet", [*colourful_cases(), ("870829", [b"", b"%PDF-1.4"])])
    done = train(f"--cases={cases}", f"--output={folder / 'model'}", "--epochs=8")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return folder / "model"


def test_a_trained_model_is_exported_whole_under_its_number(trained):
    about = json.loads((trained / "1" / "assets.extra" / "hs_audit.json").read_text())

    assert [path.name for path in trained.iterdir()] == ["1"]
    assert about["classes"] == sorted(COLOURS)
    assert about["unreadable"] == {"empty": 1, "not_a_picture": 1}
    assert about["cases_digest"].startswith("sha256:")
    assert (trained / "1" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_the_served_model_gives_the_probabilities_of_the_saved_one(trained):
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    saved = tf.saved_model.load(str(trained / "1")).signatures["serving_default"](images=tf.constant(images))

    with bundled_server(trained) as address:
        client = Client(Connection(address))
        served = client.classify(client.resolve("hs"), images)
        client.close()

    np.testing.assert_allclose(served.probabilities, saved["probabilities"].numpy(), atol=1e-5)


def test_pixels_of_another_range_than_in_training_cannot_be_sent(trained):
    import tensorflow as tf

    signature = tf.saved_model.load(str(trained / "1")).signatures["serving_default"]

    assert signature.structured_input_signature[1]["images"].dtype == tf.uint8


@pytest.mark.parametrize(
    ("cases", "flags", "sentence"),
    [
        ([(code, [b""]) for code in COLOURS] * 3, [], "has no readable picture"),
        ([("cat", [picture("870829")])], [], "row 0: hs_code 'cat' is not an HS code"),
        ([("870829", [picture("870829")])] * 4, [], "at least two HS codes"),
        (colourful_cases(2), [], "each HS code needs at least 3 different cases"),
        (colourful_cases(3), ["--backbone=resnet"], "or the path of a .keras file"),
        (colourful_cases(3), ["--backbone=none.keras"], "does not exist"),
        (None, [], "does not exist"),
    ],
)
def test_cases_that_cannot_be_learned_from_are_one_sentence(tmp_path, capsys, cases, flags, sentence):
    from pipeline.cli import main

    path = tmp_path / "cases.parquet"
    if cases is not None:
        write_cases(path, cases)

    code = main(["train", f"--cases={path}", f"--output={tmp_path / 'model'}", *flags])

    assert code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("model/*"))
