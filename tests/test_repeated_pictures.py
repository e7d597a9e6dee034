"""A file that came before is neither decoded nor sent again, and nobody sees a difference but in time."""

from pathlib import Path

import pytest

from hs_audit.cli import main
from serving.fake import FakeServer, plain_model
from tests.archives import COLOURS, findings_of, picture, row, write_archive

CODES = tuple(COLOURS)


@pytest.fixture
def archive(tmp_path) -> Path:
    """Sixty declarations of twelve files, one of them broken."""
    files = [picture(CODES[number % 3], shade=number) for number in range(11)] + [b"no picture at all"]
    rows = [row(f"D{number}", CODES[number % 3], files[number % 12]) for number in range(60)]
    write_archive(tmp_path / "a.parquet", rows, row_group_size=7)
    return tmp_path / "a.parquet"


def night(archive: Path, server: str, output: Path, remembered: int) -> list[dict]:
    config = output / "config.yaml"
    output.mkdir()
    config.write_text(
        f"server: {{model: hs, batch_size: 4, remembered: {remembered}}}\nlimits: {{max_unscored_share: 1}}\n"
    )
    flags = [f"--config={config}", f"--input={archive}", f"--output={output}", f"--server={server}"]
    assert main(["run", "--run-date=2026-11-21", *flags]) == 0
    findings = findings_of(output / "run_date=2026-11-21")
    return sorted(findings, key=lambda finding: (finding["source_row_group"], finding["source_row"]))


def test_findings_are_the_same_with_and_without_memory(archive, colour_server, tmp_path):
    forgetful, remembering, short_of_memory = (
        night(archive, colour_server, tmp_path / f"out-{most}", most) for most in (0, 100, 3)
    )

    assert forgetful == remembering == short_of_memory


def test_a_file_that_comes_again_and_again_is_not_sent_again_and_again(tmp_path):
    rows = [row(f"D{number}", "870829", picture("870829", shade=number % 2)) for number in range(200)]
    write_archive(tmp_path / "a.parquet", rows)
    server = FakeServer(plain_model(*CODES))

    with server.listening() as address:
        findings = night(tmp_path / "a.parquet", address, tmp_path / "out", 2)

    assert len(findings) == 200
    assert server.answered.pictures < 100  # those that were on their way already when the first answers came
