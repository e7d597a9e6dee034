import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hs.class_table import ClassTable
from hs.codes import LEVELS, HSCode

labels = st.lists(
    st.sampled_from(["870829", "870899", "870840", "392690", "392630", "830230", "732690", "87*", "3926*"]), min_size=1
)


def probabilities(count: int) -> np.ndarray:
    weights = np.arange(1, count + 1, dtype=float)
    return weights / weights.sum()


@given(labels)
def test_at_each_level_the_probabilities_of_all_prefixes_cover_everything(names):
    table = ClassTable(tuple(names))
    each = probabilities(len(table))

    chapters = [table.probability(each, prefix) for prefix in table.prefixes(2)]

    assert sum(chapters) == pytest.approx(1)


@given(labels)
def test_a_coarser_prefix_is_never_less_probable_than_a_finer_one(names):
    table = ClassTable(tuple(names))
    each = probabilities(len(table))

    for code in table.codes:
        at_levels = [table.probability(each, prefix) for prefix in code.prefixes()]
        assert at_levels == sorted(at_levels, reverse=True)


def test_outputs_with_one_code_are_summed():
    table = ClassTable(("870829", "392690", "870829"))

    assert table.codes == (HSCode("870829"), HSCode("392690"))
    assert table.recommendable(np.array([0.3, 0.5, 0.2])) == pytest.approx([0.5, 0.5])


def test_the_rest_of_a_prefix_counts_for_it_and_is_never_recommended():
    table = ClassTable(("870829", "87*", "392690"))
    each = np.array([0.1, 0.7, 0.2])

    assert table.probability(each, "87") == pytest.approx(0.8)
    assert table.codes == (HSCode("870829"), HSCode("392690"))
    assert table.recommendable(each) == pytest.approx([0.1, 0.2])


def test_the_rest_of_a_prefix_never_speaks_against_a_code_under_it():
    table = ClassTable(("870829", "87*", "392690"))

    assert table.probability(np.array([0.1, 0.7, 0.2]), "870829") == pytest.approx(0.8)


def test_a_class_of_fewer_digits_never_speaks_against_a_code_under_it():
    table = ClassTable(("870829", "8708991100"))

    assert table.probability(np.array([0.6, 0.4]), "8708290000") == pytest.approx(0.6)


@pytest.mark.parametrize("prefix", ["87", "8708", "870829", "8708290000"])
def test_prefixes_are_known_down_to_the_depth_of_the_classes(prefix):
    table = ClassTable(("870829",))

    assert table.knows(prefix) is (len(prefix) <= 6)
    assert [len(table.prefixes(level)) for level in LEVELS] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("names", [(), ("8708299",), ("*",), ("cat",), ("",)])
def test_a_class_that_is_no_code_is_refused(names):
    with pytest.raises(ValueError, match=r"class"):
        ClassTable(names)
