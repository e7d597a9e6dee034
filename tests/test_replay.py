"""`hs-audit replay`: one finding again, by the pinned model, from the archive as it lies."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from hs_audit.cli import main
from pipeline.findings.finding import Recommendation
from pipeline.replay import compared
from pipeline.runs.published import published_run, read_findings
from tests.archives import BLUE, GREEN, RED, picture, row, write_archive

RUN_DATE = "2026-11-21"


ROWS = [
    row("A0", "870829", picture(RED), note="first"),
    row("A1", "8708.29-0000", picture(GREEN), picture(GREEN, shade=1), b"%PDF-1.7", note="=1+1"),
    row("A2", "n/a", note=None),
    row("A4", "870829", picture(RED), item_no=1, note="x"),
    row("A4", "392690", picture(RED), picture(BLUE), item_no=2, note="y"),
]


def archive(folder: Path, rows: list[dict] = ROWS) -> None:
    write_archive(folder / "a.parquet", rows, note=pa.string())


@pytest.fixture(scope="module")
def shared(colour_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    archive(folder)
    (folder / "config.yaml").write_text("server: {model: hs}\nkeep: [note]\nverdict: {top_k: 3}\n")
    flags = [f"--config={folder}/config.yaml", f"--input={folder}/a.parquet", f"--output={folder}/audits"]
    assert main(["run", f"--run-date={RUN_DATE}", f"--server={colour_server}", *flags]) == 0
    return folder


@pytest.fixture
def folder(shared, tmp_path):
    """A night and its archive that the test may change, where the run has them: a copy comes back afterwards."""
    for name in ("a.parquet", "audits"):
        source = shared / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tmp_path / name)
    yield shared
    for name in ("a.parquet", "audits"):
        target = shared / name
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        shutil.move(tmp_path / name, target)


def run_of(folder: Path) -> Path:
    return folder / "audits" / f"run_date={RUN_DATE}"


def changed_manifest(folder: Path, change) -> None:
    file = run_of(folder) / "manifest.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def replayed(folder: Path, declaration: str, *flags: str) -> int:
    return main(["replay", str(run_of(folder)), declaration, *flags])


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        ("A1", "A1, item 1: the same: differs (differs)"),
        ("A2", "A2, item 1: the same: cannot_judge (no_picture)"),
        ("A4#2", "A4, item 2: the same"),
    ],
)
def test_a_finding_is_the_same_again(shared, colour_server, capsys, declaration, said):
    assert replayed(shared, declaration, f"--server={colour_server}") == 0

    out = capsys.readouterr().out
    assert said in out
    assert "hs version 1" in out


def test_every_item_of_a_declaration_is_scored_by_the_model_of_the_folder(shared, colour_model, capsys):
    assert replayed(shared, "A4", f"--saved-model={colour_model}") == 0

    assert capsys.readouterr().out.count("the same") == 2


def test_the_server_may_stand_in_the_configuration(shared, colour_server, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(f'server: {{model: hs, address: "{colour_server}"}}\n')

    assert replayed(shared, "A0", f"--config={tmp_path}/c.yaml") == 0


def test_what_differs_stands_beside_what_was_and_the_exit_code_says_so(folder, colour_server, capsys):
    def as_if_others_had_decided(manifest):
        manifest["configuration"]["verdict"]["thresholds"] = {
            "differs_below": 0.0, "agrees_above": 0.999999, "unknown_above": 1.0,
        }  # fmt: skip
        manifest["versions"]["pillow"] = "1.0"

    changed_manifest(folder, as_if_others_had_decided)

    assert replayed(folder, "A1", f"--server={colour_server}") == 3

    out = " ".join(capsys.readouterr().out.split())
    assert "A1, item 1: differs" in out
    assert "verdict │ differs │ unsure" in out
    assert "other versions than the run had: pillow 1.0, now " in out


def test_a_page_that_was_overwritten_since_is_one_sentence(folder, colour_server, capsys):
    data = (folder / "a.parquet").read_bytes()
    (folder / "a.parquet").write_bytes(data.replace(b"%PDF-1.7", b"%PDF-1.8", 1))  # the page; the footer has it, too

    assert replayed(folder, "A1", f"--server={colour_server}") == 7

    assert "can no longer be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda file: archive(file.parent, ROWS[:3]),
            "was changed after the run: it had",
        ),
        (lambda file: file.unlink(), "is no longer there"),
        (lambda file: file.write_bytes(b"PAR1 and no more"), "is cut short"),
    ],
)
def test_an_archive_that_is_not_the_one_of_the_run_is_one_sentence(folder, colour_server, capsys, change, sentence):
    change(folder / "a.parquet")

    assert replayed(folder, "A1", f"--server={colour_server}") == 7

    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert "nothing was replayed" in line


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda model: model.update(version=7), "has no version 7"),
        (lambda model: model["card"].update(weights_digest="sha256:" + "0" * 64), "has other weights than"),
        (lambda model: model["card"].update(temperature=2.0), "another card or other classes"),
    ],
)
def test_another_model_is_refused(folder, colour_model, capsys, change, sentence):
    changed_manifest(folder, lambda manifest: change(manifest["model"]))

    assert replayed(folder, "A1", f"--saved-model={colour_model}") == 6

    assert sentence in capsys.readouterr().err


def test_without_a_model_there_is_one_sentence(shared, capsys):
    assert replayed(shared, "A1") == 2

    assert "no model: give --server or --saved-model, or server.address in the --config" in capsys.readouterr().err


def test_a_manifest_of_another_make_is_one_sentence(folder, colour_server, capsys):
    changed_manifest(folder, lambda manifest: manifest["configuration"]["pictures"].update(colours=3))

    assert replayed(folder, "A1", f"--server={colour_server}") == 2

    assert "the configuration in the manifest" in capsys.readouterr().err


@pytest.mark.parametrize(("moved", "alike"), [(9e-6, True), (1.1e-5, False), (-9e-6, True), (-2e-5, False)])
def test_probabilities_may_move_by_a_hundred_thousandth(shared, moved, alike):
    (finding,) = read_findings(published_run(run_of(shared)), ["A0"])
    best, *rest = finding.recommendations
    other = Recommendation(best.hs_code, best.probability + moved, best.description)

    found = compared(finding, replace(finding, recommendations=(other, *rest)))

    assert found.is_the_same is alike
    assert found.largest == pytest.approx(abs(moved))


def test_a_code_that_is_no_longer_recommended_differs_and_the_order_of_equals_does_not(shared):
    (finding,) = read_findings(published_run(run_of(shared)), ["A0"])
    best, *rest = finding.recommendations

    assert compared(finding, replace(finding, recommendations=(*rest, best))).is_the_same
    (missing,) = compared(finding, replace(finding, recommendations=tuple(rest))).differences
    assert (missing.name, missing.now) == ("probability of 8708.29", None)
