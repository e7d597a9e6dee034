"""Text of strangers on a terminal: it is shown and does nothing."""

from pathlib import Path

import pyarrow as pa
import pytest
from rich.table import Table

from hs_audit.cli import main
from hs_audit.terminal import PlainConsole
from tests.archives import GREEN, RED, picture, row, write_archive

HOSTILE = "[/red]:smile:[bold]\x1b]0;owned\x07\u202e"
SHOWN = r"[/red]:smile:[bold]\x1b]0;owned\x07\u202e"


def test_markup_and_control_characters_are_shown_wherever_they_stand(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = PlainConsole(width=200)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)

    console.print(HOSTILE, style="bold")
    console.rule(HOSTILE)
    console.print(table)

    printed = capsys.readouterr().out
    assert printed.count(SHOWN) == 5
    assert "\x1b]" not in printed
    assert not {"\x07", "\u202e"} & set(printed)


@pytest.fixture(scope="module")
def night(colour_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published run whose folder, ids and offices are hostile; published with exit code 0."""
    folder = tmp_path_factory.mktemp("night")
    rows = [
        row(f"{HOSTILE}{GREEN}", GREEN, picture(RED), office=HOSTILE),
        row(HOSTILE, RED, picture(RED), office="[/]"),
    ]
    write_archive(folder / "a.parquet", rows, office=pa.string())
    (folder / "config.yaml").write_text("server: {model: hs}\nworklist: {budget: 1}\n")
    flags = (f"--config={folder / 'config.yaml'}", f"--server={colour_server}", f"--input={folder / 'a.parquet'}")
    assert main(["run", *flags, "--run-date=2026-11-21", f"--output={folder / '[red]'}"]) == 0
    return folder / "[red]" / "run_date=2026-11-21"


@pytest.mark.parametrize(
    ("name", "arguments"), [("score", ["--truth=truth.csv"]), ("explain", [HOSTILE]), ("worklist", ["--output=[red]"])]
)
def test_commands_show_offices_ids_and_folders_as_they_are(night, tmp_path, monkeypatch, capsys, name, arguments):
    monkeypatch.chdir(tmp_path)
    Path("truth.csv").write_text(f"declaration_id,item_no,kind,true_hs_code\n{HOSTILE},1,wrong,870829\n", "utf-8")

    code = main([name, str(night), *arguments])

    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert not {"\x1b", "\x07", "\u202e"} & set(printed.out)
    assert "[" in printed.out
