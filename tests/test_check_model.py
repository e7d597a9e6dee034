"""`check model`: what a SavedModel could do, and whether it is what was exported."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf

from hs_audit.cli import main


@pytest.fixture
def version(colour_model: Path, tmp_path: Path) -> Path:
    """A copy of an exported version that a test may damage."""
    shutil.copytree(colour_model / "1", tmp_path / "model" / "1")
    return tmp_path / "model" / "1"


def check(version: Path, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    code = main(["check", "model", str(version.parent)])
    printed = capsys.readouterr()
    return code, " ".join((printed.out + printed.err).split())


def test_an_exported_model_passes(version, capsys):
    code, said = check(version, capsys)

    assert code == 0
    assert "requests of 1, 8 pictures" in said


def _save(version: Path, answer) -> None:
    """Replaces the graph by one whose answer is computed by `answer`, keeping signatures and names."""

    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.uint8, name="images")])
        def classify(self, images):
            return {"probabilities": answer(images)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="ping")])
        def describe(self, ping):
            rows = tf.shape(ping)[0]
            return {"hs_codes": tf.fill([rows, 3], "870829"), "card": tf.fill([rows], "{}")}

    module = Other()
    shutil.rmtree(version / "variables")
    tf.saved_model.save(
        module, str(version), signatures={"serving_default": module.classify, "classes": module.describe}
    )


def _even(images):
    return tf.fill([tf.shape(images)[0], 3], 1 / 3)


def _reads(images):
    secret = tf.io.read_file("/etc/hostname")
    return _even(images) + tf.cast(tf.strings.length(secret), tf.float32) * 0


def _writes_in_a_branch(images):
    with tf.control_dependencies([tf.io.write_file("/tmp/written", "x")]):
        return tf.cond(tf.size(images) > 0, lambda: tf.identity(_even(images)), lambda: _even(images))


def _calls_python(images):
    return tf.ensure_shape(tf.py_function(lambda pixels: pixels, [_even(images)], tf.float32), [None, 3])


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (_reads, "(ReadFile) is not known to be arithmetic"),
        (_writes_in_a_branch, "(WriteFile) is not known to be arithmetic"),
        (_calls_python, "(EagerPyFunc) is not known to be arithmetic"),
    ],
)
def test_a_graph_that_could_do_harm_is_refused_before_it_is_loaded(version, capsys, monkeypatch, answer, sentence):
    _save(version, answer)
    monkeypatch.setattr("model.exported.inspection.run_apart", lambda *_, **__: pytest.fail("it was loaded"))

    code, said = check(version, capsys)

    assert code == 6
    assert sentence in said


def test_an_operation_of_somebody_elses_is_refused(version, capsys):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = version / "saved_model.pb"
    saved = SavedModel.FromString(path.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if node.op == "Softmax":
                node.op = "ZeroOut"
    path.write_bytes(saved.SerializeToString())

    code, said = check(version, capsys)

    assert code == 6
    assert "(ZeroOut) is not known to be arithmetic" in said


def _cut_short(version: Path) -> None:
    path = version / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:1000])


def _change_weights(version: Path) -> None:
    path = next((version / "variables").glob("*.data-*"))
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(bytes(content))


def _change_about(version: Path, **values) -> None:
    path = version / "assets.extra" / "hs_audit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut_short, "saved_model.pb is no SavedModel"),
        (_change_weights, "has changed since the export"),
        (lambda version: (version / "saved_model.pb").unlink(), "saved_model.pb cannot be read"),
        (lambda version: (version / "assets.extra" / "golden.npz").unlink(), "golden.npz is missing since the export"),
        (lambda version: (version / "assets.extra" / "more").touch(), "more was not there since the export"),
        (lambda version: (version / "assets.extra" / "hs_audit.json").unlink(), "hs_audit.json lists no files"),
        (lambda version: _change_about(version, classes=["870829", "392690", "87*"]), "classes in the graph are not"),
        (lambda version: _change_about(version, temperature=2.0), "card in the graph is not that"),
    ],
)  # fmt: skip
def test_what_was_damaged_is_named(version, capsys, damage, sentence):
    damage(version)

    code, said = check(version, capsys)

    assert code == 6
    assert sentence in said


def test_a_graph_without_our_signatures_is_named(version, capsys):
    class Plain(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="images")])
        def classify(self, images):
            return {"probabilities": _even(images)}

    shutil.rmtree(version / "variables")
    module = Plain()
    tf.saved_model.save(module, str(version), signatures={"serving_default": module.classify})

    code, said = check(version, capsys)

    assert code == 6
    assert "there is no signature classes" in said
    assert "signature serving_default has {'images': ('DT_FLOAT', 4)}, but needs {'images': ('DT_UINT8', 4)}" in said


def test_a_model_that_is_not_there_is_one_sentence(tmp_path, capsys):
    code, said = check(tmp_path / "model" / "1", capsys)

    assert code == 6
    assert "holds no model: expected numbered versions" in said
