"""Versions and candidates: what is worth how much beside the newest, which number it has, and what a kill leaves."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from hs.card import Card, Thresholds
from hs.errors import ContractBroken, UsageError
from hs.files import version_folder, versions
from hs_audit.cli import main
from hs_audit.new_version import not_inherited, settle, validation_of
from hs_audit.steps import Steps
from model.cases.overlap import LEARNED_FROM, as_text, pictures_of
from model.exported.versions import ABOUT, Exported, add_candidate, add_version, newest, promote, trained_before
from model.training.work import one_at_a_time, only_once, used
from serving.server.config_files import single_model_config
from serving.server.served_versions import _aspired
from tests.archives import COLOURS
from tests.rulings import noise, tinted_cases, write_cases

RIGHT = np.eye(3, dtype=np.float32) / 5
CODES = tuple(COLOURS)
OTHER_CODES = (*CODES[:2], "080810")
TEMPLATES = tempfile.TemporaryDirectory()  # removed as the process ends


@cache
def template(right: bool, codes: tuple[str, ...]) -> Path:
    """A classifier of colours, or one that takes each for the next, exported once and copied by the tests."""
    import keras

    from model.exported.export import export
    from model.training.networks import weights_digest

    images = keras.Input((16, 16, 3))
    dense = keras.layers.Dense(3)
    network = keras.Model(images, dense(keras.layers.GlobalAveragePooling2D()(images)))
    dense.set_weights([RIGHT if right else np.roll(RIGHT, 1, axis=1), np.zeros(3, np.float32)])
    card = Card(16, 16, "bilinear", 2, "HS 2022", 1.0, Thresholds(0.05, 0.4, 0.9), weights_digest(network))
    return export(
        network,
        codes,
        card,
        {},
        Path(TEMPLATES.name) / str(template.cache_info().misses),
        attachments={LEARNED_FROM: ""},
    )[1]


def exported(
    model: Path, *, right: bool = True, codes: tuple[str, ...] = CODES, candidate: bool = False,
    learned: Iterable[str] = (), cases_digest: str = "",
) -> Exported:  # fmt: skip
    """A version or a candidate, as training would leave it."""
    unfinished = shutil.copytree(template(right, codes), model / ".unfinished")
    (unfinished / "assets.extra" / LEARNED_FROM).write_text(as_text(learned))
    about = unfinished / "assets.extra" / ABOUT
    about.write_text(json.dumps(json.loads(about.read_text()) | {"cases_digest": cases_digest}))
    return (add_candidate if candidate else add_version)(unfinished, model)


def tinted(folder: Path, seeds: range, codes: tuple[str, ...] = CODES, name: str = "val.parquet"):
    from model.cases.reading import open_cases

    rows = [(code, [noise(seed, COLOURS.get(code, (9, 9, 9)))]) for seed in seeds for code in codes]
    return open_cases(write_cases(folder / name, rows))


def names_in(cases) -> frozenset[str]:
    return frozenset().union(*pictures_of(cases, lambda _: None))


def settled(candidate: Exported, cases, learned, *, promote_worse: bool = False, tunes: bool = False) -> Exported:
    """What becomes of a candidate that learned from some cases and is measured on others."""
    steps = Steps()
    validation = validation_of(cases, learned, names_in(learned), tunes, steps)
    return settle(candidate, validation, steps, promote_worse)


def test_a_clearly_worse_one_stays_a_candidate_that_nothing_takes_for_the_newest(tmp_path, capsys):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 19))
    exported(model)

    stayed = settled(exported(model, right=False, candidate=True), cases, learned)

    said = " ".join(capsys.readouterr().err.split())
    assert stayed == Exported(model, 2, is_candidate=True)
    assert list(versions(model)) == [1] == list(_aspired(single_model_config("hs", model).model_config_list.config[0]))
    assert version_folder(model).name == "1"
    with pytest.raises(ContractBroken, match=r"2 is a candidate of .*, no version: give .*/candidates to look at it"):
        version_folder(model, 2)
    assert version_folder(model / "candidates") == stayed.path
    assert "on 30 cases that neither learned from and whose code both know: top-1 -1.000 (-1.000 to -0.8" in said
    assert f"it stays candidate 2 in {model}/candidates/2" in said


def test_it_is_promoted_all_the_same_where_that_is_asked_for(tmp_path):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 19))
    exported(model)

    promoted = settled(exported(model, right=False, candidate=True), cases, learned, promote_worse=True)

    beside = promoted.facts()["validation"]["beside"]
    assert promoted == Exported(model, 2, is_candidate=False) == newest(model)
    assert (beside["version"], beside["cases"], beside["worse"]) == (1, 30, True)
    assert not (model / "candidates").exists()


def test_a_loss_that_chance_explains_keeps_no_version_back(tmp_path, capsys):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 10))
    exported(model)

    promoted = settled(exported(model, candidate=True), cases, learned)

    assert promoted == newest(model)
    assert "top-1 +0.000 (-0.5" in " ".join(capsys.readouterr().err.split())


def test_cases_that_either_learned_from_do_not_count(tmp_path, capsys):
    model, cases = tmp_path / "m", tinted(tmp_path, range(10))
    learned = tinted(tmp_path, range(2), name="c.parquet")  # 6 of the 30 cases
    exported(model, learned=names_in(tinted(tmp_path, range(8, 12), name="old.parquet")))  # and 6 others

    promoted = settled(exported(model, candidate=True), cases, learned)

    validation = promoted.facts()["validation"]
    assert (validation["measured"], validation["left_out"]["learned_from"]) == (24, 6)
    assert (validation["beside"]["cases"], validation["beside"]["left_out"]) == (18, 12)
    said = " ".join(capsys.readouterr().err.split())
    assert "6 cases of val.parquet do not count: they have a picture that stands in c.parquet, too" in said


def test_versions_are_compared_on_the_codes_that_both_know(tmp_path):
    model, learned = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet")
    exported(model, codes=OTHER_CODES)
    cases = tinted(tmp_path, range(10, 14), (*CODES, "999999"))

    promoted = settled(exported(model, candidate=True), cases, learned)

    validation = promoted.facts()["validation"]
    assert (validation["measured"], validation["left_out"]["other_codes"]) == (12, 4)
    assert (validation["beside"]["cases"], validation["beside"]["left_out"]) == (8, 8)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda version: (version / "assets.extra" / "hs_audit.json").unlink(), "has no assets.extra/hs_audit.json"),
        (lambda version: (version / "saved_model.pb").write_bytes(b"half"), "cannot be loaded"),
        (lambda version: (version / "variables" / "variables.index").unlink(), "cannot be loaded"),
    ],
)
def test_a_version_that_is_half_there_is_no_yardstick(tmp_path, capsys, spoil, sentence):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 11))
    spoil(exported(model).path)

    promoted = settled(exported(model, candidate=True), cases, learned)

    assert promoted == Exported(model, 2, is_candidate=False)
    said = " ".join(capsys.readouterr().err.split())
    assert f"whether it is better than version 1 in {model}/1 is not known" in said
    assert sentence in said


def test_a_version_of_old_that_has_no_list_of_its_pictures_is_known_by_the_digest_of_its_cases(tmp_path, capsys):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 11))
    for digest in (cases.digest(), "sha256:0"):
        old = exported(model, cases_digest=digest)
        (old.path / "assets.extra" / LEARNED_FROM).unlink()

        settled(exported(model, candidate=True), cases, learned)

    said = " ".join(capsys.readouterr().err.split())
    assert f"version 1 in {model}/1 is not known: that one learned from val.parquet" in said
    assert "of those that the older one learned from it has no list" in said


def test_cases_that_the_thresholds_were_drawn_from_tell_nothing_of_two_versions(tmp_path, capsys):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 11))
    exported(model)

    settled(exported(model, right=False, candidate=True), cases, learned, tunes=True)

    assert "is not known: its thresholds were drawn from val.parquet" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, None),
        ({"recalibrated": {"wrong_share": None}}, "until hs-audit recalibrate has decisions on what that says"),
        ({"recalibrated": {"wrong_share": {"share": 0.0712}}}, "that they found is --wrong-share 0.071"),
    ],
)
def test_thresholds_from_decisions_on_another_network_are_said_not_to_be_inherited(tmp_path, facts, said):
    about = tmp_path / "2" / "assets.extra" / ABOUT
    about.parent.mkdir(parents=True)
    about.write_text(json.dumps(facts))

    sentence = not_inherited(Exported(tmp_path, 2, is_candidate=False))

    assert (sentence and sentence.endswith(said)) if said else sentence is None


def test_a_version_that_came_meanwhile_is_compared_with_too(tmp_path, monkeypatch):
    model, learned, cases = tmp_path / "m", tinted(tmp_path, range(3), name="c.parquet"), tinted(tmp_path, range(9, 19))
    exported(model, right=False)
    candidate = exported(model, right=False, candidate=True)
    asked = []

    def newest_while_another_is_exported(model: Path, below: int | None = None) -> Exported | None:
        found = newest(model, below)
        if not asked:
            exported(model)
        asked.append(found)
        return found

    monkeypatch.setattr("hs_audit.new_version.newest", newest_while_another_is_exported)
    stayed = settled(candidate, cases, learned)

    assert [version.number for version in asked] == [1, 3]
    assert stayed.is_candidate


def test_a_candidate_that_waited_is_promoted_above_what_came_meanwhile(tmp_path):
    candidate = exported(tmp_path, candidate=True)
    later = exported(tmp_path)

    promoted = promote(candidate, over=later)

    assert (candidate.number, later.number) == (1, 2)
    assert promoted == Exported(tmp_path, 3, is_candidate=False) == newest(tmp_path)


def test_candidates_and_versions_that_come_at_once_have_numbers_of_their_own(tmp_path):
    start = Barrier(8)

    def add(number: int) -> int:
        start.wait()
        found = []
        for _ in range(10):
            (unfinished := tmp_path / f".unfinished-{number}").mkdir()
            (unfinished / "file").touch()
            added = (add_version if number % 2 else add_candidate)(unfinished, tmp_path)
            if added.is_candidate:
                promote(added, over=newest(tmp_path))  # where another was faster, it stays
            found.append(added.number)
        return found

    with ThreadPoolExecutor(8) as threads:
        taken = [number for some in threads.map(add, range(8)) for number in some]

    there = [*versions(tmp_path), *versions(tmp_path / "candidates")]
    assert len(set(taken)) == len(taken) == 80
    assert len(set(there)) == len(there) == 80


def test_of_trainings_that_share_a_work_folder_the_last_removes_it(tmp_path):
    work = tmp_path / "m" / ".work"

    with used(work) as remove:
        with used(work) as remove_first, only_once(work, "a"):
            (work / "pictures-1").mkdir()
            remove_first()
        kept = (work / "pictures-1").exists()
        remove()

    assert kept
    assert not work.exists()


def test_a_training_is_refused_while_its_like_is_under_way(tmp_path):
    with used(tmp_path), only_once(tmp_path, "a"):
        with only_once(tmp_path, "b"):
            pass
        with pytest.raises(UsageError, match=rf"under way already \(process {os.getpid()}\)"), only_once(tmp_path, "a"):
            pass
    with only_once(tmp_path, "a"):
        pass


def test_pictures_are_looked_at_by_one_at_a_time(tmp_path):
    inside = []

    def look(number: int) -> None:
        with one_at_a_time(tmp_path / "pictures.lock"):
            inside.append(number)
            assert len(inside) == 1
            inside.remove(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(look, range(100)))


@pytest.mark.parametrize(
    ("measured_on", "sentence"),
    [
        (lambda folder: tinted(folder, range(3)), "measures nothing: each of its 9 cases has a picture that stands in"),
        (lambda folder: tinted(folder, range(3), ("080810",)), "has codes that training has not: 080810"),
    ],
)
def test_a_validation_that_measures_nothing_is_refused_before_training(tmp_path, measured_on, sentence):
    learned, cases = tinted(tmp_path, range(3), name="c.parquet"), measured_on(tmp_path)

    with pytest.raises(UsageError, match=sentence):
        validation_of(cases, learned, names_in(learned), False, Steps())


KILLED = """
import os, signal, sys
from hs_audit.cli import main
at, number, *command = sys.argv[1:]
real = {"rename": os.rename, "replace": os.replace}
renames = 0
def killed_around(name):
    def call(old, new):
        global renames
        if name == "rename" or str(new).endswith("hs_audit.json"):
            renames += 1
            if (at, int(number)) == ("before", renames):
                os.kill(os.getpid(), signal.SIGKILL)
        real[name](old, new)
        if (name == "rename" or str(new).endswith("hs_audit.json")) and (at, int(number)) == ("after", renames):
            os.kill(os.getpid(), signal.SIGKILL)
    return call
os.rename, os.replace = killed_around("rename"), killed_around("replace")
sys.exit(main(command))
"""


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A command whose training is done but for the export, and a model beside which it is measured."""
    folder = tmp_path_factory.mktemp("killed")
    cases = write_cases(folder / "cases.parquet", tinted_cases(3))
    validation = write_cases(folder / "v.parquet", [(code, [noise(77, COLOURS[code])]) for code in COLOURS])
    command = ["train", f"--cases={cases}", f"--validation={validation}", "--epochs=1", "--variants=0"]
    command += [f"--work={folder / 'work'}", "--size=32", "--promote"]
    assert main([*command, f"--output={folder / 'first'}"]) == 0
    return command, folder / "first"


@pytest.mark.slow  # a process for each
@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("number", ["1", "2", "3"])  # it becomes a candidate; its figures are written; a version
def test_killed_at_any_step_behind_the_training_the_same_command_leaves_one_version(
    training, tmp_path, capsys, at, number
):
    command = [*training[0], f"--output={tmp_path / 'm'}"]
    killed = subprocess.run([sys.executable, "-c", KILLED, at, number, *command], capture_output=True, check=False)

    code = main(command)

    said = " ".join(capsys.readouterr().err.split())
    assert (killed.returncode, code) == (-signal.SIGKILL, 0)
    assert {path.name for path in (tmp_path / "m").iterdir()} <= {"1", "candidates"}
    assert (list(versions(tmp_path / "m")), list(versions(tmp_path / "m" / "candidates"))) == ([1], [])
    validation = newest(tmp_path / "m").facts()["validation"]
    assert validation["measured"] == 3
    assert not list((tmp_path / "m").rglob("*.unfinished"))
    assert validation["flag"]["at_random"]["right_flagged"]["of"] == 3
    assert "at the thresholds of its card: wrong codes at random: " in said
    assert ("is what this command trains" in said) == ((at, number) != ("before", "1"))
    assert "on v.parquet: top-1" in said


def test_the_same_command_again_trains_nothing(training, capsys):
    command, model = training
    about = json.loads((model / "1" / "assets.extra" / "hs_audit.json").read_text())

    code = main([*command, f"--output={model}"])

    said = " ".join(capsys.readouterr().err.split())
    assert code == 0
    assert f"version 1 in {model}/1 is what this command trains: it is not trained again" in said
    assert list(versions(model)) == [1]
    assert trained_before(model, about["training"]) == Exported(model, 1, is_candidate=False)
    assert about["libraries"].keys() >= {"python", "tensorflow", "keras", "hs-audit"}
    assert about["trained_at"].endswith("+00:00")
    assert about["groups"]["cases"] == 9
    assert len((model / "1" / "assets.extra" / LEARNED_FROM).read_text().split()) == 9


def test_a_training_is_known_by_what_decides_on_its_classifier(tmp_path):
    from hs_audit.commands.train import add_arguments
    from hs_audit.recipe_flags import recipe_from
    from hs_audit.training import Training
    from model.cases.reading import open_cases
    from model.training.backbones import load_backbone

    cases = [tinted(tmp_path, range(number), name=f"{number}.parquet") for number in (3, 4)]
    backbone = load_backbone("compact")

    def key(*flags: str, path: Path = cases[0].path.path) -> str:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        args = parser.parse_args([f"--cases={path}", "--output=m", *flags])
        return Training(args, open_cases(path), None, frozenset(), backbone, recipe_from(args, False)).key

    same = {key(), key("--seed=0"), key("--promote"), key("--work=w"), key("--output=n"), key("--epochs=30")}
    others = [key("--seed=1"), key("--epochs=2"), key("--pictures=first"), key(path=cases[1].path.path)]
    assert len(same) == 1
    assert len({*same, *others}) == 5


@pytest.mark.slow
def test_two_trainings_at_once_into_one_model_end_in_two_versions(training, tmp_path):
    command = [*training[0], f"--output={tmp_path / 'm'}"]
    program = [sys.executable, "-m", "hs_audit.cli"]

    both = [subprocess.Popen([*program, *command, f"--seed={seed}"], stderr=subprocess.PIPE) for seed in (1, 2)]
    said = [process.communicate(timeout=300)[1] for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert [path.name for path in sorted((tmp_path / "m").iterdir())] == ["1", "2"]


@pytest.mark.parametrize("output", ["m", "m/deeper"])
def test_a_model_that_is_a_file_is_told_before_anything_is_read(tmp_path, capsys, output):
    (tmp_path / "m").touch()

    code = main(["train", f"--cases={tmp_path / 'none'}", f"--output={tmp_path / output}"])

    assert code == 2
    assert f"--output must be a folder, but {tmp_path / 'm'} is a file" in " ".join(capsys.readouterr().err.split())


def test_ctrl_c_while_a_model_is_exported_leaves_nothing_half_done(training, tmp_path, monkeypatch, capsys):
    def interrupted(unfinished: Path, model: Path) -> Exported:
        assert (unfinished / "saved_model.pb").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr("model.exported.export.add_candidate", interrupted)
    code = main([*training[0], f"--output={tmp_path / 'm'}"])

    assert code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "hs-audit train: interrupted; the same command goes on from here"
    assert not list((tmp_path / "m").iterdir())
