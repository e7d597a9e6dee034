"""Training end to end, small: cases in, a version that keeps the contract out."""

import io
import json
import signal
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs.card import Card, Mistake, Thresholds
from hs.errors import UsageError
from hs.pictures.decoding import PictureLimits, PictureSize, decode
from hs_audit.cli import main
from serving.client.client import Client
from serving.client.connection import Connection
from serving.server.bundled import bundled_server
from tests.archives import COLOURS, picture
from tests.disks import full_disk
from tests.rulings import noise, tinted_cases, write_cases


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    cases = write_cases(folder / "cases.parquet", [*tinted_cases(9), ("870829", [b"", b"%PDF-1.4"])])
    assert main(["train", f"--cases={cases}", f"--output={folder / 'model'}", "--epochs=8"]) == 0
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
    np.testing.assert_allclose(served.novelty, saved["novelty"].numpy(), atol=1e-5)


def test_a_trained_model_knows_what_it_learned_from_and_nothing_else(trained):
    import tensorflow as tf

    signature = tf.saved_model.load(str(trained / "1")).signatures["serving_default"]
    card = Card.from_json((trained / "1" / "assets.extra" / "hs_audit.json").read_text())
    size, limits = PictureSize(card.height, card.width, card.resize_filter), PictureLimits()
    learned = [decode(pictures[0], size, limits).pixels for _, pictures in tinted_cases(9)]
    stripes = np.tile(np.array([0, 255], np.uint8)[:, None], (card.height, card.width // 2, 3)).reshape(
        learned[0].shape
    )

    novelty = signature(images=tf.constant(np.stack([*learned, stripes])))["novelty"].numpy()

    assert novelty[:-1].max() < 1e-3
    assert novelty[-1] > card.thresholds.novel_above
    assert card.thresholds_for[Mistake.AT_RANDOM].novel_above == card.thresholds.novel_above


def test_a_trained_model_names_the_case_that_a_picture_is_of_and_its_code(trained):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(trained / "1")).signatures
    cases = tinted_cases(9)
    size = PictureSize(64, 64)
    pixels = np.stack([decode(pictures[0], size, PictureLimits()).pixels for _, pictures in cases])

    said = signatures["nearest"](images=tf.constant(pixels))
    whose = signatures["precedents"](index=said["index"][:, 0])

    np.testing.assert_allclose(said["similarity"][:, 0], 1, atol=1e-3)
    assert whose["case_id"].numpy().tolist() == [f"case-{number}".encode() for number in range(len(cases))]
    assert whose["hs_code"].numpy().tolist() == [code.encode() for code, _ in cases]


def test_an_evaluation_says_how_well_unknown_goods_are_told(trained, tmp_path, capsys):
    stripes = io.BytesIO()
    Image.fromarray(np.tile(np.array([0, 255], np.uint8)[:, None], (24, 12, 3))[:, :24]).save(stripes, "PNG")
    cases = write_cases(tmp_path / "cases.parquet", [*tinted_cases(3), ("080810", [stripes.getvalue()])])

    code = main(["evaluate", str(trained), f"--cases={cases}", f"--output={tmp_path}", "--leave-out-unknown"])

    unknown = json.loads((tmp_path / "evaluation.json").read_text())["evaluations"][0]["unknown_goods"]
    assert code == 0
    assert (unknown["false_alarms"]["hits"], unknown["false_alarms"]["of"]) == (0, 9)
    assert (unknown["caught"]["hits"], unknown["caught"]["of"], unknown["auroc"]) == (1, 1, 1.0)
    assert "does not know, 1 of 1 (1.000) are taken for unknown goods" in " ".join(capsys.readouterr().out.split())


def test_codes_can_be_left_out_to_see_how_unknown_goods_are_told(tmp_path, capsys):
    cases = write_cases(tmp_path / "cases.parquet", [*tinted_cases(6), *[("080810", [noise(n)]) for n in range(6)]])
    flags = [f"--cases={cases}", f"--output={tmp_path / 'model'}", "--epochs=1"]

    refused = main(["train", *flags, "--leave-out=0809"])
    code = main(["train", *flags, "--leave-out=0808", "--edition=2017"])

    about = json.loads((tmp_path / "model" / "1" / "assets.extra" / "hs_audit.json").read_text())
    assert (refused, code) == (2, 0)
    assert "cases.parquet has no HS code that begins with 0809" in " ".join(capsys.readouterr().err.split())
    assert about["classes"] == sorted(COLOURS)
    assert about["hs_edition"] == "HS 2017"


def test_pixels_of_another_range_than_in_training_cannot_be_sent(trained):
    import tensorflow as tf

    signature = tf.saved_model.load(str(trained / "1")).signatures["serving_default"]

    assert signature.structured_input_signature[1]["images"].dtype == tf.uint8


@pytest.mark.parametrize(
    ("cases", "flags", "sentence"),
    [
        ([(code, [b""]) for code in COLOURS] * 3, [], "with a readable picture; too few: 392690 (0), 732690 (0)"),
        ([("cat", [picture("870829")])], [], "row 0: hs_code 'cat' is not an HS code"),
        ([("870829", [picture("870829")])] * 4, [], "at least two HS codes, got 870829"),
        (tinted_cases(2), [], "each HS code needs at least 3 different cases"),
        ([*tinted_cases(3), *[("080810", [b""])] * 3], [], "with a readable picture; too few: 080810 (0)"),
        (tinted_cases(3), ["--backbone=resnet"], "or the path of a .keras file"),
        (tinted_cases(3), ["--backbone=none.keras"], "does not exist"),
        (None, [], "does not exist"),
    ],
)
def test_cases_that_cannot_be_learned_from_are_one_sentence(tmp_path, capsys, cases, flags, sentence):
    path = tmp_path / "cases.parquet"
    if cases is not None:
        write_cases(path, cases)

    code = main(["train", f"--cases={path}", f"--output={tmp_path / 'model'}", *flags])

    assert code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("model/*"))


def backbone_file(folder: Path) -> Path:
    """A pretrained backbone, as far as training knows."""
    import keras

    from model.training.backbones import load_backbone

    keras.utils.set_random_seed(7)
    path = folder / "own.keras"
    load_backbone("compact").network.save(path)
    return path


@pytest.mark.slow  # a network in a file is looked at in a process of its own
def test_a_backbone_is_trained_and_exported_for_the_larger_pictures_that_its_maps_have_room_for(tmp_path):
    import keras

    keras.utils.set_random_seed(7)
    x = images = keras.Input((60, 60, 3))
    for filters in (8, 8, 16, 16):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(16, 1, activation="relu")(x)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(x)).save(tmp_path / "own.keras")
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(9))
    flags = [f"--backbone={tmp_path / 'own.keras'}", "--fine-tune=0.05", "--epochs=2", "--variants=2"]

    code = main(["train", f"--cases={cases}", f"--output={tmp_path / 'model'}", *flags])

    about = json.loads((tmp_path / "model" / "1" / "assets.extra" / "hs_audit.json").read_text())
    assert code == 0
    assert (about["height"], about["width"]) == (64, 64)
    assert about["recipe"]["tail"]["window"] == 0.8


class Stopped(Exception):
    pass


def train_here(folder: Path, backbone: Path, stop_after: int | None = None) -> tuple[list, int]:
    """Trains and stops after so many steps of progress: what was learned, and how many steps there were."""
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone
    from model.training.networks import Devices, weights_digest
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    done = 0

    @contextmanager
    def task(name: str, total: int):
        def advance(count: int, pictures: int = 0) -> None:
            nonlocal done
            done += 1
            if done == stop_after:
                raise Stopped

        yield advance

    phases = Phase(4, 2e-3, 16), Phase(3, 1e-3, 16, front=0.3, averaged=0.8, window=0.7)
    recipe = Recipe(*phases, tail_share=0.5, variants=2, folds=2, measured=2, early_stopping=True)
    cases = open_cases(folder.parent / "cases.parquet")
    trained = Trainer(load_backbone(str(backbone)), recipe, Devices(), folder, task).train(cases)
    fitted = trained.calibration
    facts = [weights_digest(trained.network), fitted.temperature, fitted.power, fitted.confusion.tolist()]
    return [*facts, trained.thresholds, trained.metrics, trained.epochs, trained.curves], done


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list, int]:
    folder = tmp_path_factory.mktemp("interrupted")
    write_cases(folder / "cases.parquet", tinted_cases(16))
    backbone = backbone_file(folder)
    return folder, backbone, *train_here(folder / "whole", backbone)


@pytest.mark.parametrize(
    "share", [*(pytest.param(share, marks=pytest.mark.slow) for share in (0.02, 0.1, 0.6, 0.98)), 0.4]
)
def test_a_training_that_was_interrupted_ends_in_the_same_classifier(uninterrupted, monkeypatch, share):
    monkeypatch.setattr("model.training.epochs._CHECKPOINT_EVERY_S", 0.0)
    folder, backbone, whole, steps = uninterrupted

    with pytest.raises(Stopped):
        train_here(folder / f"at-{share}", backbone, stop_after=max(1, int(share * steps)))
    again, steps_left = train_here(folder / f"at-{share}", backbone)

    assert again == whole
    assert steps_left <= steps


def test_unknown_goods_are_told_by_what_stays_frozen_in_the_graph_as_in_numpy(tmp_path):
    import tensorflow as tf

    from hs_audit.steps import Steps
    from model.cases.reading import open_cases
    from model.exported.export import export_trained
    from model.training.backbones import load_backbone
    from model.training.networks import Devices
    from model.training.novelty import marks
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    cases = open_cases(write_cases(tmp_path / "cases.parquet", tinted_cases(8)))
    backbone = load_backbone(str(backbone_file(tmp_path)))
    recipe = Recipe(Phase(2, 2e-3, 16), Phase(1, 1e-3, 16), tail_share=0.5, variants=0, folds=2, measured=1)
    trainer = Trainer(backbone, recipe, Devices(), tmp_path / "work", Steps().step)
    pixels = np.stack([picture.pixels for picture in cases.pictures(trainer.size)])
    stripes = np.tile(np.array([0, 255], np.uint8)[:, None], (64, 32, 3)).reshape(1, 64, 64, 3)
    images = np.concatenate([pixels, stripes])

    trained = trainer.train(cases)
    _, version = export_trained(trained, backbone, recipe, cases, tmp_path / "model")
    said = tf.saved_model.load(str(version)).signatures["serving_default"](images=tf.constant(images))

    _, maps = trained.network.predict(images.astype(np.float32), verbose=0)
    assert maps.ndim == 4
    np.testing.assert_allclose(said["novelty"].numpy(), trained.seen.novelty(marks(maps)), atol=1e-4)
    assert said["novelty"].numpy()[:-1].max() < 1e-2 < said["novelty"].numpy()[-1]


def from_scratch(cases: Path, work: Path, others: Path | None = None, born: int = 0) -> tuple[list, list[str]]:
    """Trains the compact network: what was learned, and the names of the files that were kept on the way."""
    import keras

    from hs_audit.steps import Steps
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone
    from model.training.networks import Devices, weights_digest
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    keras.utils.set_random_seed(born)
    recipe = Recipe(None, Phase(2, 4e-3, 16), variants=0, folds=2, measured=1)
    trainer = Trainer(load_backbone("compact"), recipe, Devices(), work, Steps().step)
    trained = trainer.train(open_cases(cases), open_cases(others) if others else None)
    learned = [weights_digest(trained.network), trained.calibration.temperature, trained.thresholds, trained.metrics]
    return learned, sorted(str(path.relative_to(work)) for path in work.rglob("*"))


def test_a_network_without_weights_learns_as_a_whole_whatever_share_is_asked_for(tmp_path):
    from hs_audit.steps import Steps
    from model.training.backbones import load_backbone
    from model.training.networks import Devices
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    recipe = Recipe(None, Phase(1, 4e-3, 16), tail_share=0.5)
    trainer = Trainer(load_backbone("compact"), recipe, Devices(), tmp_path, Steps().step)

    parts = trainer._cut()

    assert (parts.stem, parts.tail) == (None, trainer.backbone.network)


def test_another_validation_set_is_measured_anew_in_the_same_work_folder(tmp_path):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(6))
    others = [
        write_cases(tmp_path / f"{seed}.parquet", [(code, [noise(seed + n)]) for n in range(4) for code in COLOURS])
        for seed in (5000, 6000)
    ]
    (_, *first), _ = from_scratch(cases, tmp_path / "work", others[0])

    (_, *second), _ = from_scratch(cases, tmp_path / "work", others[1])

    assert second != first


def test_a_training_from_scratch_goes_on_in_a_network_of_other_random_weights(tmp_path):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(6))

    once, kept = from_scratch(cases, tmp_path / "work", born=1)
    again, kept_again = from_scratch(cases, tmp_path / "work", born=2)

    assert again == once
    assert kept_again == kept


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(6))
    command = ["train", f"--cases={cases}", f"--output={tmp_path / 'model'}", "--size=32"]
    program = [sys.executable, "-m", "hs_audit.cli", *command, "--epochs=2000"]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    assert any("looking at the cases" in line for line in process.stderr)

    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    again = main([*command, "--epochs=2"])

    assert process.returncode == 130
    *meanwhile, last = said.splitlines()  # it goes on until the signal is there
    assert last == "hs-audit train: interrupted; the same command goes on from here"
    told = ["18 cases in 18 groups: no two alike", "held out: 2 quarters of each code by looks, 2 at random"]
    assert meanwhile == told[: len(meanwhile)]
    assert again == 0
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]


def test_validation_measures_and_tunes_only_where_asked(tmp_path, capsys):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(6))
    unseen = [(code, [noise(seed, COLOURS[code])]) for seed in range(5000, 5004) for code in COLOURS]
    others = write_cases(tmp_path / "others.parquet", unseen)
    about = {}
    for name, flags in {"folds": [], "others": ["--tune-on-validation"]}.items():
        model = tmp_path / name
        assert not main(
            [
                "train",
                f"--cases={cases}",
                f"--output={model}",
                f"--validation={others}",
                "--epochs=1",
                "--size=32",
                *flags,
            ]
        )
        about[name] = json.loads((model / "1" / "assets.extra" / "hs_audit.json").read_text())

    assert "on others.parquet: top-1" in capsys.readouterr().err
    assert about["folds"]["metrics"]["held_out_pictures"] == 6
    assert about["others"]["metrics"]["held_out_pictures"] == 12


def test_codes_of_the_validation_that_training_has_not_are_one_sentence(tmp_path, capsys):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(3))
    others = write_cases(tmp_path / "others.parquet", [("080810", [noise(1)])])

    code = main(["train", f"--cases={cases}", f"--output={tmp_path / 'm'}", f"--validation={others}"])

    assert code == 2
    assert "others.parquet has codes that training has not: 080810" in " ".join(capsys.readouterr().err.split())


def test_the_novelty_of_held_out_pictures_takes_little_memory(tmp_path):
    from hs_audit.steps import Steps
    from model.training.backbones import load_backbone
    from model.training.examples import Examples
    from model.training.networks import Devices, head
    from model.training.novelty import look_at
    from model.training.recipes import Phase, Recipe
    from model.training.row_files import RowFile
    from model.training.trainer import Trainer, _Learner

    features = np.random.default_rng(0).random((30_000, 256), np.float32)
    rows = RowFile(tmp_path / "features", (256,), "float32")
    rows.append(features, at=0)
    nothing = np.zeros(30_000, int)
    examples = Examples(rows, rows, ("a",), nothing, nothing, nothing, nothing.astype(bool), 0, ())
    recipe = Recipe(Phase(1, 1e-3, 32), None)
    trainer = Trainer(load_backbone("compact"), recipe, Devices(), tmp_path, Steps().step)
    seen, learner = look_at(features[:100]), _Learner(None, head(256, 2, 0.5), None)

    tracemalloc.start()
    novelty = trainer._novelty(seen, learner, examples, np.arange(30_000))
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()

    np.testing.assert_allclose(novelty, seen.novelty(features), atol=1e-6)
    assert peak_mb < 10


def test_codes_that_are_left_out_make_no_case_another_ones(tmp_path):
    from hs_audit.steps import Steps
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone
    from model.training.networks import Devices
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    cases = open_cases(write_cases(tmp_path / "cases.parquet", [("010121", [noise(1)]), *tinted_cases(4)]))
    recipe = Recipe(None, Phase(1, 1e-3, 32), variants=0, drop_small_codes=3)
    trainer = Trainer(load_backbone("compact"), recipe, Devices(), tmp_path, Steps().step)

    kept, examples = trainer._enough_examples(cases, trainer._cut(), least=2)

    codes = [case.hs_code for case in kept.rows(False)]
    assert [codes[case] for case in examples.cases] == [examples.classes[label] for label in examples.labels]


def test_rare_codes_can_count_more_or_be_shown_more_often():
    from model.training.epochs import Shown, _epoch
    from model.training.examples import Examples
    from model.training.recipes import Phase
    from model.training.row_files import RowFile

    labels = np.array([0] * 90 + [1] * 10)
    rows = RowFile(Path("none"), (1,), "float32")
    nothing = np.zeros(100, int)
    examples = Examples(rows, None, ("a", "b"), labels, nothing, nothing, nothing.astype(bool), 0, ())
    shown = Shown(rows, np.arange(100), examples)

    weighted = _epoch(shown, Phase(1, 1e-3, 100), "weights", np.random.default_rng(0))
    sampled = _epoch(shown, Phase(1, 1e-3, 100), "sampling", np.random.default_rng(0))

    targets, weights = weighted._targets
    assert weights @ targets == pytest.approx([50, 50])
    assert sampled._targets[0].sum(axis=0) == pytest.approx([50, 50], abs=15)


@pytest.mark.parametrize(
    "devices",
    [
        pytest.param({"precision": "mixed_bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"precision": "mixed_float16"}, marks=pytest.mark.endurance),  # a CPU takes a minute for it
        pytest.param({"mirrored": True}, marks=pytest.mark.endurance),
    ],
)
def test_what_is_exported_is_float32_however_it_was_trained(tmp_path, devices):
    from hs_audit.steps import Steps
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone
    from model.training.networks import Devices
    from model.training.recipes import Phase, Recipe
    from model.training.trainer import Trainer

    cases = open_cases(write_cases(tmp_path / "cases.parquet", tinted_cases(12)))
    recipe = Recipe(None, Phase(12, 4e-3, 12), variants=0, folds=3, measured=1)
    steps = Steps()

    trained = Trainer(load_backbone("compact"), recipe, Devices(**devices), tmp_path / "work", steps.step).train(cases)

    assert {weight.dtype for weight in trained.network.get_weights()} == {np.dtype("float32")}
    assert {output.dtype for output in trained.network.outputs} == {"float32"}
    assert trained.metrics["held_out_top_1"] > 0.8


def in_half_precision(folder: Path, epochs: int, *, head: float, learning_rate: float):
    """Trains a layer in float16 below a fixed float32 head with weights of this size: the network, and its losses."""
    import keras

    from model.training.epochs import Shown, fit
    from model.training.examples import Examples
    from model.training.recipes import Phase, Recipe
    from model.training.row_files import RowFile

    folder.mkdir(exist_ok=True)
    random, numbers = np.random.default_rng(0), np.arange(64)
    labels = random.integers(2, size=64)
    rows = RowFile(folder / "rows", (4,), "float32")
    rows.append(random.normal(size=(64, 4)) + 2 * labels[:, None] - 1, at=0)
    examples = Examples(rows, None, ("a", "b"), labels, numbers, numbers, np.zeros(64, bool), 0, ())
    tail = keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros", dtype="mixed_float16")
    top = keras.layers.Dense(2, use_bias=False, trainable=False)
    network = keras.Sequential([keras.Input((4,)), tail, top])
    top.set_weights([head * np.array([[1, -1], [-1, 1]], np.float32)])
    phase = Phase(10, learning_rate, 64, steady=True)
    fitted = fit(
        network,
        Shown(rows, numbers, examples),
        phase,
        Recipe(None, phase),
        precision="mixed_float16",
        epochs=epochs,
        held_out=None,
        checkpoint=folder / "fit.npz",
        advance=lambda _: None,
    )
    return network, fitted.losses


def test_gradients_too_small_for_half_precision_are_learned_from(tmp_path):
    _, losses = in_half_precision(tmp_path, 10, head=4e-7, learning_rate=2e5)

    assert losses[-1] < losses[0] - 0.005


def test_a_training_in_half_precision_goes_on_with_the_scale_that_it_had(tmp_path):
    too_large = {"head": 100.0, "learning_rate": 1e-4}
    whole, _ = in_half_precision(tmp_path / "whole", 10, **too_large)

    in_half_precision(tmp_path / "again", 6, **too_large)
    again, _ = in_half_precision(tmp_path / "again", 10, **too_large)

    scales = [float(network.optimizer.dynamic_scale) for network in (whole, again)]
    assert scales[0] == scales[1] < 2**15
    np.testing.assert_array_equal(whole.get_weights()[0], again.get_weights()[0])
    assert np.abs(whole.get_weights()[0]).min() > 0


@pytest.mark.parametrize("limit_bytes", [100_000, 700_000])
def test_a_full_disk_is_one_sentence_and_leaves_no_version(tmp_path, capsys, limit_bytes):
    cases = write_cases(tmp_path / "cases.parquet", tinted_cases(9))
    flags = [f"--cases={cases}", f"--output={tmp_path / 'model'}", "--epochs=1", "--variants=0"]

    with full_disk(limit_bytes):
        code = main(["train", *flags])

    assert code == 2
    assert "cannot be written: File too large" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "model").iterdir()] == [".work"]


def test_an_export_onto_a_full_disk_leaves_nothing(tmp_path):
    import keras

    from model.exported.export import export
    from model.training.networks import head

    images = keras.Input((8, 8, 3))
    network = keras.Model(images, head(192, 900, 0.5)(keras.layers.Flatten()(images)))
    card = Card(8, 8, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.1, 0.5, 0.9), "sha256:0")

    with full_disk(300_000), pytest.raises(UsageError, match="the model cannot be written to"):
        export(network, tuple(f"{number:04}" for number in range(900)), card, {}, tmp_path / "model")

    assert not list((tmp_path / "model").iterdir())


def test_the_graph_calibrates_as_was_fitted(tmp_path):
    import keras
    import tensorflow as tf

    from model.exported.export import export
    from model.training.calibration import Calibration

    images = keras.Input((4, 4, 3))
    network = keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(images)))
    fitted = Calibration(40.0, 1.7, np.array([[0.8, 0.2, 0], [0.1, 0.9, 0], [0, 0, 1]], np.float32))
    card = Card(4, 4, "bilinear", 2, "HS 2022", fitted.temperature, Thresholds(0.1, 0.5, 0.9), "sha256:0")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3)).astype(np.uint8)

    how = {"power": fitted.power, "confusion": fitted.confusion}
    _, version = export(network, ("010121", "010129", "010130"), card, {}, tmp_path / "model", **how)

    said = tf.saved_model.load(str(version)).signatures["serving_default"](images=tf.constant(pixels))
    expected = fitted(network.predict(pixels.astype(np.float32), verbose=0))
    np.testing.assert_allclose(said["probabilities"], expected, atol=1e-6)
