"""Nights with a server and a network that misbehave: every declaration has its one finding, and the right one."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hs_audit.cli import main
from tests.archives import COLOURS, findings_of, picture, row, write_archive
from tests.faults import BadLuck, Server, spoiled

CODES = tuple(COLOURS)
DECLARATIONS = 60


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Declarations of red, green and blue goods; each third one is declared wrongly."""
    folder = tmp_path_factory.mktemp("archive")
    rows = [
        row(f"D{number}", CODES[(number + (number % 9 == 0)) % 3], picture(CODES[number % 3], shade=number % 20))
        for number in range(DECLARATIONS)
    ]
    write_archive(folder / "a.parquet", rows[:35], row_group_size=10)
    write_archive(folder / "b.parquet", rows[35:], row_group_size=10)
    return folder


@pytest.fixture(scope="module")
def two_versions(colour_model, tmp_path_factory) -> Path:
    """The colour model under two numbers."""
    folder = tmp_path_factory.mktemp("two")
    for version in ("1", "2"):
        (folder / version).symlink_to(colour_model / "1")
    return folder


def served(folder: Path, *versions: int) -> str:
    numbers = " ".join(f"versions: {version}" for version in versions)
    return f'config {{ name: "hs" base_path: "{folder}" model_version_policy {{ specific {{ {numbers} }} }} }}'


def night(archive: Path, output: Path, address: str) -> tuple[int, Path]:
    config = output / "config.yaml"
    output.mkdir(parents=True)
    config.write_text(
        "server: {model: hs, batch_size: 4, in_flight: 4, deadline_s: 10, outage_budget_s: 60}\nworklist: {budget: 3}\n"
    )
    flags = [f"--input={archive}/*.parquet", f"--output={output}", "--run-date=2026-11-21", f"--server={address}"]
    return main(["run", f"--config={config}", *flags]), output / "run_date=2026-11-21"


def assert_complete(published: Path) -> None:
    findings = findings_of(published)
    ids = Counter(finding["declaration_id"] for finding in findings)
    wrong = {f"D{number}" for number in range(0, DECLARATIONS, 9)}
    assert ids == {f"D{number}": 1 for number in range(DECLARATIONS)}
    assert {finding["declaration_id"] for finding in findings if finding["reason"] == "differs"} == wrong
    assert Counter(finding["reason"] for finding in findings)["agrees"] == DECLARATIONS - len(wrong)
    assert not sum(pq.read_metadata(part).num_rows for part in (published / "dead_letters").glob("*.parquet"))


def one_bad_night(seed: int, archive: Path, two_versions: Path, output: Path) -> None:
    luck = BadLuck(seed)
    server = Server(served(two_versions, 2), luck.fault)
    swap = lambda: server.reload(served(two_versions, 1))  # noqa: E731
    swap_back = lambda: server.reload(served(two_versions, 1, 2))  # noqa: E731
    try:
        with spoiled(server, luck, swap, swap_back) as proxy:
            code, published = night(archive, output, proxy.address)
    finally:
        server.close()
    assert code == 0, f"seed {seed}"
    assert_complete(published)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_or_doubled_on_a_bad_night(seed, archive, two_versions, tmp_path, capsys):
    one_bad_night(seed, archive, two_versions, tmp_path / "out")


@pytest.mark.endurance
@pytest.mark.parametrize("first", range(12, 212, 50))
def test_nothing_is_lost_or_doubled_on_two_hundred_bad_nights(first, archive, two_versions, tmp_path, capsys):
    for seed in range(first, first + 50):
        one_bad_night(seed, archive, two_versions, tmp_path / f"out-{seed}")
