"""`--json`: each command in a process of its own prints one JSON object on stdout, whether it works or fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hs_audit.cli import COMMANDS, main
from hs_audit.json_answer import plain
from tests.archives import GREEN, RED, picture, row, write_archive
from tests.rulings import tinted_cases, write_cases

RUN_DATE = "2026-11-21"
ENVIRONMENT = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
HOSTILE = '"}{"exit_code": 0} <script>\u202e\x1b[31m\n' + "x" * 100_000


def answer(*words: str) -> dict:
    """What a command prints; its exit code stands in it, and nothing else on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "hs_audit.cli", *words, "--json"], capture_output=True, text=True, env=ENVIRONMENT
    )
    (line,) = done.stdout.splitlines()
    said = json.loads(line)
    assert said["exit_code"] == done.returncode, done.stderr
    assert ("error" in said) == (done.returncode != 0)
    return said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    rows = [row("A1", "8708.29-0000", picture(GREEN)), row("A2", "870829", picture(RED)), row(HOSTILE, "n/a")]
    write_archive(folder / "a.parquet", rows)
    (folder / "config.yaml").write_text("server: {model: hs, connect_budget_s: 0.3}\n")
    (folder / "truth.csv").write_text("declaration_id,kind,true_hs_code\nA1,wrong,392690\nA2,right,\n")
    write_cases(folder / "cases.parquet", tinted_cases(2))
    return folder


@pytest.fixture(scope="module")
def run_words(folder, colour_server) -> list[str]:
    flags = [f"--config={folder}/config.yaml", f"--input={folder}/a.parquet", f"--output={folder}/audits"]
    return ["run", f"--server={colour_server}", *flags]


@pytest.fixture(scope="module")
def published(run_words, folder) -> Path:
    assert main([*run_words, f"--run-date={RUN_DATE}"]) == 0
    return folder / "audits" / f"run_date={RUN_DATE}"


def test_a_night_says_what_came_out_of_it(run_words, folder):
    said = answer(*run_words, "--run-date=2026-11-22")

    assert said["sentence"] == f"published {said['run']}"
    assert (said["run_date"], said["findings"], said["model"]["version"]) == ("2026-11-22", 3, 1)
    assert said["verdicts"] == {"agrees": 1, "differs": 1, "cannot_judge": 1}
    assert list((folder / "audits" / "_logs").rglob(f"*{said['attempt_id']}.json"))


def test_several_nights_have_an_outcome_each(run_words):
    said = answer(*run_words, "--run-date=2026-11-23..2026-11-24")

    assert [(night["night"], night["exit_code"]) for night in said["nights"]] == [("2026-11-23", 0), ("2026-11-24", 0)]


def test_a_night_that_fails_says_why(run_words, folder):
    said = answer(*run_words, "--run-date=2026-11-25", f"--input={folder}/none-*.parquet")

    assert said["exit_code"] == 7
    assert "no file matches the input" in said["error"]
    assert said["run_date"] == "2026-11-25"


def test_a_score_has_its_figures(published, folder):
    said = answer("score", str(published), f"--truth={folder}/truth.csv")

    assert said["precision"]["share"] == 1.0
    assert said["counted"] == 2


def test_a_worklist_says_what_is_in_it(published, tmp_path):
    said = answer("worklist", str(published), "--budget=1", f"--output={tmp_path}")

    assert (said["findings"], said["chosen_by"]) == (1, {"risk": 1})
    assert all(Path(path).exists() for path in said["written"])


def test_a_comparison_of_runs_has_the_first_changes(published):
    said = answer("diff", str(published), str(published))

    assert (said["changes"], said["same"], said["matched_by"], said["first"]) == (0, 3, "row", [])


def test_a_finding_that_is_scored_again_says_whether_it_is_the_same(published, colour_server):
    said = answer("replay", str(published), "A1", f"--server={colour_server}")

    assert [(each["declaration_id"], each["same"]) for each in said["findings"]] == [("A1", True)]


def test_an_archive_that_is_checked_has_its_sections(folder):
    said = answer("check", "archive", f"{folder}/a.parquet")

    assert (said["files"], said["rows"], said["unread_rows"]) == (1, 3, 0)
    assert [each["title"] for each in said["sections"]][:2] == ["files", "columns"]


def test_a_model_that_is_checked_has_no_problems(colour_model):
    said = answer("check", "model", str(colour_model))

    assert (said["version"], said["problems"]) == (1, [])


def test_a_server_that_is_checked_has_its_throughput(colour_server):
    said = answer("check", "server", colour_server, "--seconds=0.1", "--batch-size=4")

    assert (said["model"], said["version"], said["classes"]) == ("hs", 1, 3)
    assert [each["in_flight"] for each in said["throughput"]] == [1, 1, 2, 4, 8]
    assert said["throughput"][0]["median_s"] > 0
    assert said["card"]["hs_edition"] == "HS 2022"


def test_an_evaluation_has_what_its_file_has(colour_model, folder, tmp_path):
    said = answer("evaluate", str(colour_model), f"--cases={folder}/cases.parquet", f"--output={tmp_path}")

    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert {name: said[name] for name in written} == written


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["run", "--config=none.yaml"], 2, "none.yaml cannot be read"),
        (["run"], 2, "the following arguments are required: --config"),
        (["score", "RUN"], 2, "the following arguments are required: --truth"),
        (["worklist", "nowhere"], 2, "is no published run"),
        (["worklist", "RUN", "--seed=x"], 2, "--seed must be a whole number"),
        (["worklist", "RUN", "--bugdet=5"], 2, "did you mean --budget?"),
        (["diff", "RUN", "nowhere"], 2, "is no published run"),
        (["replay", "RUN", HOSTILE.replace("\n", "?")], 2, "has no finding of declaration"),
        (["check", "archive", "nowhere/*.parquet"], 7, "no file matches the input"),
        (["check", "model", "nowhere"], 6, "holds no model"),
        (["check", "server"], 2, "which server?"),
        (["evaluate", "nowhere", "--cases=nowhere"], 2, "does not exist"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_fails_is_a_sentence_and_its_exit_code(published, capfd, words, code, sentence):
    assert main([*(str(published) if word == "RUN" else word for word in words), "--json"]) == code

    said = json.loads(capfd.readouterr().out)
    assert said["exit_code"] == code
    assert sentence in said["error"]


def test_a_bug_is_an_answer_too(monkeypatch, capfd):
    import hs_audit.commands.worklist as worklist

    def broken(args):
        os.write(1, b"of a library\n")
        print("for people")
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(worklist, "run", broken)

    assert main(["worklist", "RUN", "--json"]) == 1

    printed = capfd.readouterr()
    assert json.loads(printed.out) == {"error": "a bug: ZeroDivisionError: by zero", "exit_code": 1}
    for said in ("of a library", "for people", "Traceback"):
        assert said in printed.err


def test_only_commands_that_answer_take_the_flag(capsys):
    assert {name for name, command in COMMANDS.items() if command.answers} == {
        "run", "score", "check archive", "check cases", "check model", "check server", "evaluate", "worklist", "diff",
        "replay",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        main(["explain", "RUN", "D1", "--json"])


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (float("inf"), None),
        ({1: {float("nan")}}, {"1": [None]}),
        (Path("a/b"), "a/b"),
        ((True, None, 1, 0.5, "\ud800"), [True, None, 1, 0.5, "\ud800"]),
    ],
)
def test_a_value_becomes_what_json_knows(value, known):
    assert plain(value) == known
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == known
