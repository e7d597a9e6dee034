"""A night by a model that knows rulings."""

from dataclasses import replace
from pathlib import Path

from hs_audit.cli import main
from serving.contract import ServedModel
from serving.fake import FakeServer, plain_model
from tests.archives import BLUE, COLOURS, GREEN, RED, picture, row, write_archive

RULINGS = (("KR-1", RED), ("KR-2", GREEN), ("KR-3", RED), ('<b onload="x()">\u202e', RED), ("KR-5", RED))
PLAIN = plain_model(*COLOURS)
WITH_RULINGS = replace(PLAIN, card=replace(PLAIN.card, precedents=len(RULINGS)))


def night(folder: Path, model: ServedModel, remembered: int = 5000, worklist: str = "{}") -> Path:
    """Every picture shows red goods: half of sixty declarations, of six files, say green or blue."""
    folder.mkdir()
    declared = (RED, GREEN, RED, BLUE)
    files = [picture(RED, shade=number) for number in range(6)]
    rows = [row(f"D{number}", declared[number % 4], files[number % 6], files[0]) for number in range(60)]
    write_archive(folder / "archive" / "a.parquet", rows, row_group_size=7)
    server_settings = f"{{model: hs, batch_size: 4, remembered: {remembered}}}"
    (folder / "config.yaml").write_text(f"server: {server_settings}\nworklist: {worklist}\n")
    server = FakeServer(model, probabilities=(0.99, 0.005, 0.005), rulings=RULINGS)
    with server.listening() as address:
        flags = [f"--config={folder / 'config.yaml'}", f"--input={folder}/archive/*.parquet", f"--output={folder}/out"]
        assert main(["run", "--run-date=2026-11-21", f"--server={address}", *flags]) == 0
    return folder / "out" / "run_date=2026-11-21"
