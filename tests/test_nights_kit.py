"""What starts the audit every night, as far as it can be tried without a cluster: schemas, parsers, Airflow itself."""

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from hs.errors import AuditError, EngineLost, Interrupted, ServerUnreachable, StorageLost

DEPLOY = Path(__file__).parent.parent / "pipeline" / "deploy"
TRY_AGAIN = {ServerUnreachable.exit_code, EngineLost.exit_code, StorageLost.exit_code}
ALL_CODES = {0, 1, 3, *(error.exit_code for error in AuditError.__subclasses__())}
FAILURES_THAT_STAY = ALL_CODES - TRY_AGAIN - {0}


def test_the_cron_job_keeps_the_schema_of_kubernetes():
    job = yaml.safe_load((DEPLOY / "cronjob.yaml").read_text())

    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_the_cron_job_tries_again_only_what_may_get_better():
    spec = yaml.safe_load((DEPLOY / "cronjob.yaml").read_text())["spec"]
    job = spec["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    counted, failed = (rule["onExitCodes"] for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule)

    assert spec["concurrencyPolicy"] == "Forbid"
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # else Kubernetes takes no policy
    assert (counted["operator"], set(counted["values"])) == ("In", TRY_AGAIN)
    assert (failed["operator"], set(failed["values"])) == ("NotIn", TRY_AGAIN)
    assert {counted["containerName"], failed["containerName"]} == {container["name"]}


def test_the_arguments_of_the_cron_job_and_the_service_are_those_of_a_run():
    from hs_audit.commands.run import add_arguments

    job = yaml.safe_load((DEPLOY / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (start,) = re.findall(r"^ExecStart=(.+)$", (DEPLOY / "hs-audit.service").read_text(), re.MULTILINE)
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    for words in (container["args"], start.split()[1:]):
        assert words[0] == "run"
        assert parser.parse_args(words[1:]).config.suffix == ".yaml"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_service_and_its_timer(tmp_path):
    for name in ("hs-audit.service", "hs-audit.timer"):  # the program must be there to be found
        text = (DEPLOY / name).read_text().replace("/opt/hs-audit/bin/hs-audit", sys.executable)
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "hs-audit.service", tmp_path / "hs-audit.timer"],
        capture_output=True,
        text=True,
    )

    ours = [line for line in done.stderr.splitlines() if "hs-audit" in line]
    assert (done.returncode, ours) == (0, [])


def test_systemd_tries_again_only_what_may_get_better():
    (codes,) = re.findall(r"^RestartPreventExitStatus=(.+)$", (DEPLOY / "hs-audit.service").read_text(), re.MULTILINE)

    assert set(map(int, codes.split())) == FAILURES_THAT_STAY


def test_airflow_is_told_what_each_exit_code_means():
    tree = ast.parse((DEPLOY / "airflow_dag.py").read_text())
    tables = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
    }

    assert set(tables["PUBLISHED"]) == {0, 3}
    assert set(tables["TRY_AGAIN"]) == TRY_AGAIN
    assert Interrupted.exit_code not in {*tables["PUBLISHED"], *tables["TRY_AGAIN"]}


PROBE = """
import importlib.util, json, sys
from datetime import datetime, timezone
from airflow.timetables.base import TimeRestriction
from pendulum import instance
spec = importlib.util.spec_from_file_location("dag", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
def became(code):
    try:
        return module.judge(code)[:9]
    except Exception as error:
        return type(error).__name__
dag = module.nights()
earliest = instance(datetime(2026, 11, 20, 20, tzinfo=timezone.utc))
run = dag.timetable.next_dagrun_info(
    last_automated_data_interval=None, restriction=TimeRestriction(earliest, None, True)
)
print(json.dumps({
    "became": {code: became(code) for code in (0, 2, 3, 4, 5, 8, 130)},
    "night": module.night_of(run.logical_date),
    "starts": run.run_after.isoformat(),
    "tasks": [(task.task_id, task.retries) for task in dag.tasks],
    "at_once": dag.max_active_runs,
}))
"""


@pytest.mark.slow
def test_airflow_loads_the_dag_and_gives_each_run_its_night(tmp_path):
    environment = tmp_path / "airflow"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin" / "pip", "install", "--quiet", "apache-airflow>=3,<4"], check=True)

    done = subprocess.run(
        [environment / "bin" / "python", "-c", PROBE, DEPLOY / "airflow_dag.py"],
        capture_output=True,
        text=True,
        env={"AIRFLOW_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    fails = dict.fromkeys(("2", "4", "130"), "AirflowFailException")
    assert (
        said["became"] == {"0": "published", "3": "published", "5": "AirflowException", "8": "AirflowException"} | fails
    )
    # The declarations of the 22nd are all there at 01:30 of the 23rd in Seoul, which is 16:30 UTC of the 22nd.
    assert (said["night"], said["starts"]) == ("2026-11-22", "2026-11-22T16:30:00+00:00")
    assert said["tasks"] == [["audit", 4]]
    assert said["at_once"] == 1


def test_the_parameters_of_the_flex_template_are_flags_of_a_run():
    from hs_audit.commands.run import add_arguments
    from pipeline.deploy.flex_template import as_run

    examples = {
        "config": "/config/nightly.yaml",
        "run_date": "2026-11-01..2026-11-07",
        "input": "gs://archive/{run_date}/*.parquet",
        "output": "/audits",
        "server": "tf-serving:8500",
        "version": "3",
    }
    template = json.loads((DEPLOY / "flex_template.json").read_text())
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    parser.parse_args(as_run([f"--{name}={value}" for name, value in examples.items()])[1:])

    assert set(template) == {"name", "description", "parameters"}
    assert [parameter["name"] for parameter in template["parameters"]] == list(examples)
    for parameter in template["parameters"]:
        assert set(parameter) <= {"name", "label", "helpText", "isOptional", "regexes", "paramType"}
        assert all(parameter[key] for key in ("label", "helpText"))
        for regex in parameter.get("regexes", ()):
            assert re.fullmatch(regex, examples[parameter["name"]])
