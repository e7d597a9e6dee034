"""What the flag promised and keeps: the rule of the night on every code of every case, counted another way."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from hs.card import Card, LevelThreshold, Mistake, Thresholds
from hs.class_table import ClassTable
from hs.declared_codes import parse_declared_code
from hs.proportions import clustered
from hs.verdicts import Evidence, Judge, Reason, combine
from model.declared import Declared
from model.evaluation.flag import flags
from model.evaluation.intervals import Between, precision_between
from model.evaluation.promises import Promise, in_a_sentence, without_own
from model.evaluation.summary import evaluate
from model.exported.predictions import Predictions, Promises
from tests.flagged import flagged

TABLE = ClassTable(("870829", "870899", "870321", "392690", "391990", "39*", "0810501020"))
PLAIN = Thresholds(0.05, 0.4, 0.95)
LEVELS = (LevelThreshold(2, 0, 0.05), LevelThreshold(4, 2, 0.1), LevelThreshold(6, 4, 0.2))
BY_LEVEL = replace(PLAIN, levels=LEVELS, right_flagged_at_most=0.03)
SILENT = replace(PLAIN, novel_above=0.5, abstain_above=0.8)
KINDS = {"plain": PLAIN, "by level": BY_LEVEL, "with novelty": SILENT, "nothing": replace(PLAIN, differs_below=0.0)}


def a_card(thresholds: Thresholds, **near: Thresholds) -> Card:
    by_mistake = {Mistake(name): drawn for name, drawn in near.items()}
    return Card(8, 8, "bilinear", 2, "HS 2022", 1.0, thresholds, "sha256:0", thresholds_for=by_mistake)


def predictions(count: int = 300, seed: int = 0, card: Card | None = None, sources: int | None = None) -> Predictions:
    """Cases of a fair model; those of one source are alike."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(TABLE), count)
    logits = 4 * np.eye(len(TABLE))[labels] + random.normal(size=(count, len(TABLE))) * 2
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(
        table=TABLE,
        card=card or a_card(PLAIN),
        probabilities=probabilities,
        truth=tuple(TABLE.labels[label] for label in labels),
        labels=labels,
        generated=np.zeros(count, bool),
        unreadable=(),
        unknown={},
        novelty=random.random(count).astype(np.float32),
        novelty_of_unknown=np.array([], np.float32),
        numbers=np.arange(count),
        sources=tuple(str(number % (sources or count)) for number in range(count)),
        disagree={},
        promises=Promises(0.9, 0.05),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mistake", Mistake)
def test_what_is_counted_is_what_the_night_flags(kind, mistake):
    said = predictions(card=a_card(KINDS[kind]))

    found = flags(said, 0.05)[mistake]

    night = flagged(said.probabilities.astype(float), TABLE, KINDS[kind], said.novelty)
    right, wrong = [], []
    for row, label in enumerate(said.truth):
        if not label.endswith("*"):
            right.append(night[row, said.labels[row]])
            wrong += [night[row, n] for n, other in enumerate(TABLE.labels) if mistake.could_be(other, label)]
    assert (found.right_flagged.hits, found.right_flagged.of) == (sum(right), len(right))
    assert (found.recall.hits, found.recall.of) == (sum(wrong), len(wrong))
    assert kind != "nothing" or found.precision is None
    if found.precision:
        flagged_wrong, flagged_right = 0.05 * np.mean(wrong), 0.95 * np.mean(right)
        assert found.precision.share == pytest.approx(flagged_wrong / (flagged_wrong + flagged_right))
        assert found.precision.low < found.precision.share < found.precision.high or not flagged_right


@pytest.mark.parametrize("kind", ["plain", "by level"])
def test_the_best_threshold_is_that_of_all_that_could_be_tried(kind):
    said = predictions(100, card=a_card(KINDS[kind]))

    found = flags(said, 0.05)

    most = dict.fromkeys(Mistake, 0.0)
    for factor in np.geomspace(0.01, 5, 60).tolist():
        scaled = tuple(replace(level, differs_below=level.differs_below * factor) for level in LEVELS)
        thresholds = Thresholds(0.05 * factor, 1.0, 0.95, levels=scaled if kind == "by level" else ())
        for mistake, tried in flags(replace(said, card=a_card(thresholds)), 0.05).items():
            if tried.precision and tried.precision.share >= 0.9:
                most[mistake] = max(most[mistake], tried.recall.share)
    for mistake in Mistake:
        assert most[mistake] <= found[mistake].best_recall <= most[mistake] + 0.05
        assert found[mistake].of_best == found[mistake].recall.share / found[mistake].best_recall
    assert min(most.values()) > 0


def test_each_kind_of_mistake_has_its_own_thresholds_and_bound_where_the_card_has_them():
    card = a_card(replace(PLAIN, right_flagged_at_most=0.01), within_heading=replace(PLAIN, differs_below=0.001))

    found = flags(predictions(card=card), 0.05)

    assert [found[mistake].own_thresholds for mistake in Mistake] == [True, False, True]
    assert [found[mistake].right_flagged_at_most for mistake in Mistake] == [0.01, 0.01, None]
    assert found[Mistake.WITHIN_HEADING].right_flagged.hits < found[Mistake.WITHIN_CHAPTER].right_flagged.hits
    assert found[Mistake.AT_RANDOM].promised_precision == 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_one_case_are_counted_as_the_night_takes_them_together(kind):
    random = np.random.default_rng(1)
    pictures = random.dirichlet(np.full(len(TABLE), 0.3), (40, 3))
    card = a_card(KINDS[kind])
    together = [combine(each, np.full(3, 0.2)) for each in pictures]
    said = replace(
        predictions(40, card=card),
        probabilities=np.stack([one.probabilities for one in together]).astype(np.float32),
        novelty=np.full(40, 0.2, np.float32),
        disagree={row: Declared(TABLE).disagree(each, card) for row, each in enumerate(pictures)},
    )

    found = flags(said, 0.05)[Mistake.AT_RANDOM]

    judge = Judge(TABLE, KINDS[kind])
    by_the_night = right = 0
    for row, label in enumerate(said.truth):
        for other in (other for other in TABLE.labels if not label.endswith("*") and not other.endswith("*")):
            judged = judge(parse_declared_code(other), Evidence(3, 3, pictures[row], np.full(3, 0.2)))
            by_the_night += judged.reason is Reason.DIFFERS and other != label
            right += judged.reason is Reason.DIFFERS and other == label
    assert (found.recall.hits, found.right_flagged.hits) == (by_the_night, right)


def test_goods_of_the_rest_of_a_prefix_alone_have_no_flag_to_measure():
    said = predictions()
    rest = said.labels == TABLE.labels.index("39*")

    assert flags(said.only(rest), 0.05) == {}
    assert Mistake.WITHIN_HEADING not in flags(said.only(said.labels == TABLE.labels.index("870321")), 0.05)


def test_a_share_of_cases_that_belong_together_is_less_sure():
    hits = np.repeat([1, 0, 1, 1, 0, 1, 1, 1], 10)

    apart = clustered(hits, np.ones(80), np.arange(80))
    together = clustered(hits, np.ones(80), np.repeat(np.arange(8), 10))

    assert apart.share == together.share == 0.75
    assert apart.effective == pytest.approx(79)
    assert together.effective == pytest.approx(7)


@pytest.mark.parametrize(("right", "wrong"), [(0.004, 0.85), (0.01, 0.5), (0.005, 0.2)])
def test_the_precision_is_within_its_interval_as_often_as_promised(right, wrong):
    random = np.random.default_rng(0)
    truth, held = 0.05 * wrong / (0.05 * wrong + 0.95 * right), []
    for _ in range(400):
        of_wrong = random.binomial(10, random.beta(2 * wrong, 2 - 2 * wrong, 300))
        recall = clustered(of_wrong, np.full(300, 10), np.arange(300))
        flagged_right = clustered(random.random(300) < right, np.ones(300), np.arange(300))
        found = precision_between(recall, flagged_right, 0.05)
        held.append(found.low <= truth <= found.high)

    assert np.mean(held) >= 0.92  # 0.95, less what chance may do to 400 draws


@pytest.mark.parametrize(
    ("recall", "right", "low", "high"), [(0, 0, 0, 0), (0, 3, 0, 0.1), (50, 0, 0.4, 1), (1, 1, 0, 0.6)]
)
def test_a_precision_of_few_cases_says_how_little_it_knows(recall, right, low, high):
    counts = np.arange(100)

    found = precision_between(
        clustered(counts < recall, np.ones(100), counts), clustered(counts < right, np.ones(100), counts), 0.05
    )

    assert (found is None) == (recall == right == 0)
    if found:
        assert low <= found.low <= found.share <= found.high <= 1
        assert found.high >= high


def test_wrong_codes_are_those_that_a_mistake_allows():
    for mistake in Mistake:
        allowed = Declared(TABLE).mistakes(mistake)

        by_pairs = [[mistake.could_be(declared, true) for declared in TABLE.labels] for true in TABLE.labels]
        assert allowed.tolist() == by_pairs


@pytest.mark.parametrize(
    ("promised", "at_most", "found", "words"),
    [
        (0.9, False, Between(0.92, 0.8, 0.97), "kept"),
        (0.9, False, Between(0.85, 0.8, 0.9), "open"),
        (0.9, False, Between(0.85, 0.8, 0.89), "not kept"),
        (0.9, False, None, "none flagged"),
        (0.01, True, Between(0.01, 0.0, 0.02), "kept"),
        (0.01, True, Between(0.02, 0.01, 0.03), "open"),
        (0.01, True, Between(0.02, 0.015, 0.03), "not kept"),
        (None, True, Between(0.02, 0.015, 0.03), ""),
    ],
)
def test_a_promise_is_kept_or_open_or_not_kept(promised, at_most, found, words):
    assert Promise("", "", promised, at_most, found).words == words


def test_kinds_of_mistake_without_thresholds_of_their_own_are_named():
    one, none = a_card(PLAIN, within_heading=PLAIN), a_card(PLAIN, within_heading=PLAIN, within_chapter=PLAIN)

    lacking, complete = (without_own(evaluate(predictions(card=card), 0.05, 0)[0]) for card in (one, none))

    assert lacking.startswith("The card has no thresholds for wrong codes of the chapter: ")
    assert complete == ""


def test_the_end_of_a_training_tells_each_kind_of_mistake_and_unknown_goods():
    bounded = a_card(replace(PLAIN, known_as_unknown_at_most=0.06))

    sentence = in_a_sentence(evaluate(predictions(card=bounded), 0.05, 0)[0])

    assert sentence.count("precision 0.") == 3
    assert sentence.endswith("(≤ 0.060 promised)")
    nothing = in_a_sentence(evaluate(predictions(card=a_card(KINDS["nothing"])), 0.05, 0)[0])
    assert nothing.startswith("wrong codes at random: none flagged; ")


@pytest.mark.slow
def test_ten_thousand_cases_of_a_thousand_codes_take_less_than_a_minute_and_their_own_memory_again():
    random = np.random.default_rng(0)
    labels = [f"{10 + n // 50:02d}{n // 5 % 10 + 1:02d}{n % 5 + 1:02d}" for n in range(1000)]
    truth = random.integers(0, 1000, 10_000)
    probabilities = random.random((10_000, 1000), np.float32) ** 20
    probabilities[np.arange(10_000), truth] += 5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    said = replace(
        predictions(10_000, card=a_card(BY_LEVEL, within_chapter=PLAIN, within_heading=BY_LEVEL)),
        table=ClassTable(tuple(labels)),
        probabilities=probabilities,
        truth=tuple(labels[number] for number in truth),
        labels=truth,
    )

    started = time.process_time()
    tracemalloc.start()
    found = evaluate(said, 0.05, 0)[0]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert set(found.flags) == set(Mistake)
    assert time.process_time() - started < 60
    assert most < 6 * probabilities.nbytes
