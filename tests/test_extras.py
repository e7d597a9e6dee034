"""What `pip install hs-audit` leaves out, and the image that does without it."""

import importlib.util
import re
from pathlib import Path

import pytest

from hs_audit.cli import COMMANDS, main

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "pipeline" / "deploy" / "Dockerfile").read_text()


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(
        "hs_audit.extras.find_spec", lambda name: None if name in missing else importlib.util.find_spec(name)
    )


@pytest.mark.parametrize(
    ("arguments", "missing", "sentence"),
    [
        (["train"], "tensorflow", "hs-audit train needs hs-audit[train], and tensorflow is not installed"),
        (["dataset", "--help"], "scipy", "hs-audit dataset needs hs-audit[train], and scipy is not installed"),
        (["check", "model", "m"], "keras", "hs-audit check model needs hs-audit[train], and keras is not installed"),
        (["serve"], "tensorflow", "hs-audit serve needs hs-audit[serve], and tensorflow is not installed"),
        (["demo"], "matplotlib", "hs-audit demo needs hs-audit[all], and matplotlib is not installed"),
        (["run"], "tensorflow_serving", "hs-audit run needs the messages of TensorFlow Serving"),
        (["check", "server", "x"], "tensorflow", "hs-audit check server needs the messages of TensorFlow Serving"),
    ],
)
def test_a_command_whose_packages_are_missing_names_its_extra(monkeypatch, capsys, arguments, missing, sentence):
    without(monkeypatch, missing)

    assert main(arguments) == 2

    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_a_model_is_served_only_where_there_is_tensorflow(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        "hs_audit.extras.find_spec",
        lambda name: importlib.util.spec_from_loader(name, None),  # as messages alone look
    )
    (tmp_path / "c.yaml").write_text("input: a.parquet\noutput: audits\n")

    assert main(["run", f"--config={tmp_path / 'c.yaml'}", f"--saved-model={tmp_path}"]) == 2

    assert "hs-audit run --saved-model needs hs-audit[serve]" in capsys.readouterr().err


def test_every_command_that_needs_an_extra_names_one_that_is_there():
    assert {command.needs for command in COMMANDS.values()} == {None, "messages", "train", "serve", "all"}


def test_the_images_are_of_stated_versions_and_beams_is_the_one_that_is_installed():
    pinned = re.findall(r"^([a-z-]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    images = [image for image in re.findall(r"(?:^FROM |--from=)(\S+)", DOCKERFILE, re.MULTILINE) if ":" in image]

    assert images == ["python:3.11.13-slim-bookworm", f"apache/beam_python3.11_sdk:{dict(pinned)['apache-beam']}"]


def test_the_image_is_built_from_the_wheelhouse_alone():
    kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)

    assert kept == ["*", *(f"!{name}" for name in copied)]
    assert all("--no-index" in step for step in re.findall(r"pip install[^&]+", DOCKERFILE))
    assert "ARROW_DEFAULT_MEMORY_POOL=system" in DOCKERFILE
