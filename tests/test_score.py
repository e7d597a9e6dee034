"""What a night was worth, once the truth is known."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.proportions import Rate
from hs_audit.cli import main
from pipeline.runs.score import score
from tests.findings import SCHEMA, finding


def truth(**kinds: str) -> dict[str, dict[str, str]]:
    return {name: {"declaration_id": name, "kind": kind, "true_hs_code": "080830"} for name, kind in kinds.items()}


def test_the_flag_is_counted_on_both_sides():
    findings = [
        finding(0, 0.9, "differs"),
        finding(1, 0.8, "differs"),
        finding(2, 0.2),
        finding(3, 0.1),
        finding(4, None, "outside_scope"),
    ]

    measured = score(findings, truth(D0="wrong", D1="right", D2="wrong", D3="right", D4="outside"), {}, set())

    assert (measured.precision, measured.recall, measured.wrong) == (Rate(1, 2), Rate(1, 2), Rate(2, 4))
    assert measured.kinds["outside"] == {"cannot_judge": 1}
    assert measured.top_1[6] == Rate(5, 5)


def test_a_budget_opens_exactly_so_many_by_risk():
    findings = [finding(row, row / 100) for row in range(100)]
    wrong = {f"D{row}": "wrong" if row in (99, 96, 0) else "right" for row in range(100)}

    measured = score(findings, truth(**wrong), {}, set())

    assert measured.at_budget == {
        "1%": (Rate(1, 1), Rate(1, 3)),
        "2%": (Rate(1, 2), Rate(1, 3)),
        "5%": (Rate(2, 5), Rate(2, 3)),
        "10%": (Rate(2, 10), Rate(2, 3)),
    }


def test_revenue_is_the_duty_that_wrong_codes_move():
    rates = {"080810": 45.0, "080830": 25.0}
    findings = [finding(row, 0.9 if row == 1 else 0.5, value=9000.0 if row == 0 else 1000.0) for row in range(100)]

    measured = score(
        findings, truth(**{f"D{row}": "wrong" if row < 2 else "right" for row in range(100)}), rates, set()
    )

    assert measured.revenue_at_budget is not None
    assert measured.revenue_at_budget["1%"] == pytest.approx((0.1, 0.9))  # by risk D1 comes first, by revenue D0


def test_risk_that_says_what_happens_has_no_error():
    findings = [finding(row, 0.25) for row in range(8)]
    told = truth(**{f"D{row}": "wrong" if row < 2 else "right" for row in range(8)})

    assert score(findings, told, {}, set()).risk_error == pytest.approx(0.0)
    assert score([dict(each, risk=0.5) for each in findings], told, {}, set()).risk_error == pytest.approx(0.25)
    assert score([dict(each, risk=None) for each in findings], told, {}, set()).risk_error is None


def test_what_was_drawn_at_random_is_counted_apart():
    findings = [finding(row, 0.5) for row in range(10)]
    told = truth(D0="wrong", D1="right", D2="right", D3="wrong")

    assert score(findings, told, {}, {"D0", "D1", "D9"}).drawn == Rate(1, 2)
    assert score(findings, told, {}, set()).drawn is None


def test_offices_and_chapters_are_counted_apart():
    findings = [
        finding(0, 0.9, "differs"),
        finding(1, 0.9, "differs", office="Incheon"),
        finding(2, 0.1, office="Incheon"),
    ]

    measured = score(findings, truth(D0="wrong", D1="right", D2="wrong"), {}, set())

    assert list(measured.offices) == ["Incheon", "Busan"]
    assert (measured.offices["Incheon"].precision, measured.offices["Incheon"].recall) == (Rate(0, 1), Rate(0, 1))
    assert measured.chapters["08"].counted == 3


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "findings").mkdir(parents=True)
    table = pa.Table.from_pylist([finding(0, 0.9, "differs"), finding(1, 0.1)], SCHEMA)
    pq.write_table(table, folder / "findings" / "part-00000.parquet")
    pq.write_table(table.append_column("chosen_by", pa.array(["risk", "random"])), folder / "worklist.parquet")
    (folder / "manifest.json").write_text('{"schema_version": 1}')
    (folder / "_SUCCESS").touch()
    return folder


def test_the_command_prints_tables_or_json(run, tmp_path, capsys):
    told = tmp_path / "truth.csv"
    told.write_text("declaration_id,kind,true_hs_code\nD0,wrong,0808.30\nD1,right,0808.10\n")

    assert main(["score", str(run), f"--truth={told}"]) == 0
    printed = capsys.readouterr().out
    assert main(["score", str(run), f"--truth={told}", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)

    assert "flag: precision 1 of 1 (1.000), 0.207 to 1.000 at 95 %" in printed
    assert "wrong among those drawn at random: 0 of 1" in printed
    assert measured["recall"]["share"] == 1.0
    assert measured["offices"]["Busan"]["counted"] == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("declaration_id,kind\nD0,wrong\n", "has no column true_hs_code"),
        ("declaration_id,kind,true_hs_code\nD0,wrong,123456\n", "line 2: '123456' is no code of the nomenclature"),
        ("declaration_id,kind,true_hs_code\nD0,wrong,080830\nD0,right,\n", "line 3: 'D0' stands there twice"),
        ("declaration_id,kind,true_hs_code\nX,wrong,080830\n", "the truth names none of the run's declarations"),
    ],
)
def test_a_wrong_truth_is_one_sentence(run, tmp_path, capsys, content, sentence):
    (tmp_path / "truth.csv").write_text(content)

    assert main(["score", str(run), f"--truth={tmp_path / 'truth.csv'}"]) == 2
    assert sentence in capsys.readouterr().err
