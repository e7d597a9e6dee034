"""Which pictures precedents are looked for: those of declarations that are likely on the worklist, and not too many."""

import numpy as np
import pyarrow as pa
import pytest

from hs.card import Thresholds
from hs.class_table import ClassTable
from hs.declared_codes import parse_declared_code
from hs.precedents import Precedent, shown_beside
from hs.ranking import Draw, Selection, draw_number
from hs.verdicts import Evidence, Judge
from pipeline.job import suspects
from pipeline.job.suspects import Declared, Picking, Suspects
from pipeline.values import Declarations, RowGroup
from serving.client.client import Answer

TABLE = ClassTable(("870829", "392690", "080810", "87*"))
JUDGE = Judge(TABLE, Thresholds(0.05, 0.5, 1.0))
SUSPECTS = Suspects(Picking(JUDGE))


def answer(*rows: tuple[float, ...]) -> Answer:
    return Answer(np.array(rows, np.float32), np.full(len(rows), np.nan, np.float32))


@pytest.mark.parametrize(
    ("declared", "probabilities", "classes"),
    [
        ("870829", (0.9, 0.05, 0.05, 0.0), ()),  # agrees
        ("392690", (0.98, 0.01, 0.01, 0.0), ("870829", "392690")),  # differs
        ("392690", (0.5, 0.3, 0.2, 0.0), ()),  # unsure, and more likely right than wrong
        ("3926901000", (0.98, 0.01, 0.01, 0.0), ("870829", "392690")),  # deeper than the classes
        ("3926", (0.98, 0.01, 0.01, 0.0), ("870829", "392690")),  # not so deep
        ("220421", (0.98, 0.01, 0.01, 0.0), ("870829",)),  # no class has it: surely of others
        ("not a code", (0.98, 0.01, 0.01, 0.0), ()),
        ("392690", (np.nan, np.nan, np.nan, np.nan), ()),  # was not scored
        ("870899", (0.0, 0.01, 0.98, 0.01), ("080810", "87*")),  # the rest of its chapter
    ],
)
def test_a_picture_is_looked_up_where_its_declaration_is_likely_listed(declared, probabilities, classes):
    assert SUSPECTS.classes(Declared(parse_declared_code(declared)), np.array(probabilities), np.nan) == classes


@pytest.mark.parametrize(
    ("declared", "probabilities", "classes"),
    [
        # It agrees; a national code of it may be of the rest.
        ("870829", (0.9, 0.05, 0.05, 0.0), ("870829", "87*")),
        ("392690", (0.5, 0.3, 0.2, 0.0), ("870829", "392690")),  # unsure
        ("not a code", (0.98, 0.01, 0.01, 0.0), ()),
        ("392690", (np.nan, np.nan, np.nan, np.nan), ()),
    ],
)
def test_what_may_be_drawn_at_random_is_looked_up_whatever_it_shows(declared, probabilities, classes):
    drawn = Declared(parse_declared_code(declared), drawn=True)

    assert SUSPECTS.classes(drawn, np.array(probabilities), np.nan) == classes


@pytest.mark.parametrize("rows", [200, 5_000])
@pytest.mark.parametrize("budget", ["5%", "40"])
def test_nearly_all_that_is_drawn_was_expected_to_be_and_little_else(rows, budget):
    expected, drawn = [], []
    for seed in range(20):
        selection = Selection(budget, random_share=0.2, seed=seed)
        numbers = sorted((draw_number(seed, "a.parquet", 0, row), row) for row in range(rows))
        draw = Draw.expected(selection, rows)
        drawn += [(seed, row) for _, row in numbers[: selection.drawn(rows)]]
        expected += [(seed, row) for row in range(rows) if draw.may_take("a.parquet", 0, row)]

    assert len(set(drawn) - set(expected)) <= 1
    assert len(expected) < 20 * (selection.drawn(rows) + 6 * selection.drawn(rows) ** 0.5 + 6)


def test_without_a_draw_and_where_offices_draw_for_themselves_nothing_is_expected():
    assert Draw.expected(Selection("5%"), 1000) is None
    assert Draw.expected(Selection("5%", per_office=True, random_share=0.5), 1000) is None


def test_the_first_pictures_of_a_declaration_are_looked_at_and_no_more():
    columns = pa.RecordBatch.from_pydict({"declared_hs_code": ["870829", "392690", "080810"]})
    source, counts = RowGroup("a.parquet", 0, 3), np.array([4, 0, 1])

    declared = SUSPECTS.declared(Declarations(source, 0, columns, counts, pa.array([], pa.binary()), {}))

    assert [one and one[0].code.digits for one in declared] == ["870829", "870829", None, None, "080810"]


def test_however_many_look_wrong_a_bounded_share_is_looked_up(monkeypatch):
    monkeypatch.setattr(suspects, "_BEFORE_SHARE", 5)
    picker, wrong = Suspects(Picking(JUDGE)), Declared(parse_declared_code("392690"))

    picked = [picker.pick([wrong] * 10, answer(*[(0.98, 0.01, 0.01, 0.0)] * 10)) for _ in range(10)]

    rows = sum(len({row for row, _ in some}) for some in picked)
    assert rows == 5 + 10  # and a tenth of a hundred
    assert picked[0][:2] == [(0, "870829"), (0, "392690")]


def judged(declared: str, *probabilities: float):
    return JUDGE(parse_declared_code(declared), Evidence(1, 1, np.array([probabilities])))


def test_of_the_rulings_found_the_nearest_three_and_two_are_shown_each_case_once():
    found = [
        *[Precedent(f"R{number}", "870829", 0.5 + number / 10) for number in range(5)],
        *[Precedent("R4", "870829", 0.2)],  # another picture of the same case
        *[Precedent(f"D{number}", "392690", number / 10) for number in range(4)],
        Precedent("O1", "080810", 0.99),
    ]

    shown = shown_beside(found, judged("392690", 0.98, 0.01, 0.01, 0.0), parse_declared_code("392690").code, TABLE)

    assert [one.case_id for one in shown] == ["R4", "R3", "R2", "D3", "D2"]


def test_rulings_as_near_as_each_other_stand_in_one_order_whatever_their_last_bits():
    near = [Precedent("B", "870829", 0.70000004), Precedent("A", "870829", 0.69999999)]
    judgement, declared = judged("392690", 0.98, 0.01, 0.01, 0.0), parse_declared_code("392690").code

    assert [one.case_id for one in shown_beside(near, judgement, declared, TABLE)] == ["A", "B"]
