"""What a night was worth, once the truth is known."""

import json
import math
import statistics
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hs.codes import HSCode
from hs.proportions import Rate, estimate
from hs.ranking import Selection
from hs_audit.cli import main
from pipeline.findings.worklist import select
from pipeline.runs.score import drawn_in, score
from pipeline.runs.truth import Item, Truth
from tests.findings import SCHEMA, finding, read, written

ITEMS = "declaration_id,item_no,kind,true_hs_code\n"
WRONG, RIGHT = Truth("truth.csv, line 2", "wrong", HSCode("080830")), Truth("truth.csv, line 3", "right", None)


def truth(**kinds: str) -> dict[Item, Truth]:
    return {(name, None): Truth("truth.csv", kind, HSCode("080830")) for name, kind in kinds.items()}


def test_the_flag_is_counted_on_both_sides():
    findings = read(
        finding(0, 0.9, "differs"),
        finding(1, 0.8, "differs"),
        finding(2, 0.2),
        finding(3, 0.1),
        finding(4, None, "outside_scope"),
    )

    measured = score(findings, truth(D0="wrong", D1="right", D2="wrong", D3="right", D4="outside"), {}, {})

    assert (measured.precision, measured.recall, measured.wrong) == (Rate(1, 2), Rate(1, 2), Rate(2, 4))
    assert measured.kinds["outside"] == {"cannot_judge": 1}
    assert measured.top_1[6] == Rate(5, 5)


def test_items_of_one_declaration_are_told_apart():
    findings = read(
        finding(0, 0.9, "differs"),
        finding(1, 0.1, declaration_id="D0", item_no=2),
        finding(2, 0.8, "differs"),
    )
    told = {("D0", 1): WRONG, ("D0", 2): RIGHT, ("D2", None): WRONG}  # D2 has one item alone

    measured = score(findings, told, {}, {})

    assert (measured.precision, measured.recall, measured.wrong) == (Rate(2, 2), Rate(2, 2), Rate(2, 3))


def test_a_line_without_an_item_speaks_of_the_items_that_no_other_line_names():
    findings = read(finding(0, 0.9, "differs"), finding(1, 0.1, declaration_id="D0", item_no=2))

    measured = score(findings, {("D0", None): WRONG, ("D0", 2): RIGHT}, {}, {})

    assert (measured.precision, measured.wrong) == (Rate(1, 1), Rate(1, 2))


def test_a_row_that_stands_twice_in_the_night_is_counted_twice():
    findings = read(finding(0, 0.9, "differs"), finding(1, 0.9, "differs", declaration_id="D0"))

    assert score(findings, truth(D0="wrong"), {}, {}).precision == Rate(2, 2)


def test_a_finding_without_an_item_is_named_by_its_declaration():
    findings = read(finding(0, 0.9, "differs", item_no=None), finding(1, 0.9, declaration_id=None))

    assert score(findings, truth(D0="wrong"), {}, {}).precision == Rate(1, 1)


def test_a_budget_opens_exactly_so_many_by_risk():
    findings = read(*(finding(row, row / 100) for row in range(100)))
    wrong = {f"D{row}": "wrong" if row in (99, 96, 0) else "right" for row in range(100)}

    measured = score(findings, truth(**wrong), {}, {})

    assert measured.at_budget == {
        "1%": (Rate(1, 1), Rate(1, 3)),
        "2%": (Rate(1, 2), Rate(1, 3)),
        "5%": (Rate(2, 5), Rate(2, 3)),
        "10%": (Rate(2, 10), Rate(2, 3)),
    }


def test_revenue_is_the_duty_that_wrong_codes_move():
    rates = {"080810": 45.0, "080830": 25.0}
    rows = [finding(row, 0.9 if row == 1 else 0.5, value=9000.0 if row == 0 else 1000.0) for row in range(100)]
    told = truth(**{f"D{row}": "wrong" if row < 2 else "right" for row in range(100)})

    measured = score(read(*rows), told, rates, {})

    assert measured.revenue_at_budget is not None
    assert measured.revenue_at_budget["1%"] == pytest.approx((0.1, 0.9))  # by risk D1 comes first, by revenue D0


@pytest.mark.parametrize(("risk", "error"), [(0.25, 0.0), (0.5, 0.25), (None, None)])
def test_risk_that_says_what_happens_has_no_error(risk, error):
    findings = read(*(finding(row, risk) for row in range(8)))
    told = truth(**{f"D{row}": "wrong" if row < 2 else "right" for row in range(8)})

    assert score(findings, told, {}, {}).risk_error == (None if error is None else pytest.approx(error))


def test_what_was_drawn_at_random_is_counted_apart():
    findings = read(*(finding(row, 0.5) for row in range(10)))
    told = truth(D0="wrong", D1="right", D2="right", D3="wrong")

    measured = score(findings, told, {}, {findings[row].source: 0.3 for row in (0, 1, 9)})

    assert str(measured.drawn) == str(Rate(1, 2))
    assert score(findings, told, {}, {}).drawn is None


@pytest.mark.parametrize(("hits", "of"), [(0, 1), (3, 40), (18, 21), (7, 7)])
def test_rows_that_were_drawn_alike_have_wilsons_interval(hits, of):
    estimated = estimate([(row < hits, 0.05) for row in range(of)])

    assert (estimated.share, estimated.effective, estimated.interval) == (hits / of, of, Rate(hits, of).interval)


@pytest.mark.parametrize("drawn", [[], [(True, 0.0)], [(True, 1.5)], [(True, math.nan)]])
def test_an_estimate_needs_cases_that_could_be_drawn(drawn):
    with pytest.raises(ValueError, match=r"needs at least one drawn case|must be in \(0, 1\]"):
        estimate(drawn)


def test_with_a_budget_per_office_the_weighed_hit_rate_is_that_of_the_night(tmp_path):
    offices = {row: "Busan" if row < 40 else "Incheon" for row in range(440)}
    wrong = {row: row % (2 if office == "Busan" else 20) == 0 for row, office in offices.items()}
    rows = [finding(row, 0.5, office=office) for row, office in offices.items()]
    part, findings = written(tmp_path, rows), read(*rows)
    told = truth(**{f"D{row}": "wrong" if is_wrong else "right" for row, is_wrong in wrong.items()})
    true_share = 40 / 440

    estimates = []
    for seed in range(200):
        selection = Selection("20", per_office=True, random_share=0.5, seed=seed)
        estimates.append(score(findings, told, {}, drawn_in(select([part], selection))).drawn)

    shares, plain = [each.share for each in estimates], [each.hits / each.of for each in estimates]
    error = statistics.stdev(shares) / math.sqrt(len(shares))
    assert {each.of for each in estimates} == {20}
    assert abs(statistics.mean(shares) - true_share) < 2 * error
    assert abs(statistics.mean(plain) - true_share) > 20 * error  # Busan has half of the draw and a tenth of the night
    assert sum(low <= true_share <= high for low, high in (each.interval for each in estimates)) >= 0.95 * 200


def test_offices_and_chapters_are_counted_apart():
    findings = read(
        finding(0, 0.9, "differs"),
        finding(1, 0.9, "differs", office="Incheon"),
        finding(2, 0.1, office="Incheon"),
    )

    measured = score(findings, truth(D0="wrong", D1="right", D2="wrong"), {}, {})

    assert list(measured.offices) == ["Incheon", "Busan"]
    assert (measured.offices["Incheon"].precision, measured.offices["Incheon"].recall) == (Rate(0, 1), Rate(0, 1))
    assert measured.chapters["08"].counted == 3


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "findings").mkdir(parents=True)
    rows = [finding(0, 0.9, "differs"), finding(1, 0.1), finding(2, 0.1, declaration_id="D0", item_no=2)]
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, folder / "findings" / "part-00000.parquet")
    pq.write_table(table.append_column("chosen_by", pa.array(["risk", "random", "risk"])), folder / "worklist.parquet")
    (folder / "manifest.json").write_text('{"schema_version": 1}')
    (folder / "_SUCCESS").touch()
    return folder


def test_the_command_prints_tables_or_json(run, tmp_path, capsys):
    told = tmp_path / "truth.csv"
    told.write_text("declaration_id,item_no,kind,true_hs_code\nD0,1.0,wrong,0808.30\nD1,,right,0808.10\n")

    assert main(["score", str(run), f"--truth={told}"]) == 0
    printed = capsys.readouterr().out
    assert main(["score", str(run), f"--truth={told}", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)

    assert "flag: precision 1 of 1 (1.000), 0.207 to 1.000 at 95 %" in printed
    assert "wrong among those drawn at random: 0 of 1 (0.000), 0.000 to 0.793 at 95 %" in printed
    assert measured["recall"]["share"] == 1.0
    assert measured["drawn"] == {"hits": 0, "of": 1, "share": 0.0, "interval_95": pytest.approx([0.0, 0.793], abs=1e-3)}
    assert measured["offices"]["Busan"]["counted"] == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("declaration_id,kind\nD0,wrong\n", "has no column true_hs_code"),
        ("declaration_id,kind,true_hs_code\nD0,wrong,123456\n", "line 2: '123456' is no code of the nomenclature"),
        ("declaration_id,kind,true_hs_code\nD0,wrong,080830\nD0,right,\n", "line 3: 'D0' stands there twice"),
        (
            "declaration_id,kind,true_hs_code\nD0,Wrong,080830\n",
            "line 2: there is no kind 'Wrong'; did you mean wrong?",
        ),
        (
            "declaration_id,kind,true_hs_code\nD0,,080830\n",
            "line 2: there is no kind ''; known are right, wrong, outside",
        ),
        ("declaration_id,kind,true_hs_code\nX,wrong,080830\n", "the truth names none of the run's declarations"),
        (
            "declaration_id,kind,true_hs_code\nD0,wrong,080830\n",
            "line 2: the run has 2 items of 'D0'; name one in a",
        ),
        (f"{ITEMS}D0,2,wrong,080830\nD0,2.0,right,\n", "line 3: item 2 of 'D0' stands there twice"),
        (f"{ITEMS}D0,two,wrong,080830\n", "line 2: item_no must be a whole number or empty, got 'two'"),
        (f"{ITEMS}D0,3,wrong,080830\n", "the truth names none of the run's declarations"),
    ],
)
def test_a_wrong_truth_is_one_sentence(run, tmp_path, capsys, content, sentence):
    (tmp_path / "truth.csv").write_text(content)

    assert main(["score", str(run), f"--truth={tmp_path / 'truth.csv'}"]) == 2
    assert sentence in capsys.readouterr().err


def test_a_file_that_is_no_worklist_is_one_sentence(run, tmp_path, capsys):
    (tmp_path / "truth.csv").write_text("declaration_id,kind,true_hs_code\nD1,right,\n")
    findings = run / "findings" / "part-00000.parquet"

    assert main(["score", str(run), f"--truth={tmp_path / 'truth.csv'}", f"--worklist={findings}"]) == 2
    assert "is no worklist: it has no column chosen_by" in capsys.readouterr().err
