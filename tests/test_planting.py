"""Which declarations get planted codes, and which codes these are."""

import numpy as np
import pytest

from hs.card import Mistake
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.planting import Planting

CODES = ("870821", "870829", "870830", "870899", "871200", "392690", "732690", "87*")
TABLE = ClassTable(CODES)
ALL = Planting(0, 2**64)


def planted(declared: str, row: int = 0, planting: Planting = ALL, *successors: str) -> dict[Mistake, str]:
    own = [HSCode(code) for code in (declared, *successors)]
    return {kind: code.digits for kind, code in planting.codes(own, TABLE, "a.parquet", 0, row).items()}


def all_planted(declared: str, planting: Planting = ALL, *successors: str) -> dict[Mistake, set[str]]:
    several = [planted(declared, row, planting, *successors) for row in range(200)]
    return {kind: {one[kind] for one in several if kind in one} for kind in Mistake}


def test_each_kind_has_wrong_codes_of_its_own():
    assert all_planted("8708290000") == {
        Mistake.AT_RANDOM: {"870821", "870830", "870899", "871200", "392690", "732690"},
        Mistake.WITHIN_CHAPTER: {"870821", "870830", "870899", "871200"},
        Mistake.WITHIN_HEADING: {"870821", "870830", "870899"},
    }


@pytest.mark.parametrize(
    ("declared", "kinds"),
    [
        ("392690", {Mistake.AT_RANDOM}),  # alone in its chapter
        ("871200", {Mistake.AT_RANDOM, Mistake.WITHIN_CHAPTER}),
        ("8708", {Mistake.AT_RANDOM, Mistake.WITHIN_CHAPTER}),  # what lies under it is no other code
        ("87", {Mistake.AT_RANDOM}),
        ("010121", {Mistake.AT_RANDOM}),  # the classifier knows none of its chapter
    ],
)
def test_a_kind_that_the_classes_do_not_allow_is_not_planted(declared, kinds):
    assert set(planted(declared)) == kinds


def test_what_a_declared_code_stands_for_in_another_edition_is_no_lie():
    assert all_planted("870822", ALL, "870821", "870829")[Mistake.WITHIN_HEADING] == {"870830", "870899"}


def test_neighbours_lower_the_duty_where_there_are_such():
    rates = {"8708": 8.0, "870821": 6.5, "870830": 8.0, "8712": 3.0, "392690": 0.0}

    cheaper = all_planted("870829", Planting(0, 2**64, rates))
    none_cheaper = all_planted("870821", Planting(0, 2**64, rates | {"870821": 1.0}))

    assert cheaper[Mistake.WITHIN_HEADING] == {"870821"}
    assert cheaper[Mistake.WITHIN_CHAPTER] == {"870821", "871200"}
    assert len(cheaper[Mistake.AT_RANDOM]) == 6
    assert none_cheaper[Mistake.WITHIN_HEADING] == {"870829", "870830", "870899"}


def test_the_same_seed_and_row_have_the_same_lie_and_others_have_others():
    first, again = ([planted("870829", row) for row in range(50)] for _ in range(2))

    assert first == again
    assert first != [planted("870829", row, Planting(1, 2**64)) for row in range(50)]


def test_about_as_many_rows_are_drawn_as_the_sample_has():
    planting = Planting.expected(500, 20_000, 3, {})

    drawn = np.array([planting.takes("a.parquet", row // 1000, row % 1000) for row in range(20_000)])

    assert 430 < drawn.sum() < 570
    assert all(Planting.expected(500, 300, 3, {}).takes("a.parquet", 0, row) for row in range(300))
    assert Planting.expected(0, 300, 3, {}) is None
