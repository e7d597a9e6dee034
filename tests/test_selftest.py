"""Nights that test themselves with planted lies, against a real server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from hs_audit.cli import main
from serving.server.bundled import bundled_server
from tests.archives import COLOURS, RED, encoded, findings_of, picture, row, write_archive
from tests.colours import export_colours
from tests.report_pages import Page

RUN_DATE = "2026-11-21"
NAMES = list(COLOURS)
SOUND = [row(f"S{place}", NAMES[place % 3], picture(NAMES[place % 3], shade=place % 20)) for place in range(60)]
WRONG = [row(f"W{place}", NAMES[place % 3], picture(NAMES[(place + 1) % 3], shade=place % 20)) for place in range(60)]
BLACK = [row(f"B{place}", NAMES[place % 3], encoded(Image.new("RGB", (40, 30)), "PNG")) for place in range(60)]
OTHERS = [row("O1", "870829"), row("O2", "870829", b"%PDF-1.4 hello"), row("O3", "8708.3", picture(RED))]


@pytest.fixture(scope="module")
def shuffled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The classifier of colours under the classes of another version, in another order."""
    folder = export_colours(tmp_path_factory.mktemp("models") / "shuffled", (*NAMES[1:], NAMES[0]))
    with bundled_server(folder, log=tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


@pytest.fixture
def run(colour_server: str, tmp_path: Path) -> Callable[..., int]:
    """Audits some rows with a configuration of the self-test and returns the exit code."""

    def run(rows: list[dict], selftest: str = "{}", *flags: str, output: str = "audits") -> int:
        write_archive(tmp_path / "archive" / "a.parquet", rows, row_group_size=16)
        (tmp_path / "config.yaml").write_text(
            f"server: {{model: hs, batch_size: 8}}\nworklist: {{budget: 10%}}\nselftest: {selftest}\n"
        )
        return main(
            ["run", f"--config={tmp_path / 'config.yaml'}", f"--run-date={RUN_DATE}", f"--server={colour_server}",
             f"--input={tmp_path / 'archive' / '*.parquet'}", f"--output={tmp_path / output}", *flags]
        )  # fmt: skip

    return run


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "audits" / f"run_date={RUN_DATE}"


def selftest_of(run: Path) -> dict:
    return json.loads((run / "manifest.json").read_text())["selftest"]


def test_a_sound_night_finds_its_lies(run, published):
    assert run([*SOUND, *OTHERS], "{min_recall: 0.8}") == 0

    found = selftest_of(published)
    assert found["withheld"] is None
    at_random = found["kinds"]["at_random"]
    assert at_random["planted"] == 60  # what has no picture, or no code, has none to be judged by
    assert at_random["recall"]["count"] == at_random["told_apart"]["count"] == 60
    assert at_random["false_alarms"]["count"] == 0
    assert at_random["recall"]["interval"] == [pytest.approx(0.94, abs=0.01), 1.0]
    assert found["kinds"]["within_heading"]["planted"] == 0  # each class is alone in its chapter
    assert found["kinds"]["within_heading"]["recall"] == {"count": 0, "share": None, "interval": [0.0, 1.0]}


@pytest.mark.parametrize("broken", ["shuffled classes", "black pictures"])
def test_a_broken_night_is_published_with_an_empty_worklist(broken, run, shuffled_server, published, capsys):
    rows, flags = (BLACK, ()) if broken == "black pictures" else (SOUND, [f"--server={shuffled_server}"])

    assert run(rows, "{min_recall: 0.8}", *flags) == 3

    found = selftest_of(published)
    assert "told apart from the declared ones" in found["withheld"]
    assert found["withheld"] in " ".join(capsys.readouterr().err.split())
    assert (published / "_SUCCESS").exists()
    assert pq.read_table(published / "worklist.parquet").num_rows == 0
    assert len((published / "worklist.csv").read_text(encoding="utf-8-sig").splitlines()) == 1
    assert len(findings_of(published)) == 60


def test_no_list_is_chosen_anew_of_a_withheld_night_and_the_page_says_why(run, published, tmp_path, capsys):
    assert run(WRONG, "{min_recall: 0.8}") == 3

    assert main(["worklist", str(published), "--budget=100%", f"--output={tmp_path}"]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert main(["report", str(published), f"--output={tmp_path}"]) == 0

    assert selftest_of(published)["withheld"] in told
    assert pq.read_table(tmp_path / "worklist.parquet").num_rows == 0
    pages = [Page((folder / "report.html").read_text(encoding="utf-8")) for folder in (published, tmp_path)]
    for page in pages:
        assert "The worklist is withheld, as the self-test failed: of 60 wrong codes planted" in page.text
        assert "0 were told apart from the declared ones (0.0%), where at least 80.0% are expected" in page.text
        assert "there is nothing to open" not in page.text
        assert "자체 시험에 실패하여 목록을 내지 않습니다" in page.text


def test_without_a_bound_nothing_is_withheld(run, published):
    assert run(WRONG) == 0

    assert selftest_of(published)["withheld"] is None
    assert pq.read_table(published / "worklist.parquet").num_rows == 6


def test_lies_change_no_finding_and_no_worklist(run, tmp_path):
    rows = [*SOUND[:20], *WRONG[:10], *BLACK[:3], *OTHERS]
    for name, sample in (("with", 500), ("without", 0)):
        assert run(rows, f"{{sample: {sample}}}", output=name) == 0
    with_lies, without = (tmp_path / name / f"run_date={RUN_DATE}" for name in ("with", "without"))

    assert selftest_of(with_lies)["kinds"]["at_random"]["planted"] == 33
    assert findings_of(with_lies) == findings_of(without)  # run_id included: the self-test is no part of it
    assert pq.read_table(with_lies / "worklist.parquet").equals(pq.read_table(without / "worklist.parquet"))
    assert (with_lies / "worklist.csv").read_bytes() == (without / "worklist.csv").read_bytes()


def test_no_planted_code_is_in_any_finding(run, published):
    rows = [row(f"R{place}", RED, picture(RED, shade=place)) for place in range(20)]

    assert run(rows) == 0

    kinds = selftest_of(published)["kinds"]
    assert kinds["at_random"]["planted"] == 20
    assert {finding["declared_hs_code_normalized"] for finding in findings_of(published)} == {RED}
    assert {finding["verdict"] for finding in findings_of(published)} == {"agrees"}


@pytest.mark.parametrize("flags", [(), ("--direct_num_workers=2", "--direct_running_mode=multi_threading")])
def test_the_same_night_plants_the_same_however_it_is_run(flags, run, published, tmp_path):
    assert run([*SOUND, *WRONG], "{sample: 40, seed: 7}", output="one") == 0
    assert run([*SOUND, *WRONG], "{sample: 40, seed: 7}", *flags) == 0
    assert run([*SOUND, *WRONG], "{sample: 40, seed: 8}", output="other") == 0

    one, other = (selftest_of(tmp_path / name / f"run_date={RUN_DATE}") for name in ("one", "other"))
    assert selftest_of(published) == one
    assert one != other
    assert 20 < one["kinds"]["at_random"]["planted"] < 60
