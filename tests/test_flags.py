"""What is flagged, and from which digit on: the one rule that the night and whatever measures it share."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hs.card import LevelThreshold, Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.declared_codes import parse_declared_code
from hs.flags import differs_at
from hs.verdicts import Evidence, Judge, Reason
from tests.flagged import flagged

TABLE = ClassTable(("870829", "870899", "870321", "392690", "39*"))
PLAIN = Thresholds(differs_below=0.05, agrees_above=0.4, unknown_above=0.95)
LEVELS = (LevelThreshold(2, 0, 0.02), LevelThreshold(4, 2, 0.05), LevelThreshold(6, 4, 0.1))
BY_LEVEL = replace(PLAIN, levels=LEVELS)

one_picture = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda row: sum(row) > 1e-3)
shares = st.floats(0, 0.4)
any_thresholds = st.builds(
    lambda below, unknown, novel, abstain, levels: Thresholds(
        below, 0.4, unknown, novel_above=novel, abstain_above=abstain, levels=levels
    ),
    shares,
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.lists(
        st.sampled_from([(2, 0), (4, 0), (6, 0), (4, 2), (6, 2), (6, 4), (8, 6)]).flatmap(
            lambda level: st.builds(LevelThreshold, st.just(level[0]), st.just(level[1]), shares)
        ),
        max_size=4,
    ).map(tuple),
)


@given(st.lists(one_picture, min_size=1, max_size=4), any_thresholds, st.booleans())
def test_what_measures_a_model_flags_exactly_what_the_night_would(rows, thresholds, has_novelty):
    probabilities = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    novelty = np.linspace(0, 1, len(rows)) if has_novelty else None

    found = flagged(probabilities, TABLE, thresholds, novelty)

    judge = Judge(TABLE, thresholds)
    for row, column in np.ndindex(found.shape):
        if not TABLE.labels[column].endswith("*"):
            seen = None if novelty is None else novelty[[row]]
            judged = judge(parse_declared_code(TABLE.labels[column]), Evidence(1, 1, probabilities[[row]], seen))
            assert found[row, column] == (judged.reason is Reason.DIFFERS)
    assert not found[:, 4].any()


@pytest.mark.parametrize(
    ("declared", "picture", "level"),
    [
        ("870829", (0.60, 0.36, 0.02, 0.01, 0.01), 0),
        ("870829", (0.01, 0.95, 0.02, 0.01, 0.01), 6),  # of its heading it has a hundredth
        ("870829", (0.005, 0.005, 0.97, 0.01, 0.01), 4),  # of its chapter the heading has a hundredth
        ("870829", (0.005, 0.005, 0.005, 0.90, 0.085), 2),
        ("870829", (0.02, 0.02, 0.02, 0.90, 0.04), 0),  # little, but a fair share at each level
        ("870840", (0.01, 0.95, 0.02, 0.01, 0.01), 0),  # a subheading that no class knows is not judged
        ("8708290000", (0.01, 0.95, 0.02, 0.01, 0.01), 6),
        ("392310", (0.97, 0.01, 0.01, 0.005, 0.005), 2),
        ("392310", (0.01, 0.01, 0.01, 0.96, 0.01), 0),  # the rest of chapter 39 may hold it
    ],
)
def test_the_level_that_speaks_is_where_the_code_differs(declared, picture, level):
    found = differs_at(np.array([picture]), HSCode(declared), TABLE, BY_LEVEL)

    assert found.tolist() == [level]


@given(one_picture, any_thresholds, st.sampled_from(["870829", "870840", "8711", "3926909999", "39"]))
def test_a_level_that_the_classes_do_not_know_never_speaks(row, thresholds, declared):
    code = HSCode(declared)

    level = int(differs_at(np.array([row]) / sum(row), code, TABLE, thresholds)[0])

    assert level == 0 or TABLE.knows(code.digits[:level])


def test_the_order_of_the_thresholds_does_not_matter():
    picture = np.array([[0.001, 0.005, 0.004, 0.98, 0.01]])  # both its chapter and its subheading have too little

    found = [
        differs_at(picture, HSCode("870829"), TABLE, replace(PLAIN, levels=each)) for each in (LEVELS, LEVELS[::-1])
    ]

    assert [each.tolist() for each in found] == [[2], [2]]


def test_look_alikes_count_as_one_at_every_level():
    judge = Judge(TABLE, BY_LEVEL, look_alikes=(("870829", "870899"), ("870321", "392690")))
    other_part, plastic = (0.01, 0.95, 0.02, 0.01, 0.01), (0.004, 0.004, 0.002, 0.98, 0.01)

    reasons = [
        judge(parse_declared_code(declared), Evidence(1, 1, np.array([picture]))).reason
        for declared, picture in (("870829", other_part), ("870829", plastic), ("870321", plastic))
    ]

    assert reasons == [Reason.LOOK_ALIKE, Reason.DIFFERS, Reason.LOOK_ALIKE]


def test_pictures_of_which_one_is_flagged_and_one_agrees_disagree_by_level_too():
    judge = Judge(TABLE, BY_LEVEL)
    pictures = np.array([(0.01, 0.95, 0.02, 0.01, 0.01), (0.95, 0.01, 0.02, 0.01, 0.01)])

    judgement = judge(parse_declared_code("870829"), Evidence(2, 2, pictures))

    assert judgement.reason is Reason.PICTURES_DISAGREE
