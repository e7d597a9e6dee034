"""The parts of the engines, built once; skipped where Java, Maven or Go is missing."""

from pathlib import Path

import pytest

from tests.cluster.nights import Launcher, stand_in, write_night
from tests.cluster.parts import CannotBeBuilt, Parts, build
from tests.cluster.processes import processes


@pytest.fixture(scope="session")
def parts() -> Parts:
    """What the engines are made of."""
    try:
        return build()
    except CannotBeBuilt as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A night of 600 declarations, none to two pictures each, in 24 row groups."""
    return write_night(tmp_path_factory.mktemp("archive"), 600)


@pytest.fixture(scope="session")
def local(archive: str, tmp_path_factory: pytest.TempPathFactory) -> Launcher:
    """The same night, published by the engine inside the launcher."""
    folder: Path = tmp_path_factory.mktemp("local")
    with stand_in() as server, processes(folder / "logs") as ours:
        launcher = Launcher(folder, archive, server.address)
        assert launcher.run(ours, ["--runner=FnApiRunner"]) == 0
    return launcher
