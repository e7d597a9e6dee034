"""Flags: values that make no sense are sentences, and every help tells what holds where the flag is not given."""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from hs_audit.cli import COMMANDS, main

WRONG = {
    "--epochs": "-3",
    "--batch-size": "0",
    "--folds": "1",
    "--measured": "0",
    "--dropout": "1.5",
    "--learning-rate": "nan",
    "--size": "3",
    "--variants": "1000000",
    "--precision": "2",
    "--wrong-share": "inf",
    "--seed": "-1",
    "--fine-tune": "-1",
    "--balance": "wieghts",
    "--sha256": "xyz",
    "--arithmetic": "float64",
    "--edition": "old",
}


def parser_of(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    import_module(f"hs_audit.commands.{name.replace(' ', '_')}").add_arguments(parser)
    return parser


def valued(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Flags that take a value and may be left out."""
    for action in parser._actions:
        if action.option_strings and action.nargs != 0 and not action.required and action.help != argparse.SUPPRESS:
            yield action


def test_all_values_that_make_no_sense_are_told_at_once_before_tensorflow_is_loaded():
    wrong = [f"{flag}={value}" for flag, value in WRONG.items()]
    program = (
        "import sys; from hs_audit.cli import main; code = main(sys.argv[1:]);"
        "print('tensorflow' in sys.modules, 'pyarrow.parquet' in sys.modules); sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "train", "--cases=none", "--output=none", *wrong],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (2, "False False\n")
    (line,) = done.stderr.splitlines()
    for flag, value in WRONG.items():
        assert re.search(rf"{flag} must be [^;]*, got '{value}'", line), line
    assert "must be one of none, weights, sampling, got 'wieghts' (did you mean weights?)" in line


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        (["--measured=4"], ["--measured must be at most --folds, which is 3, got 4"]),
        (["--folds=5", "--measured=6"], ["--measured must be at most --folds, which is 5, got 6"]),
        (["--tune-on-validation", "--measured=7"], ["--tune-on-validation needs --validation", "--measured must be"]),
    ],
)
def test_flags_that_do_not_go_together_are_told_before_cases_are_looked_for(capsys, given, sentences):
    code = main(["train", "--cases=none", "--output=none", *given])

    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert all(sentence in said for sentence in sentences)
    assert "does not exist" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["evaluate", "m", "--cases=c", "--wrong-share=1"], "--wrong-share must be a number, above 0 and below 1"),
        (["evaluate", "m", "--cases=c", "--version=-1"], "--version must be a whole number"),
        (["worklist", "r", "--seed=x"], "--seed must be a whole number"),
        (["dataset", "--cases=c", "--output=o", "--size=0"], "--size must be a whole number from 1 to 4096, got '0'"),
        (["demo", "--cases=9"], "--cases must be a whole number from 10"),
        (["check server", "h:1", "--seconds=nan"], "--seconds must be a number, above 0"),
    ],
)
def test_other_commands_tell_it_likewise(capsys, arguments, sentence):
    code = main([*arguments[0].split(), *arguments[1:]])

    assert code == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_flag_tells_its_default(name):
    for action in valued(parser_of(name)):
        # A file that need not be given is there for what its help says, and nothing is in its place.
        optional_file = action.type is Path and action.default is None and name != "train"
        told = "default" in str(action.help) or "instead of the configured" in str(action.help)
        assert told or optional_file, f"{name} {action.option_strings[0]}: {action.help}"


def test_the_help_of_train_tells_the_defaults_of_its_recipes(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])

    said = " ".join(capsys.readouterr().out.split())
    assert "pictures in a step of the last phase (default: 32)" in said
