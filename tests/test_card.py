"""The model's card as text, and back."""

import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from hs.card import RESIZE_FILTERS, Card, LevelThreshold, Thresholds

THRESHOLDS = Thresholds(0.05, 0.5, 0.9, novel_above=0.2, abstain_above=0.4)
FIRM = {"differs_below": 0.1, "agrees_above": 1, "unknown_above": 1}
CARD = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, THRESHOLDS, "sha256:00")


LEVELS = (LevelThreshold(2, 0, 0.01, 0.001, 0.002), LevelThreshold(6, 4, 0.02))
BY_LEVEL = replace(THRESHOLDS, levels=LEVELS, right_flagged=0.0, right_flagged_at_most=0.002)
PROMISED = replace(THRESHOLDS, known_as_unknown=0.04, known_as_unknown_at_most=0.05)


@pytest.mark.parametrize("thresholds", [THRESHOLDS, BY_LEVEL, PROMISED])
def test_a_card_is_read_as_it_was_written(thresholds):
    card = replace(CARD, thresholds=thresholds)

    assert Card.from_json(card.to_json()) == card


def test_a_card_without_levels_is_the_text_that_it_always_was():
    written = json.loads(CARD.to_json())

    assert list(written["thresholds"]) == [
        "abstain_above", "agrees_above", "differs_below", "novel_above", "unknown_above", "wrong_share",
    ]  # fmt: skip


def test_keys_that_this_version_does_not_know_are_left_out():
    written = json.loads(CARD.to_json()) | {"made_of": "cheese"}

    assert Card.from_json(json.dumps(written)) == CARD


def test_a_card_of_an_older_version_keeps_its_limit_of_novelty():
    written = json.loads(CARD.to_json())
    written["thresholds"]["alien_above"] = 0.3
    del written["thresholds"]["abstain_above"]

    assert Card.from_json(json.dumps(written)) == replace(CARD, thresholds=replace(THRESHOLDS, abstain_above=0.3))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"height": 32.0}, "height must be a whole number from 1 to 4096, got 32.0"),
        ({"width": True}, "width must be a whole number from 1 to 4096, got True"),
        ({"height": 30_000}, "height must be a whole number from 1 to 4096, got 30000"),
        ({"draft_multiple": -1}, "draft_multiple must be a whole number from 0 to 16, got -1"),
        ({"resize_filter": "sinc"}, "resize_filter must be one of nearest, box, bilinear"),
        ({"resize_filter": ["box"]}, "resize_filter must be one of"),
        ({"temperature": 0}, "temperature must be in [1e-06, 1e+06], got 0"),
        ({"temperature": "1"}, "temperature must be in"),
        ({"hs_edition": "HS\x1b]0;2022"}, "hs_edition must be a line of at most 100 characters"),
        ({"weights_digest": None}, "weights_digest must be a line"),
        ({"contract_version": 2}, "contract_version must be 1, got 2"),
        ({"thresholds": None}, "not a model card"),
        ({"thresholds": {"differs_below": 0.1}}, "not a model card"),
        (
            {"thresholds": FIRM | {"differs_below": None}},
            "differs_below must be in [0, 1]",
        ),
        (
            {"thresholds": FIRM | {"differs_below": True}},
            "differs_below must be in [0, 1]",
        ),
        ({"thresholds": FIRM | {"levels": [{"digits": 4, "within": 4, "differs_below": 0}]}}, "got 4 within 4"),
        ({"thresholds": FIRM | {"levels": [{"digits": 5, "within": 2, "differs_below": 0}]}}, "got 5 within 2"),
        (
            {"thresholds": FIRM | {"levels": [{"digits": True, "within": 0, "differs_below": 0}]}},
            "digits must be a whole",
        ),
        (
            {"thresholds": FIRM | {"levels": [{"digits": 4, "within": 2, "differs_below": 2}]}},
            "differs_below must be in",
        ),
        ({"thresholds": FIRM | {"levels": 4}}, "not a model card"),
        ({"thresholds": FIRM | {"right_flagged": -1}}, "right_flagged must be in [0, 1]"),
        ({"thresholds_for": {"by_moonlight": {}}}, "must be for some of at_random, within_chapter, within_heading"),
        ({"thresholds_for": {"x" * 100_000: {}}}, "got 'xxxx"),
        ({"contract_version": "x" * 100_000}, "contract_version must be 1, got 'xxxx"),
        ({"thresholds_for": []}, "not a model card"),
    ],
)
def test_a_card_is_checked_whole_when_it_is_read(change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refused:
        Card.from_json(json.dumps(json.loads(CARD.to_json()) | change))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("text", ["[" * 100_000, "x" * 1_000_001, "[]", "7", "null", '{"height": NaN}', ""])
def test_what_is_no_card_is_one_sentence(text):
    with pytest.raises(ValueError, match="card"):
        Card.from_json(text)


def test_the_filters_of_a_card_are_those_of_the_decoder():
    assert {resampling.name.lower() for resampling in Image.Resampling} == set(RESIZE_FILTERS)
