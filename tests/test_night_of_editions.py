"""A night with codes of HS 2012, 2017 and 2022 in one archive, judged each in the edition of its date."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from hs_audit.cli import main
from serving.server.bundled import bundled_server
from tests.archives import BLUE, GREEN, RED, findings_of, picture, row, write_archive
from tests.colours import export_colours
from tests.editions import nomenclature_of

RUN_DATE = "2026-11-21"
TODAY, IN_2019, IN_2014 = date(2026, 11, 20), date(2019, 3, 1), date(2014, 3, 1)

# What the classifier takes a picture for, by its colour: windscreens are red.
CLASSES = ("870822", "392690", "732690")
ROWS = [
    ("870829", RED, TODAY, "renumbered"),  # windscreens were in it until 2021
    ("8708.29-0000", RED, TODAY, "renumbered"),
    ("870829", GREEN, TODAY, "differs"),  # plastics never were
    ("870822", RED, TODAY, "agrees"),
    ("870822", GREEN, TODAY, "differs"),
    ("870829", RED, IN_2019, "agrees"),  # in force then, and what the classifier's 8708.22 was
    ("870829", BLUE, IN_2019, "differs"),
    ("870822", RED, IN_2019, "renumbered"),  # not yet in force, but its goods are shown
    ("870822", GREEN, IN_2014, "differs"),
    ("392690", GREEN, IN_2014, "agrees"),
    ("031419", RED, TODAY, "sure_of_others"),  # gone since 2017, and its successor none that the classifier knows
    ("031419", RED, IN_2014, "sure_of_others"),
    ("852411", GREEN, IN_2014, "code_unknown"),  # from 2022 on, linked to nothing
    ("999999", RED, TODAY, "code_unknown"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """A classifier of colours whose classes are of HS 2022."""
    folder = export_colours(tmp_path_factory.mktemp("models") / "editions", CLASSES)
    with bundled_server(folder, log=tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


@pytest.fixture
def run(server: str, tmp_path: Path) -> Callable[[str], int]:
    """Audits the rows with a configuration."""
    rows = [
        row(f"D{place}", code, picture(colour), declared_on=day) for place, (code, colour, day, _) in enumerate(ROWS)
    ]
    write_archive(tmp_path / "archive" / "a.parquet", rows, declared_on=pa.date32())

    def run(nomenclature: str) -> int:
        (tmp_path / "config.yaml").write_text(f"server: {{model: hs}}\n{nomenclature}")
        return main(
            ["run", f"--config={tmp_path / 'config.yaml'}", f"--run-date={RUN_DATE}", f"--server={server}",
             f"--input={tmp_path / 'archive' / '*.parquet'}", f"--output={tmp_path / 'audits'}"]
        )  # fmt: skip

    return run


def test_no_code_of_another_edition_is_called_wrong_for_its_number(run, tmp_path):
    assert run(nomenclature_of(tmp_path / "tables")) == 0

    found = findings_of(tmp_path / "audits" / f"run_date={RUN_DATE}")
    assert [finding["reason"] for finding in found] == [reason for *_, reason in ROWS]
    windscreen = found[0]
    assert (windscreen["hs_edition"], windscreen["declared_edition"]) == ("HS 2022", "HS 2017")
    assert windscreen["successors"] == ["870822", "870829"]
    assert windscreen["recommendations"][0]["hs_code"] == "870822"
    assert windscreen["recommendations"][0]["description"] == "goods of 870822"
    assert found[5]["recommendations"][0]["hs_code"] == "870829"  # in 2019 that is what it is called


def test_the_tools_after_a_run_know_its_editions(run, tmp_path, monkeypatch, capsys):
    assert run(nomenclature_of(tmp_path / "tables")) == 0
    night = str(tmp_path / "audits" / f"run_date={RUN_DATE}")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    assert main(["explain", night, "D0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "have the declared code in HS 2017; on that date it is 8708.22 or 8708.29." in said
    assert "edition HS 2022, in force on the date of the declaration" in said
    assert main(["report", night]) == 0
    assert "goods of 031419" in (tmp_path / "report.html").read_text()  # an officer may call it the correct one
    table = tmp_path / "tables" / "hs2017.csv"
    table.write_text(f"{table.read_text()}870830,brakes,,\n")
    assert main(["report", night]) == 2
    assert "hs2017.csv: changed after " in capsys.readouterr().err


def test_a_finding_is_replayed_with_the_tables_of_its_night(run, tmp_path, server, capsys):
    assert run(nomenclature_of(tmp_path / "tables")) == 0
    night = str(tmp_path / "audits" / f"run_date={RUN_DATE}")

    assert main(["replay", night, "D0", f"--server={server}"]) == 0

    assert "the same: unsure (renumbered)" in capsys.readouterr().out


def test_a_bad_table_ends_a_run_before_any_work(run, tmp_path, capsys):
    config = nomenclature_of(tmp_path / "tables")
    (tmp_path / "tables" / "hs2017.csv").write_text("hs_code,description,valid_from,valid_to\n870829,,2017-13-01,\n")

    assert run(config) == 2

    assert "hs2017.csv, line 2: '2017-13-01' is no date" in capsys.readouterr().err
    assert not (tmp_path / "audits").exists()


def test_without_tables_a_night_is_what_it_was(run, tmp_path):
    assert run("") == 0

    found = findings_of(tmp_path / "audits" / f"run_date={RUN_DATE}")
    assert {finding["hs_edition"] for finding in found} == {None}
    assert [finding["reason"] for finding in found[:4]] == ["sure_of_others", "sure_of_others", "differs", "agrees"]
    assert "nomenclature" not in json.loads(
        (tmp_path / "audits" / f"run_date={RUN_DATE}" / "manifest.json").read_text()
    )


def test_the_tables_are_part_of_what_a_run_is(run, tmp_path):
    config = nomenclature_of(tmp_path / "tables")
    published = tmp_path / "audits" / f"run_date={RUN_DATE}" / "manifest.json"
    ids, tables = [], tmp_path / "tables"

    for change in ("", "", "870829,2012,870899,2017,1:n\n870829,2012,870829,2017,1:n\n"):
        (tables / "links.csv").write_text((tables / "links.csv").read_text() + change)
        assert run(config) == 0
        ids.append(json.loads(published.read_text())["run_id"])

    assert ids[0] == ids[1] != ids[2]
    said = json.loads(published.read_text())["nomenclature"]
    assert [edition["name"] for edition in said["editions"]] == ["HS 2012", "HS 2017", "HS 2022"]
    assert said["tables"]["HS 2017"]["lines"] == 6
