"""A real classifier of colours, and a real server that answers for it, made once for all tests."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hs.card import Mistake, Thresholds
from hs.storage.filesystems import _made
from serving.server.bundled import bundled_server
from tests.archives import COLOURS
from tests.colours import export_colours
from tests.object_storage import ObjectStorage, object_storage

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
settings.register_profile("beside_others", deadline=None)  # on a busy machine how long an example takes says nothing
settings.load_profile("beside_others")


@pytest.fixture(autouse=True, scope="module")
def networks_are_forgotten() -> Iterator[None]:
    """Keras keeps every network of a process otherwise, and the process grows."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()


@pytest.fixture(scope="session")
def colour_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel that tells red, green and blue apart; what has no colour leaves it clueless."""
    near = {Mistake.WITHIN_CHAPTER: Thresholds(differs_below=0.01, agrees_above=0.6, unknown_above=0.9)}
    return export_colours(tmp_path_factory.mktemp("models") / "colours", tuple(COLOURS), near)


@pytest.fixture(scope="session")
def colour_server(colour_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a bundled server in a process of its own; the model there is called `hs`."""
    with bundled_server(colour_model, log=tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


@pytest.fixture(scope="session")
def shared_storage() -> Iterator[ObjectStorage]:
    """A server of S3 in a process of its own, with a proxy before it."""
    with object_storage() as storage:
        yield storage


@pytest.fixture
def s3(shared_storage: ObjectStorage) -> Iterator[ObjectStorage]:
    """The same, with nothing asked of it yet and without faults."""
    shared_storage.requests.clear()
    yield shared_storage
    shared_storage.fault = lambda method, path: None


@pytest.fixture
def by_the_environment(s3: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The storage as commands without a configuration find it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    _made.cache_clear()
    yield
    _made.cache_clear()
