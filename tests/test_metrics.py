"""`metrics.prom`: a night and its attempts in figures, read by Prometheus' own parser."""

import hashlib
import json
from datetime import date
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hs.card import Mistake
from hs_audit.cli import main
from pipeline.findings.drift import Drift, Earlier, EarlierNight
from pipeline.findings.selftest import Trial
from pipeline.runs.metrics import attempt_metrics, night_metrics
from tests.archives import GREEN, RED, picture, row, write_archive

MANIFEST = {
    "run_id": "r1", "attempt_id": "20261122T010203-5f0c1a2b", "run_date": "2026-11-21",
    "rows": {"in_footers": 5, "findings": 3, "in_dead_letters": 2, "files_of_unknown_length": 1, "unscored_share": 0.4},
    "verdicts": {"agrees": 2, "differs": 1}, "reasons": {"agrees": 2, "differs": 1}, "pictures": {"ok": 3},
    "declaration_ids": {"repeated": 0, "missing": 1}, "model": {"name": "hs", "version": 7},
    "timings_s": {"auditing": 1.5},
}  # fmt: skip


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(text))
    assert all(family.type == "gauge" and family.documentation for family in families)
    return {
        (sample.name.removeprefix("hs_audit_"), tuple(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_night_has_its_figures():
    found = samples(night_metrics(MANIFEST))

    assert found["rows", ()] == 5
    assert found["dead_letter_rows", ()] == 2
    assert found["unscored_share", ()] == 0.4
    assert found["findings", (("verdict", "differs"),)] == 1
    assert found["step_seconds", (("step", "auditing"),)] == 1.5
    assert found["run_date_timestamp_seconds", ()] == 1795219200
    (info,) = [dict(labels) for name, labels in found if name == "run_info"]
    assert info == {
        "run_id": "r1", "attempt_id": "20261122T010203-5f0c1a2b", "run_date": "2026-11-21", "model": "hs",
        "model_version": "7",
    }  # fmt: skip


def test_a_night_that_tests_itself_says_how_it_fared():
    trial = Trial(
        {("at_random", "planted"): 50, ("at_random", "found"): 40, ("at_random", "told_apart"): 10},
        Mistake.AT_RANDOM,
        0.9,
    )

    found = samples(night_metrics(MANIFEST | {"selftest": trial.described()}))

    kind = (("kind", "at_random"),)
    assert found["selftest_planted", kind] == 50
    assert (found["selftest_recall", kind], found["selftest_told_apart", kind]) == (0.8, 0.2)
    assert found["selftest_false_alarms", kind] == 0
    assert found["worklist_withheld", ()] == 1
    assert ("selftest_recall", (("kind", "within_heading"),)) not in found  # none was planted


def test_a_night_says_how_far_it_lies_from_those_before_it():
    before = [
        EarlierNight(date(2026, 11, day), "hs version 7", {"verdicts": {"agrees": 90, "differs": 10}})
        for day in range(1, 8)
    ]
    drift = Drift({"verdicts": {"agrees": 10, "differs": 90}}, "hs version 7", Earlier(before), max_psi=0.25)

    found = samples(night_metrics(MANIFEST | {"drift": drift.described()}))

    assert found["drift_psi", (("of", "verdicts"),)] > found["drift_chance", (("of", "verdicts"),)] > 0
    assert 0 < found["drift_jensen_shannon", (("of", "verdicts"),)] < 1
    assert (found["drift_nights", ()], found["drifted", ()]) == (7, 1)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb{c} 1", "\\n", "일\u202e", "x" * 100_000])
def test_labels_are_what_they_were_whatever_stands_in_them(name):
    manifest = MANIFEST | {"model": {"name": name, "version": 7}}

    found = samples(night_metrics(manifest))

    (info,) = [dict(labels) for key, labels in found if key == "run_info"]
    assert info["model"] == name


@pytest.mark.parametrize(("status", "exit_code", "published"), [("published", 3, 1), ("not published", 5, 0)])
def test_an_attempt_has_its_end(status, exit_code, published):
    record = {
        "exit_code": exit_code, "status": status, "run_date": "2026-11-21", "seconds": 2.5,
        "ended_at": "2026-11-22T01:02:03.000+09:00",
    }  # fmt: skip

    found = samples(attempt_metrics(record))

    assert found["attempt_exit_code", ()] == exit_code
    assert found["attempt_published", ()] == published
    assert found["attempt_ended_timestamp_seconds", ()] == 1795276923


def test_a_run_brings_its_figures_along_and_sets_them_where_they_are_looked_for(colour_server, tmp_path: Path):
    (tmp_path / "textfile").mkdir()
    write_archive(tmp_path / "a.parquet", [row("A1", "8708.29", picture(GREEN)), row("A2", "870829", picture(RED))])
    (tmp_path / "config.yaml").write_text(f"server: {{model: hs}}\nmetrics: {{folder: '{tmp_path}/textfile'}}\n")
    flags = [f"--config={tmp_path}/config.yaml", f"--output={tmp_path}/audits", f"--server={colour_server}"]
    words = ["run", "--run-date=2026-11-21", *flags]

    assert main([*words, f"--input={tmp_path}/a.parquet"]) == 0
    assert main([*words, f"--input={tmp_path}/none"]) == 7

    run, textfile = tmp_path / "audits" / "run_date=2026-11-21", tmp_path / "textfile"
    written = (run / "metrics.prom").read_bytes()
    outputs = {each["path"]: each["sha256"] for each in json.loads((run / "manifest.json").read_text())["outputs"]}
    assert outputs["metrics.prom"] == hashlib.sha256(written).hexdigest()
    assert sorted(path.name for path in textfile.iterdir()) == ["hs_audit_attempt.prom", "hs_audit_night.prom"]
    assert (textfile / "hs_audit_night.prom").read_bytes() == written
    assert samples(written.decode())["findings", (("verdict", "agrees"),)] == 1
    assert samples((textfile / "hs_audit_attempt.prom").read_text())["attempt_exit_code", ()] == 7


def test_a_folder_that_is_not_there_costs_a_warning_and_no_night(colour_server, tmp_path: Path, caplog):
    write_archive(tmp_path / "a.parquet", [row("A1", "8708.29", picture(GREEN))])
    (tmp_path / "config.yaml").write_text(f"server: {{model: hs}}\nmetrics: {{folder: '{tmp_path}/none'}}\n")
    flags = [f"--config={tmp_path}/config.yaml", f"--output={tmp_path}/audits", f"--server={colour_server}"]

    assert main(["run", "--run-date=2026-11-21", *flags, f"--input={tmp_path}/a.parquet"]) == 0

    assert "hs_audit_night.prom cannot be written" in caplog.text
