"""Prism: Beam's small engine, whose Python workers are threads of the launcher."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.parts import Parts
from tests.cluster.processes import Processes, processes


@dataclass(frozen=True)
class Prism:
    """An engine that a launcher starts.

    Attributes:
        flags: of `hs-audit run`, so that a night runs on it.
        processes: what a launcher starts.
    """

    flags: tuple[str, ...]
    processes: Processes


@contextmanager
def prism(parts: Parts, folder: Path) -> Iterator[Prism]:
    """Prism, which the launcher starts; its workers are in the launcher, in PROCESS it quotes their ids."""
    with processes(folder) as ours:
        yield Prism(("--runner=PrismRunner", f"--prism_location={parts.prism}", "--environment_type=LOOPBACK"), ours)
