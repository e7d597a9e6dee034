"""The model's card as text, and back."""

import json
from dataclasses import replace

from hs.card import Card, Thresholds

THRESHOLDS = Thresholds(0.05, 0.5, 0.9, novel_above=0.2, abstain_above=0.4)
CARD = Card(224, 224, "bilinear", 2, "HS 2022", 1.0, THRESHOLDS, "sha256:00")


def test_a_card_is_read_as_it_was_written():
    assert Card.from_json(CARD.to_json()) == CARD


def test_keys_that_this_version_does_not_know_are_left_out():
    written = json.loads(CARD.to_json()) | {"made_of": "cheese"}

    assert Card.from_json(json.dumps(written)) == CARD


def test_a_card_of_an_older_version_keeps_its_limit_of_novelty():
    written = json.loads(CARD.to_json())
    written["thresholds"]["alien_above"] = 0.3
    del written["thresholds"]["abstain_above"]

    assert Card.from_json(json.dumps(written)) == replace(CARD, thresholds=replace(THRESHOLDS, abstain_above=0.3))
