"""Files of networks and weights from strangers: what costs too much or reaches elsewhere is refused unread."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import h5py
import numpy as np
import pytest

from hs.apart import run_apart
from hs.errors import UsageError
from model.training import foreign_files
from model.training.backbones import load_backbone
from model.training.foreign_files import check_apart, problem_of


def _plain(file: h5py.File) -> None:
    """As Keras wrote it before its third version, and compressed."""
    file.attrs["layer_names"] = np.array([b"conv1"])
    file.attrs["backend"] = "tensorflow"
    group = file.create_group("conv1")
    group.attrs["weight_names"] = np.array([b"kernel:0"])
    noise = np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)
    group.create_dataset("kernel:0", data=noise, compression="gzip", shuffle=True)


def _zeros(file: h5py.File) -> None:
    file.create_dataset("kernel", (20_000, 20_000), np.float32, chunks=(1000, 1000), compression="gzip")


def _large_piece(file: h5py.File) -> None:
    file.create_dataset("kernel", (1 << 27,), np.float32, chunks=(1 << 27,), compression="gzip")


def _attribute(file: h5py.File) -> None:
    file.attrs["model_config"] = "x" * 20_000_000


def _many_attributes(file: h5py.File) -> None:
    for number in range(30):
        group = file.create_group(str(number))
        for name in "abcdefghij":
            group.attrs[name] = np.zeros(60_000, np.uint8)


def _many_objects(file: h5py.File) -> None:
    for number in range(51):
        file.create_group(str(number))


def _external_link(file: h5py.File) -> None:
    file["kernel"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft_link(file: h5py.File) -> None:
    file["kernel"] = h5py.SoftLink("/elsewhere")


def _circle(file: h5py.File) -> None:
    file.create_group("a")["b"] = file["/"]


def _external_storage(file: h5py.File) -> None:
    file.create_dataset("kernel", (10,), np.uint8, external=[("/etc/passwd", 0, 10)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (10,))
    file.create_virtual_dataset("kernel", layout)


def _text(file: h5py.File) -> None:
    file.create_dataset("kernel", data=["a", "b"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (_plain, None),
        (_zeros, "unpacks to more than 1,0"),
        (_large_piece, "unpacks /kernel in pieces of more than 268,435,456 bytes"),
        (_attribute, "has attributes of more than 16,777,216 bytes"),
        (_many_attributes, "has attributes of more than 16,777,216 bytes"),
        (_many_objects, "holds more than 50 objects"),
        (_external_link, "links to another place at /kernel"),
        (_soft_link, "links to another place at /kernel"),
        (_circle, "holds /a/b twice"),
        (_external_storage, "takes /kernel from another file"),
        (_virtual, "takes /kernel from another file"),
        (_text, "holds something else than numbers at /kernel"),
    ],
)
def test_weights_are_looked_at_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[h5py.File], None], problem: str
):
    monkeypatch.setattr("model.training.hdf5_looks._MOST_OBJECTS", 50)
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        write(file)

    found = problem_of(path)

    assert problem in found if problem else found is None


def test_a_file_that_is_no_hdf5_or_is_cut_short_is_a_sentence(tmp_path):
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        _plain(file)
    whole = (tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "weights.h5"
    for content in (b"", b"nothing of the kind", whole[:900], whole[: len(whole) // 2]):
        path.write_bytes(content)

        assert "is no HDF5 file that can be read" in problem_of(path)


def test_weights_with_overwritten_bytes_end_in_words_or_are_read(tmp_path):
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        _plain(file)
    whole = (tmp_path / "whole.h5").read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "weights.h5"

    for _ in range(60):
        spoilt = bytearray(whole)
        for place in random.integers(0, 4000, 8):
            spoilt[place] = random.integers(256)
        path.write_bytes(spoilt)
        problem = problem_of(path)
        assert problem is None or isinstance(problem, str)


def test_hostile_weights_are_refused_by_name_from_a_process_of_their_own(tmp_path):
    path = tmp_path / "vgg16.h5"
    with h5py.File(path, "w") as file:
        _zeros(file)

    with pytest.raises(UsageError, match=r"the weights .*vgg16\.h5 unpacks to more than"):
        load_backbone("vgg16", str(path), side=32)


def test_the_same_bytes_are_looked_at_once_and_others_anew(tmp_path, monkeypatch):
    looked: list[str] = []

    def counted(module: str, *arguments: str, **bounds: float) -> CompletedProcess[str]:
        looked.append(module)
        return run_apart(module, *arguments, **bounds)

    monkeypatch.setattr(foreign_files, "run_apart", counted)
    path = tmp_path / "weights.h5"

    with h5py.File(path, "w") as file:
        _plain(file)
    check_apart(path, "weights")
    check_apart(path, "weights")
    with h5py.File(path, "w") as file:
        _external_link(file)
    with pytest.raises(UsageError, match="link"):
        check_apart(path, "weights")

    assert len(looked) == 2


@pytest.mark.parametrize("name", ["weights.json", "weights.bin"])
def test_weights_of_other_kinds_are_named(tmp_path, name):
    (tmp_path / name).write_text("{}")

    with pytest.raises(UsageError, match=r"is neither a \.keras file nor one of weights, \.h5 or \.hdf5"):
        check_apart(tmp_path / name, "weights")


def test_the_weights_in_a_keras_file_are_looked_at_too(tmp_path):
    with h5py.File(tmp_path / "inner.h5", "w") as file:
        _external_link(file)
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.write(tmp_path / "inner.h5", "model.weights.h5")

    problem = problem_of(tmp_path / "x.keras")

    assert problem == "holds model.weights.h5, which links to another place at /kernel"


@pytest.mark.slow
def test_a_configuration_that_asks_for_forty_gigabytes_is_refused_in_a_process_of_its_own(tmp_path):
    layer = {"class_name": "InputLayer", "config": {"batch_shape": [None, 100_000], "dtype": "float32", "name": "i"}}
    dense = {"class_name": "Dense", "config": {"units": 100_000, "name": "d"}, "build_config": {"input_shape": [1, 1]}}
    config = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [layer, dense]}}
    for part in (layer, dense):
        part |= {"module": "keras.layers", "registered_name": None}
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.12.0"}))
        with h5py.File(tmp_path / "inner.h5", "w") as file:
            file.create_group("layers")
        archive.write(tmp_path / "inner.h5", "model.weights.h5")
    before = os.times().children_user

    with pytest.raises(UsageError, match=r"memory|cannot be loaded"):
        load_backbone(str(tmp_path / "x.keras"))

    assert os.times().children_user > before
