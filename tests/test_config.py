from pathlib import Path

import pytest

from hs.errors import UsageError
from hs.ranking import budget_rows
from hs_audit.cli import main
from model.experiments.plan import load_experiments
from pipeline.config import load_config
from pipeline.job.engine import beam_options

CONFIGS = Path(__file__).parent.parent / "configs"


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_the_configurations_to_start_from_are_valid_and_printed(name, capsys):
    load = {"paper": load_experiments}.get(name, load_config)
    load(CONFIGS / f"{name}.yaml")

    assert main(["config", name]) == 0
    assert capsys.readouterr().out == (CONFIGS / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("ouput: audits", "unknown key ouput; did you mean output?"),
        ("server: {adress: x}", "unknown key server.adress; did you mean address?"),
        ("server: {batch_size: 0}", "server.batch_size: Input should be greater than or equal to 1, got 0"),
        ("server: {batch_size: many}", "server.batch_size: Input should be a valid integer"),
        ("time_zone: Asia/Soul", "time_zone: 'Asia/Soul' is no time zone"),
        ("pictures: {formats: [GIFF]}", "formats must be some of"),
        ("verdict: {thresholds: {differs_below: 0.9, agrees_above: 0.1, unknown_above: 1}}", "must not exceed"),
        ("verdict: {thresholds: {differs_below: 0.9}}", "verdict.thresholds.agrees_above: Field required"),
        ("worklist: {budget: a lot}", "a budget is a number of declarations such as 200"),
        ("worklist: {random_share: some}", "random_share: a share is written 5% or 0.05, got 'some'"),
        ("worklist: {random_share: 120%}", "random_share: Input should be less than or equal to 1, got 1.2"),
        ("limits: {max_unscored_share: nan%}", "max_unscored_share: Input should be"),
        (
            "foreign_model: {input: x, output: y, height: 2, width: 2, classes: c.txt}",
            "verdict.thresholds must be given",
        ),
        ("time_zone: UTC\noutput: a\noutput: b", "line 3: output stands there twice"),
        ("server:\n  model: hs\n  model: goods", "line 3: server.model stands there twice"),
        ("keep: [a]\nserver:\n  batch_size: 0\nouput: audits", "line 3: server.batch_size: Input should be greater"),
        ("keep: [a]\nserver:\n  batch_size: 0\nouput: audits", "line 4: unknown key ouput; did you mean output?"),
        ("columns: {image: photo}", "line 1: unknown key columns.image; did you mean images?"),
        ("keep: [a, [b]]", "keep.1: Input should be a valid string"),
        ("[1, 2]", "must be a mapping"),
        ("output: 2026-13-45", "is not YAML: month must be in 1..12"),
        ("beam: &a {runner: *a}", "holds itself"),
        (
            "server: {batch_size: " + "many " * 1000 + "}",
            "valid integer, unable to parse string as an integer, got 'many",
        ),
        ("k" * 900 + ": 1", "unknown key kkkk"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(tmp_path, written, sentence):
    path = tmp_path / "config.yaml"
    path.write_text(written)

    with pytest.raises(UsageError) as refused:
        load_config(path)

    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_a_configuration_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read: No such file"):
        load_config(tmp_path / "none.yaml")


def test_shares_are_written_in_percent_or_not(tmp_path):
    (tmp_path / "percent.yaml").write_text(
        "verdict: {assumed_wrong_share: 7%}\nlimits: {max_unscored_share: 20 %}\nworklist: {random_share: '25%'}\n"
    )
    (tmp_path / "shares.yaml").write_text(
        "verdict: {assumed_wrong_share: 0.07}\nlimits: {max_unscored_share: 0.2}\nworklist: {random_share: 0.25}\n"
    )

    assert load_config(tmp_path / "percent.yaml") == load_config(tmp_path / "shares.yaml")


@pytest.mark.parametrize(
    ("budget", "rows", "expected"),
    [
        ("5%", 296, 15),
        ("5%", 300, 15),
        ("100%", 7, 7),
        ("0.5%", 1000, 5),
        ("200", 1000, 200),
        ("200", 10, 10),
        ("0", 9, 0),
    ],
)
def test_a_budget_is_a_number_or_a_share_rounded_up(budget, rows, expected):
    assert budget_rows(budget, rows) == expected


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 0, "usage: hs-audit COMMAND"),
        (["--help"], 0, "usage: hs-audit COMMAND"),
        (["audit"], 2, "there is no command 'audit'"),
        (["trian", "--cases=x"], 2, "there is no command 'trian'; did you mean train?"),
        (["check", "achive", "x"], 2, "there is no command 'check achive'; did you mean check archive?"),
        (["config", "weekly"], 2, "there is no configuration 'weekly'; there are local, nightly"),
    ],
)
def test_the_command_line_says_what_there_is(capsys, arguments, code, said):
    assert main(arguments) == code

    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_a_mistyped_flag_is_told_with_the_nearest_one(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["score", "RUN", "--truth=x", "--wroklist=y"])

    assert stopped.value.code == 2
    assert "there is no argument --wroklist=y; did you mean --worklist?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--runner=FlinkRuner", "there is no runner 'FlinkRuner'; did you mean FlinkRunner?"),
        ("--runer=FlinkRunner", "knows the flag --runer=FlinkRunner; did you mean --runner?"),
    ],
)
def test_a_mistyped_engine_is_told_before_the_night(flag, said):
    with pytest.raises(UsageError) as refused:
        beam_options({}, [flag])

    assert said in str(refused.value)


@pytest.mark.parametrize("endpoint", ["http://me:hunter2@storage:9000", "storage:9000/?password=hunter2"])
def test_an_endpoint_with_a_secret_is_refused_without_repeating_it(tmp_path, endpoint):
    path = tmp_path / "night.yaml"
    path.write_text(f"storage: {{endpoint: '{endpoint}'}}")

    with pytest.raises(UsageError, match="storage: endpoint must be http://HOST:PORT") as refusal:
        load_config(path)

    assert "hunter2" not in str(refusal.value)
