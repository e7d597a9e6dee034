"""Precedents: the pictures of cases that others are most like, from the features to what a served model answers."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hs.card import Card, Thresholds
from hs_audit.cli import main
from model.exported.export import export
from model.training.novelty import look_at, unit_rows
from model.training.precedents import NEAREST, Precedents, look_for_precedents
from serving.messages import ModelSpec, PredictRequest
from serving.server.batching import Batching
from serving.server.servable import Servable
from serving.tensors import to_tensor
from tests.archives import COLOURS

CODES = tuple(COLOURS)


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """Pictures of one colour each, uint8 [30, 8, 8, 3]: ten reds, ten greens, ten blues, ever darker."""
    strength = np.tile(np.linspace(250, 160, 10), 3)[:, None]
    colour = np.repeat(np.eye(3), 10, axis=0) * strength + np.tile(np.arange(10), 3)[:, None] * [3, 2, 1]
    return np.tile(colour[:, None, None], (1, 8, 8, 1)).clip(0, 255).astype(np.uint8)


def mean_colours(pictures: np.ndarray) -> np.ndarray:
    return pictures.astype(np.float32).mean(axis=(1, 2))


@pytest.fixture(scope="module")
def kept(colours) -> Precedents:
    def features_of(some: np.ndarray) -> np.ndarray:
        return mean_colours(colours[some])

    ids = [f"case-{number // 2}" for number in range(30)]
    return look_for_precedents(features_of, np.arange(30), np.repeat(np.arange(3), 10), ids, most_seen=100)


@pytest.fixture(scope="module")
def version(kept, colours, tmp_path_factory) -> Path:
    import keras

    from model.training.networks import weights_digest

    images = keras.Input((8, 8, 3))
    features = keras.layers.GlobalAveragePooling2D()(images)
    dense = keras.layers.Dense(3)
    network = keras.Model(images, [dense(features), features])
    dense.set_weights([np.eye(3, dtype=np.float32) / 50, np.zeros(3, np.float32)])
    thresholds = Thresholds(0.05, 0.4, 0.9, novel_above=0.5)
    card = Card(8, 8, "bilinear", 2, "HS 2022", 1.0, thresholds, weights_digest(network))
    seen = look_at(mean_colours(colours))
    return export(
        network, CODES, card, {}, tmp_path_factory.mktemp("precedents") / "model", seen=seen, precedents=kept
    )[1]


def test_every_original_picture_is_a_row_of_length_1(kept):
    assert kept.rows.shape == (30, 3)
    assert kept.rows.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(kept.rows.astype(np.float32), axis=1), 1, atol=1e-3)
    assert kept.case_ids[:3] == ("case-0", "case-0", "case-1")


def test_of_more_pictures_than_a_model_holds_an_even_choice_is_kept(monkeypatch):
    monkeypatch.setattr("model.training.precedents.MOST_PRECEDENTS", 5)
    features, ids = np.eye(12, dtype=np.float32), [str(number) for number in range(12)]

    kept = look_for_precedents(features.__getitem__, np.arange(12), np.arange(12), ids, most_seen=12)

    assert kept.case_ids == ("0", "3", "6", "9")
    assert kept.classes.tolist() == [0, 3, 6, 9]


def test_the_graph_finds_what_the_rows_say(version, kept, colours):
    said = tf.saved_model.load(str(version)).signatures["nearest"](images=tf.constant(colours))

    assert said["index"].shape == (30, NEAREST)
    assert said["index"].dtype == tf.int32
    likeness = unit_rows(mean_colours(colours) @ kept.directions) @ kept.rows.astype(np.float32).T
    np.testing.assert_allclose(said["similarity"], -np.sort(-likeness, axis=1)[:, :NEAREST], atol=1e-5)
    assert (np.take_along_axis(likeness, said["index"].numpy(), axis=1) >= said["similarity"].numpy() - 1e-5).all()


def test_the_nearest_of_a_code_are_cases_of_it_and_of_no_code_there_are_none(version, colours):
    nearest_of = tf.saved_model.load(str(version)).signatures["nearest_of"]

    said = nearest_of(images=tf.constant(colours[[0, 0, 0]]), hs_code=tf.constant([CODES[1], CODES[0], "999999"]))

    assert set(said["index"].numpy()[0]) == set(range(10, 20))
    assert said["index"].numpy()[1, 0] in range(10)
    assert said["index"].numpy()[2].tolist() == [-1] * NEAREST
    assert said["similarity"].numpy()[2].tolist() == [0] * NEAREST


@pytest.mark.parametrize("rows", [[0, 0, 7, 7, 0], [3], []])
def test_a_picture_that_comes_several_times_in_a_row_is_answered_each_time(version, colours, rows):
    nearest_of = tf.saved_model.load(str(version)).signatures["nearest_of"]
    codes = np.resize(CODES, len(rows)).astype(object)

    said = nearest_of(images=tf.constant(colours[rows]), hs_code=tf.constant(codes, tf.string))

    assert said["index"].shape == (len(rows), NEAREST)
    for place, row in enumerate(rows):
        alone = nearest_of(images=tf.constant(colours[[row]]), hs_code=tf.constant(codes[place : place + 1]))
        assert said["index"][place].numpy().tolist() == alone["index"][0].numpy().tolist()
        np.testing.assert_allclose(said["similarity"][place], alone["similarity"][0], atol=1e-6)


def test_an_index_is_told_whose_it_is_and_one_that_no_picture_has_is_nobodys(version):
    said = tf.saved_model.load(str(version)).signatures["precedents"](index=tf.constant([0, 29, -1, 30]))

    assert said["case_id"].numpy().tolist() == [b"case-0", b"case-14", b"", b""]
    assert said["hs_code"].numpy().tolist() == [CODES[0].encode(), CODES[2].encode(), b"", b""]


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("nearest", {"index", "similarity"}),
        ("nearest_of", {"index", "similarity"}),
        ("precedents", {"case_id", "hs_code"}),
    ],
)
def test_every_signature_has_the_batch_first_and_answers_row_by_row(version, colours, name, outputs):
    ask = tf.saved_model.load(str(version)).signatures[name]
    rows = {
        "images": colours[::5],
        "hs_code": np.resize(CODES, 6).astype(object),
        "index": np.arange(6, dtype=np.int32),
    }
    wanted = {key: rows[key] for key in ask.structured_input_signature[1]}

    def said(some: slice) -> dict[str, np.ndarray]:
        return {
            key: value.numpy() for key, value in ask(**{k: tf.constant(v[some]) for k, v in wanted.items()}).items()
        }

    alone = [said(slice(row, row + 1)) for row in range(6)]
    together = said(slice(None))

    assert all(spec.shape[0] is None for spec in ask.structured_input_signature[1].values())
    assert all(shape[0] is None for shape in ask.output_shapes.values())
    assert together.keys() == outputs
    for key, values in together.items():
        rows_of_one = np.concatenate([each[key] for each in alone])
        if key == "similarity":
            np.testing.assert_allclose(values, rows_of_one, atol=1e-6)
        else:
            assert values.tolist() == rows_of_one.tolist()


def check(version: Path, capsys) -> tuple[int, str]:
    code = main(["check", "model", str(version.parent)])
    printed = capsys.readouterr()
    return code, " ".join((printed.out + printed.err).split())


def test_check_model_asks_for_precedents_where_there_are_some(version, capsys):
    code, said = check(version, capsys)

    assert code == 0
    assert "30 pictures of cases, 10 are shown at once" in said


def test_a_card_that_counts_other_precedents_than_there_are_is_named(version, tmp_path, capsys):
    version = shutil.copytree(version, tmp_path / "model" / "1")
    about = version / "assets.extra" / "hs_audit.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"precedents": 5}))

    code, said = check(version, capsys)

    assert code == 6
    assert "a nearest case is none of those that the card counts" in said


def test_requests_for_precedents_that_a_server_merges_are_answered_as_alone(version, colours):
    # No warm-up: its one row would wait that minute for others.
    servable = Servable("hs", version, Batching(max_batch_size=8, timeout_s=60), warm_up=False)

    def ask(row: int, code: str) -> list[int]:
        request = PredictRequest(model_spec=ModelSpec(name="hs", signature_name="nearest_of"))
        request.inputs["images"].CopyFrom(to_tensor(np.repeat(colours[[row]], 4, axis=0)))
        request.inputs["hs_code"].CopyFrom(to_tensor(np.array([code.encode()] * 4, object)))
        return list(servable.predict(request).outputs["index"].int_val[:NEAREST])

    with ThreadPoolExecutor(2) as threads:  # two requests of four fill a batch, for which each waits a minute
        reds, blues = threads.map(ask, (0, 20), (CODES[0], CODES[2]))
    servable.close()

    assert (set(reds), set(blues)) == (set(range(10)), set(range(20, 30)))
