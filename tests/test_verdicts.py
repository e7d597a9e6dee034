import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hs.card import Card, Thresholds
from hs.class_table import ClassTable
from hs.codes import HSCode
from hs.declared_codes import parse_declared_code
from hs.flags import normalised_entropy
from hs.verdicts import VERDICT_OF, Evidence, Judge, Reason, Verdict, combine, risk

TABLE = ClassTable(("870829", "870899", "392690", "732690"))
JUDGE = Judge(TABLE, Thresholds(differs_below=0.05, agrees_above=0.4, unknown_above=0.8))

BUMPER = (0.97, 0.01, 0.01, 0.01)
PLASTIC = (0.01, 0.01, 0.97, 0.01)
SOME_PART = (0.60, 0.38, 0.01, 0.01)
OTHER_PART = (0.02, 0.96, 0.01, 0.01)
BETWEEN = (0.2, 0.02, 0.76, 0.02)
CLUELESS = (0.25, 0.25, 0.25, 0.25)


def judged(declared, *pictures, total=None, readable=None):
    count = len(pictures)
    rows = np.array(pictures, np.float32).reshape(count, len(TABLE))
    evidence = Evidence(count if total is None else total, count if readable is None else readable, rows)
    return JUDGE(parse_declared_code(declared), evidence)


@pytest.mark.parametrize(
    ("reason", "declared", "pictures", "total", "readable"),
    [
        ("no_picture", "870829", (), 0, 0),
        ("no_picture", "n/a", (), 0, 0),
        ("unreadable", "870829", (), 2, 0),
        ("not_scored", "870829", (), 2, 1),
        ("code_malformed", "n/a", (BUMPER,), None, None),
        ("code_malformed", "8708.3", (BUMPER,), None, None),
        ("code_unknown", "851712", (BUMPER,), None, None),
        ("sure_of_others", "610910", (BUMPER,), None, None),
        ("sure_of_others", "870840", (BUMPER,), None, None),  # its heading is known, but not the code
        ("outside_scope", "610910", (BETWEEN,), None, None),
        ("unknown_goods", "870829", (CLUELESS,), None, None),
        ("pictures_disagree", "870829", (BUMPER, PLASTIC), None, None),
        ("low_confidence", "870829", (BETWEEN,), None, None),
        ("differs", "870829", (PLASTIC,), None, None),
        ("differs", "870829", (PLASTIC, PLASTIC), None, None),
        ("agrees", "870829", (BUMPER,), None, None),
        ("agrees", "8708.29-0000", (BUMPER,), None, None),
    ],
)
def test_the_first_reason_that_applies_is_given(reason, declared, pictures, total, readable):
    judgement = judged(declared, *pictures, total=total, readable=readable)

    assert judgement.reason == reason
    assert judgement.verdict is VERDICT_OF[Reason(reason)]


@pytest.mark.parametrize(
    ("declared", "picture", "differs_at"),
    [
        ("870829", PLASTIC, 2),
        ("870829", OTHER_PART, 6),
        ("392690", BUMPER, 2),
        ("870829", (0.01, 0.09, 0.88, 0.02), 2),  # a tenth for its chapter is not enough to agree there
        ("8708290000", OTHER_PART, 6),  # the classes go no deeper than 6 digits
    ],
)
def test_a_finding_names_the_coarsest_digit_at_which_the_code_differs(declared, picture, differs_at):
    assert judged(declared, picture).differs_at == differs_at


@pytest.mark.parametrize(
    ("declared", "picture", "novelty", "reason"),
    [
        ("870829", BUMPER, (0.2,), "agrees"),
        ("870829", BUMPER, (0.4,), "unknown_goods"),
        ("870829", PLASTIC, (0.4,), "differs"),  # whatever it is, it is not what was declared
        ("870829", PLASTIC, (0.6,), "unknown_goods"),  # a sheet of paper
        ("870829", CLUELESS, (0.2,), "low_confidence"),  # entropy does not count beside it
        ("870829", CLUELESS, None, "unknown_goods"),  # a model without novelty
        ("610910", BUMPER, (0.2,), "sure_of_others"),
        ("610910", BUMPER, (0.4,), "outside_scope"),  # nobody can be sure of goods never seen
    ],
)
def test_pictures_unlike_all_that_was_learned_show_unknown_goods(declared, picture, novelty, reason):
    judge = replace(JUDGE, thresholds=replace(JUDGE.thresholds, novel_above=0.3, abstain_above=0.5))
    seen = None if novelty is None else np.array(novelty)

    judgement = judge(parse_declared_code(declared), Evidence(1, 1, np.array([picture]), seen))

    assert (judgement.reason, judgement.novelty) == (reason, novelty and novelty[0])


def test_several_pictures_are_as_novel_as_those_that_count():
    label, novelty = (0.01, 0.01, 0.01, 0.97), np.array([0.1, 0.1, 0.9])

    judgement = JUDGE(parse_declared_code("870829"), Evidence(3, 3, np.array([BUMPER, BUMPER, label]), novelty))

    assert judgement.novelty == pytest.approx(np.dot(judgement.weights, novelty))
    assert judgement.novelty < 0.2


def test_only_levels_that_the_classifier_knows_are_judged():
    same_heading, same_chapter = judged("870840", SOME_PART), judged("8711", SOME_PART)

    assert list(same_heading.declared_probabilities) == [2, 4]
    assert list(same_chapter.declared_probabilities) == [2]
    assert same_heading.verdict is same_chapter.verdict is Verdict.AGREES


@pytest.mark.parametrize(
    ("pairs", "declared", "picture", "reason"),
    [
        ((("870829", "392690"),), "870829", PLASTIC, "look_alike"),
        ((("392690", "870829"),), "8708290000", PLASTIC, "look_alike"),  # either way round
        ((("87", "39"),), "870829", PLASTIC, "look_alike"),  # all of two chapters
        ((("870829", "392690"),), "870899", PLASTIC, "differs"),  # another code
        ((("870829", "732690"),), "870829", PLASTIC, "differs"),  # the pictures speak for a third one
        ((("870829", "392690"),), "870829", BUMPER, "agrees"),
        ((), "870829", PLASTIC, "differs"),
    ],
)
def test_between_look_alikes_the_verdict_stays_unsure(pairs, declared, picture, reason):
    judge = replace(JUDGE, look_alikes=pairs)

    assert judge(parse_declared_code(declared), Evidence(1, 1, np.array([picture]))).reason == reason


def test_a_code_that_the_rest_of_a_chapter_may_hold_is_not_out_of_scope():
    judge = replace(JUDGE, table=ClassTable(("870829", "87*", "392690", "732690")))

    assert judge(parse_declared_code("871120"), Evidence(1, 1, np.array([BUMPER]))).reason is Reason.AGREES


def test_a_picture_unlike_the_others_is_outvoted():
    label = (0.01, 0.01, 0.01, 0.97)

    judgement = judged("870829", BUMPER, BUMPER, label)

    assert judgement.recommendations[0].code == HSCode("870829")
    assert judgement.recommendations[0].probability > np.mean([BUMPER, BUMPER, label], axis=0)[0]
    assert judgement.weights[2] < judgement.weights[0] / 4
    assert sum(judgement.weights) == pytest.approx(1)
    assert judgement.disagreement == pytest.approx(0.64, abs=0.01)


def test_one_picture_alone_is_believed_as_it_is():
    judgement = judged("870829", BETWEEN)

    assert (judgement.weights, judgement.disagreement) == ((1.0,), None)
    assert judgement.declared_probabilities[6] == pytest.approx(0.2)


@given(
    st.lists(
        st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda row: sum(row) > 1e-6), min_size=1, max_size=6
    )
)
def test_pictures_together_are_a_distribution_whatever_their_order(rows):
    several = np.array(rows) / np.sum(rows, axis=1, keepdims=True)

    together, reversed_ = combine(several), combine(several[::-1])

    assert together.probabilities.sum() == pytest.approx(1)
    assert (together.probabilities >= 0).all()
    assert together.probabilities == pytest.approx(reversed_.probabilities, abs=1e-9)


def test_a_code_out_of_scope_still_gets_recommendations():
    judgement = judged("610910", BUMPER)

    assert judgement.risk is None
    assert judgement.recommendations[0].code == HSCode("870829")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_verdict(reason):
    assert VERDICT_OF[reason] in Verdict


@given(st.floats(0, 1), st.integers(2, 5000), st.floats(0.001, 0.999))
def test_risk_is_a_probability_that_falls_as_the_declared_code_gains(probability, codes, share):
    low, high = risk(probability, codes, share), risk(min(1, probability + 0.1), codes, share)

    assert 0 <= high <= low <= 1


def test_risk_of_a_declaration_about_which_the_pictures_say_nothing_is_the_assumed_share():
    assert risk(1 / 43, 43, 0.05) == pytest.approx(0.05)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50).filter(lambda weights: sum(weights) > 1e-6))
def test_entropy_lies_between_sure_and_clueless(weights):
    probabilities = np.array(weights) / sum(weights)

    assert -1e-9 <= normalised_entropy(probabilities) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ((-0.1, 0.5, 0.5), "differs_below must be in"),
        ((0.1, 1.5, 0.5), "agrees_above must be in"),
        ((0.6, 0.5, 0.5), "must not exceed"),
    ],
)
def test_thresholds_out_of_range_or_order_are_refused(thresholds, message):
    with pytest.raises(ValueError, match=message):
        Thresholds(*thresholds)


CARD = Card(224, 224, "bilinear", 2, "HS 2022", 1.3, JUDGE.thresholds, "sha256:00")


def test_a_card_survives_its_journey():
    assert Card.from_json(CARD.to_json()) == CARD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a model card"),
        ("[]", "not a model card"),
        ("{}", "has no 'thresholds'"),
        (CARD.to_json().replace('"contract_version": 1', '"contract_version": 9'), "contract_version must be 1"),
        (CARD.to_json().replace('"height": 224, ', ""), "height"),
        (CARD.to_json().replace('"height": 224', '"height": 0'), "height must be a whole number from 1 to 4096, got 0"),
    ],
)
def test_what_is_no_card_is_refused_with_a_reason(text, message):
    with pytest.raises(ValueError, match=message):
        Card.from_json(text)


@pytest.mark.parametrize("classes", [2, 3, 7, 43])
def test_entropy_stays_a_share_however_the_probabilities_are_rounded(classes):
    rounded = np.full(classes, np.nextafter(np.float32(1 / classes), np.float32(1)), np.float32)

    assert 0 <= normalised_entropy(rounded) <= 1


def test_a_judge_that_has_judged_still_travels_to_workers():
    evidence = Evidence(1, 1, np.array([BUMPER], np.float32))
    here = JUDGE(parse_declared_code("870829"), evidence)

    assert pickle.loads(pickle.dumps(JUDGE))(parse_declared_code("870829"), evidence) == here
