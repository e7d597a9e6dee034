"""Which findings officers open first: exactly the budget, in a stated order, with a share that is drawn."""

import csv
import io
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from hs.ranking import By, Selection
from hs_audit.cli import main
from pipeline.findings.sheet import to_csv, write_worklist
from pipeline.findings.worklist import select
from tests.findings import finding, written


def ids(worklist: pa.Table) -> list[str]:
    return worklist["declaration_id"].to_pylist()


def test_by_risk_those_that_differ_come_first_then_the_lane_then_the_rest(tmp_path):
    part = written(
        tmp_path,
        [
            finding(0, 0.5),
            finding(1, None, "sure_of_others"),
            finding(2, 0.4, "differs"),
            finding(3, None, "no_picture", recommendations=[]),
            finding(4, 0.9, "differs"),
            finding(5, 0.5),
        ],
    )

    assert ids(select([part], Selection("6"))) == ["D4", "D2", "D1", "D0", "D5"]  # D3 cannot be judged at all
    assert ids(select([part], Selection("50%"))) == ["D4", "D2", "D1"]


def test_the_order_does_not_depend_on_the_files(tmp_path):
    findings = [finding(row, 0.1 * (row % 5)) for row in range(20)]
    one = written(tmp_path / "one", findings)
    two = [written(tmp_path / "two", findings[n::2][::-1], f"part-{n}.parquet") for n in (0, 1)]
    selection = Selection("7", random_share=0.3, seed=5)

    assert ids(select([one], selection)) == ids(select(two, selection))


def test_a_long_night_gives_what_sorting_all_of_it_gives(tmp_path):
    risks = np.random.default_rng(0).random(5000).round(3)  # many are equal
    part = written(tmp_path, [finding(row, float(risk)) for row, risk in enumerate(risks)])

    worklist = select([part], Selection("37"))

    assert worklist["source_row"].to_pylist() == sorted(range(5000), key=lambda row: (-risks[row], row))[:37]


def test_by_revenue_value_and_duty_count_both_ways(tmp_path):
    rates = {"080810": 45.0, "0808": 25.0, "870829": 8.0}
    part = written(
        tmp_path,
        [
            finding(0, 0.9, value=100.0),  # 0.9 x 100 x 20 %
            finding(1, 0.5, value=1000.0),  # 0.5 x 1000 x 20 %
            finding(2, 0.9, value=None),
            finding(3, 0.5, value=1000.0, duty_rate=0.0),  # the declaration's own rate wins: 25 % more
            finding(4, 0.9, declared_hs_code_normalized="999999"),  # no rate
        ],
    )

    worklist = select([part], Selection("100%", By.REVENUE, rates=rates))

    assert ids(worklist) == ["D3", "D1", "D0", "D2", "D4"]
    assert worklist["duty_difference"].to_pylist() == [25.0, -20.0, -20.0, None, None]
    assert worklist["revenue"].to_pylist() == pytest.approx([125.0, 100.0, 18.0, None, None], nan_ok=True)


def test_each_office_has_its_own_budget(tmp_path):
    findings = [finding(row, row / 100, office=["Busan", "Incheon", None][row % 3]) for row in range(30)]

    worklist = select([written(tmp_path, findings)], Selection("20%", per_office=True))

    assert sorted(worklist["office"].to_pylist(), key=str) == ["Busan"] * 2 + ["Incheon"] * 2 + [None] * 2
    assert ids(worklist) == ["D29", "D28", "D27", "D26", "D25", "D24"]


def test_the_random_share_is_drawn_from_the_whole_night_and_marked(tmp_path):
    findings = [
        finding(row, row / 1000 if row % 2 else None, reason="differs" if row % 2 else "no_picture")
        for row in range(400)
    ]
    part = written(tmp_path, findings)

    worklist = select([part], Selection("100", random_share=0.2, seed=1))
    again, other = (select([part], Selection("100", random_share=0.2, seed=seed)) for seed in (1, 2))

    chosen = worklist["chosen_by"].to_pylist()
    drawn = [row["source_row"] for row in worklist.to_pylist() if row["chosen_by"] == "random"]
    assert (len(chosen), len(drawn)) == (100, 20)
    assert len(set(ids(worklist))) == 100
    assert any(row % 2 == 0 for row in drawn)  # those that cannot be judged, too
    assert ids(worklist) == ids(again) != ids(other)


def test_each_row_says_how_likely_it_was_to_be_drawn_in_its_office(tmp_path):
    findings = [finding(row, row / 100, office="Busan" if row < 10 else "Incheon") for row in range(90)]

    worklist = select([written(tmp_path, findings)], Selection("8", per_office=True, random_share=0.5))

    likely = {(row["office"], row["chosen_by"]): row["draw_probability"] for row in worklist.to_pylist()}
    assert likely == {
        ("Busan", "risk"): None,
        ("Busan", "random"): 4 / 10,
        ("Incheon", "risk"): None,
        ("Incheon", "random"): 4 / 80,
    }


def test_a_draw_favours_nobody(tmp_path):
    part = written(tmp_path, [finding(row, 0.5) for row in range(100)])
    counts = [0] * 100

    for seed in range(300):
        for row in select([part], Selection("10", random_share=1.0, seed=seed))["source_row"].to_pylist():
            counts[row] += 1

    assert sum(counts) == 3000
    assert 10 < min(counts) <= max(counts) < 55  # 30 each, give or take 5.2


def test_a_passed_through_column_may_be_called_as_what_ranks_the_findings(tmp_path):
    part = written(tmp_path, [finding(row, row / 10) for row in range(3)])
    table = pq.ParquetFile(part).read()
    for name in ("tier", "score", "draw"):
        table = table.append_column(name, pa.array(["b", "c", "a"]))
    pq.write_table(table, part)

    worklist = select([part], Selection("3"))

    assert ids(worklist) == ["D2", "D1", "D0"]
    assert worklist["score"].to_pylist() == ["a", "c", "b"]


def test_lines_of_one_importer_and_one_pair_of_codes_are_one_case(tmp_path):
    part = written(
        tmp_path,
        [
            finding(0, 0.9, importer="A"),
            finding(1, 0.8, importer="B"),
            finding(2, 0.7, importer="A"),
            finding(3, 0.6, importer="A", declared_hs_code_normalized="080820"),
            finding(4, 0.5, importer=None),
            finding(5, 0.4, importer=None),
        ],
    )

    assert select([part], Selection("100%"))["case"].to_pylist() == [1, 2, 1, 4, 5, 6]


FORMULAS = ["=1+1", "@x", "\t=1", " +1+1", "＝1+1", "\ufe62 1", "\u3000-1+1", ";=1", '"=1']
UNSEEN = [
    "\0=1",
    "\ufeff=1",
    "\u200b=1",
    "\u202e=1",
    "\u3164=1",
    "\ufe0f=1",
    "\u034f＝1",
    "D1\r=1",
    'D1\r\n"=cmd|1"!A1',
    "D1\n=1",
]


@pytest.mark.parametrize("formula", FORMULAS + UNSEEN)
def test_no_text_of_a_stranger_is_a_formula_or_ends_its_row(tmp_path, formula):
    part = written(tmp_path, [finding(0, 0.5, importer=formula, declaration_id=formula)])
    worklist = select([part], Selection("1"))

    write_worklist(worklist, tmp_path)

    lines = (tmp_path / "worklist.csv").read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\r\n")
    assert len(lines) == 3
    assert not lines[2]
    assert not {unicodedata.category(char) for char in lines[1].decode()} & {"Cc", "Cf"}
    for cell in next(csv.reader([lines[1].decode()])):
        assert not cell.startswith(("=", "+", "-", "@", "＝", "\ufe62", "\u3000", "\u3164", "\ufe0f", "\u034f"))
    (_, row) = load_workbook(tmp_path / "worklist.xlsx")["worklist"].iter_rows()
    assert {cell.data_type for cell in row} <= {"s", "n"}
    texts = [cell.value for cell in row if cell.data_type == "s"]
    assert not any(text.startswith(("=", "+", "-", "@", "＝", "\ufe62")) for text in texts)


def test_a_spreadsheet_keeps_leading_zeros_numbers_and_text_of_any_language(tmp_path):
    kept = {"importer": "한국\u3000무역", "value": 12.5, "office": "007"}
    part = written(tmp_path, [finding(0, 0.5, declared_hs_code="0808.10", **kept)])

    write_worklist(select([part], Selection("1")), tmp_path)

    (line,) = csv.DictReader(io.StringIO((tmp_path / "worklist.csv").read_text("utf-8-sig")))
    header, row = load_workbook(tmp_path / "worklist.xlsx")["worklist"].iter_rows(values_only=True)
    sheet = dict(zip(header, row, strict=True))
    assert (line["declared_hs_code"], line["importer"], line["office"]) == ("0808.10", kept["importer"], "007")
    wanted = {"declared_hs_code": "0808.10", "declared_hs_code_normalized": "080810", "risk": 0.5, **kept}
    assert sheet | wanted == sheet


def test_the_columns_of_the_csv_stand_in_their_order_and_the_passed_through_ones_after_ours(tmp_path):
    part = written(tmp_path, [finding(0, 0.5, "differs", differs_at=4)])

    header, line = csv.reader(io.StringIO(to_csv(select([part], Selection("1", random_share=1.0)))))

    assert list(zip(header, line, strict=True)) == [
        ("rank", "1"),
        ("case", "1"),
        ("chosen_by", "random"),
        ("draw_probability", "1.0"),
        ("duty_difference", ""),
        ("revenue", ""),
        ("declaration_id", "D0"),
        ("item_no", "1"),
        ("declared_hs_code", "0808.10"),
        ("declared_hs_code_normalized", "080810"),
        ("code_repair", ""),
        ("verdict", "differs"),
        ("reason", "differs"),
        ("differs_at", "4"),
        ("risk", "0.5"),
        ("recommended_hs_code", "080830"),
        ("recommended_probability", "0.9"),
        ("recommended_description", "Pears"),
        ("partners", ""),
        ("office", "Busan"),
        ("importer", "I0"),
        ("value", "1000.0"),
        ("duty_rate", ""),
        ("source_file", "a.parquet"),
        ("source_row_group", "0"),
        ("source_row", "0"),
        ("run_id", "r"),
    ]


@pytest.fixture
def run(tmp_path) -> Path:
    written(tmp_path / "run", [finding(row, row / 100) for row in range(40)])
    (tmp_path / "run" / "manifest.json").write_text('{"schema_version": 1}')
    (tmp_path / "run" / "_SUCCESS").touch()
    return tmp_path / "run"


def test_the_command_writes_both_files_and_says_what_is_in_them(run, tmp_path, capsys):
    code = main(["worklist", str(run), "--budget=10%", "--random-share=25%", f"--output={tmp_path / 'out'}"])

    assert code == 0
    assert "4 findings in 4 cases: " in capsys.readouterr().out
    assert len((tmp_path / "out" / "worklist.csv").read_text().splitlines()) == 1 + 4
    assert pq.read_table(tmp_path / "out" / "worklist.parquet").num_rows == 4


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--budget=a lot"], "a budget is a number of declarations such as 200"),
        (["--random-share=120%"], "random_share must be in [0, 1]"),
        (["--random-share=some"], "a share is written 5% or 0.05"),
        (["--seed=-1"], "seed must be a whole number"),
        (["--rates=missing.csv"], "missing.csv cannot be read: No such file"),
    ],
)
def test_a_wrong_flag_is_one_sentence(run, tmp_path, capsys, flags, sentence):
    assert main(["worklist", str(run), f"--output={tmp_path / 'out'}", *flags]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("hs_code\n080810\n", "has no column duty_rate"),
        ("hs_code,duty_rate\n080810,45\n123456,3\n", "line 3: '123456' is no code of the nomenclature"),
        ("hs_code,duty_rate\n080810,-4\n", "line 2: expected a number from 0 to 1000, got '-4'"),
        ("hs_code,duty_rate\n080810,nan\n", "line 2: expected a number from 0 to 1000, got 'nan'"),
        ("hs_code,duty_rate\n080810,45\n0808.10,45\n", "line 3: code 080810 stands there twice"),
        ("hs_code,duty_rate\n080810\n", "line 2: fewer cells than the header has"),
    ],
)
def test_a_wrong_line_of_the_rates_is_named(run, tmp_path, capsys, content, sentence):
    (tmp_path / "rates.csv").write_text(content)

    assert main(["worklist", str(run), f"--rates={tmp_path / 'rates.csv'}", f"--output={tmp_path / 'out'}"]) == 2
    assert sentence in capsys.readouterr().err


def test_nothing_is_written_into_a_published_run(run, capsys):
    assert main(["worklist", str(run), f"--output={run}"]) == 2
    assert "nothing is written into a published run" in capsys.readouterr().err
