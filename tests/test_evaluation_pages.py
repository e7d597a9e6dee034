"""The pages of an evaluation: mistakes in pictures, how a model learned, and what changed between two models."""

import base64
import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from hs.html import template
from model.evaluation.changes import pictures_of_changes, what_changed
from model.evaluation.figures import learning_curves
from model.evaluation.gallery import error_gallery
from model.evaluation.page import comparison_page, evaluation_page
from model.evaluation.summary import evaluate
from model.evaluation.tables import changes_table
from model.training.curves import Curve, HeldOut
from tests.evaluated import coloured_cases, said_of

RED, GREEN, BLUE = "870829", "732690", "392690"
CURVES = (
    Curve("part 1 of 2 held out", "head", (1.0, 0.5)),
    Curve("part 1 of 2 held out", "blocks", (0.4, 0.3, 0.2), (HeldOut(3, 0.35, 0.875),)),
    Curve("all", "head", (1.0, 0.4)),
    Curve("all", "blocks", (0.3, 0.2, 0.1)),
)


def codes_at(cases, code: str) -> list[int]:
    return [number for number, each in enumerate(cases.codes()) if each == code]


def test_the_gallery_has_the_largest_cells_first_and_of_each_what_it_is_surest_of(tmp_path):
    cases = coloured_cases(tmp_path, each=8)
    reds, blues = codes_at(cases, RED), codes_at(cases, BLUE)
    said = said_of(cases, dict.fromkeys(reds[:6], GREEN) | {blues[0]: RED})
    sure = said.probabilities.copy()
    sure[reds[5]] = [0.01, 0.01, 0.98] if said.table.labels[2] == GREEN else np.where(sure[reds[5]] > 0.5, 0.98, 0.01)
    said = replace(said, probabilities=sure)

    first, second = error_gallery(cases, said, evaluate(said, 0.05, 0)[0])

    assert (first.true, first.recommended, first.share.hits, first.share.of) == (RED, GREEN, 6, 8)
    assert [each.case.case_id for each in first.mistaken] == [f"case-{number}" for number in (reds[5], *reds[:3])]
    assert first.mistaken[0].of_recommended == pytest.approx(0.98)
    assert first.mistaken[0].of_true == pytest.approx(0.01)
    assert (second.true, second.recommended, len(second.mistaken)) == (BLUE, RED, 1)
    assert first.mistaken[0].case.picture.uri.startswith("data:image/jpeg;base64,")


def test_a_page_shows_mistakes_with_ids_and_probabilities_and_stays_small(tmp_path):
    cases = coloured_cases(tmp_path, each=40)
    said = said_of(cases, dict.fromkeys(codes_at(cases, RED), GREEN) | {codes_at(cases, BLUE)[0]: RED})
    found = evaluate(said, 0.05, 0)

    page = evaluation_page("a model", cases, said, found, error_gallery(cases, said, found[0]), CURVES)

    assert page.count("<img ") == 5
    assert ">case-" in page
    assert "80.0%" in page
    assert "40 of 40" in page
    assert len(page) < 600_000
    assert "How it learned" in page
    assert "part 1 of 2 held out" in page
    assert "0.875" in page


def test_a_page_allows_its_own_style_alone_and_its_plots_have_none():
    page = template("model", "page.html").render()

    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'; base-uri" in page
    assert "unsafe" not in page
    assert "style" not in learning_curves(CURVES)


def test_without_mistakes_or_curves_a_page_says_nothing_of_either(tmp_path):
    cases = coloured_cases(tmp_path)
    said = said_of(cases, {})
    found = evaluate(said, 0.05, 0)

    page = evaluation_page("a model", cases, said, found, error_gallery(cases, said, found[0]))

    assert "in pictures" not in page
    assert "How it learned" not in page


def test_what_strangers_called_a_case_is_text_on_the_page(tmp_path):
    hostile = ["<img src=x onerror=alert(1)>", "08\u202e0180", "M" * 100_000]
    cases = coloured_cases(tmp_path, ids=hostile)
    said = said_of(cases, {0: GREEN, 1: RED, 2: BLUE})
    found = evaluate(said, 0.05, 0)

    page = evaluation_page("a model", cases, said, found, error_gallery(cases, said, found[0]))

    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page or said.truth[0] == GREEN
    assert "\u202e" not in page
    assert "(100,000 characters)" in page or "M" * 121 not in page


def test_a_picture_that_can_no_longer_be_read_leaves_its_place(tmp_path):
    cases = coloured_cases(tmp_path)
    said = said_of(cases, {codes_at(cases, RED)[0]: GREEN})
    rows = cases.rows
    broken = replace(cases, rows=lambda pictures: (replace(case, pictures=()) for case in rows(pictures)))
    found = evaluate(said, 0.05, 0)

    page = evaluation_page("a model", broken, said, found, error_gallery(broken, said, found[0]))

    assert "No picture of it can be read any more." in page


def test_what_changed_is_counted_case_by_case_and_code_by_code(tmp_path):
    cases = coloured_cases(tmp_path, each=6)
    reds, blues = codes_at(cases, RED), codes_at(cases, BLUE)
    first = said_of(cases, dict.fromkeys(reds[:3], GREEN) | {blues[0]: RED})
    second = said_of(cases, {blues[0]: RED, blues[1]: GREEN}, sure=0.9)

    changes = what_changed(first, second)

    assert (changes.paired.only_old, changes.paired.only_new, changes.paired.cases) == (1, 3, 18)
    assert [one.number for one in changes.won] == reds[:3]
    assert [(one.number, one.true, one.second.recommended) for one in changes.lost] == [(blues[1], BLUE, GREEN)]
    assert changes.won[0].by == pytest.approx(0.8)
    by_label = {one.label: (one.cases, one.first, one.second, one.only_first, one.only_second) for one in changes.codes}
    assert by_label == {RED: (6, 3, 6, 0, 3), GREEN: (6, 6, 6, 0, 0), BLUE: (6, 5, 4, 1, 0)}
    assert [one.label for one in changes.changed_codes] == [BLUE, RED]
    assert changes.levels[6] == changes.paired.top_1
    assert all(found.low <= found.mean <= found.high for found in changes.levels.values())


def test_two_models_on_one_page_show_the_pictures_that_one_alone_has_right_both_ways(tmp_path):
    cases = coloured_cases(tmp_path, each=30)
    first = said_of(cases, dict.fromkeys(codes_at(cases, RED), GREEN))
    second = said_of(cases, {codes_at(cases, BLUE)[1]: GREEN})
    changes = what_changed(first, second)
    models = [(name, evaluate(said, 0.05, 0)[0], f"{name}.html") for name, said in (("1", first), ("2", second))]

    page = comparison_page(cases, models, changes, pictures_of_changes(cases, changes))

    assert page.count("<img ") == 24 + 1  # of thirty that were won
    assert "24 of 30 cases" in page
    won, lost = re.search(r"Right by model 2 alone(.*)Right by model 1 alone(.*)Figure by figure", page, re.S).groups()
    assert f">case-{codes_at(cases, RED)[0]}<" in won
    assert f">case-{codes_at(cases, BLUE)[1]}<" in lost
    assert "2 is better" in page
    assert max(map(len, changes_table(changes).title.splitlines())) <= 80


def test_models_without_a_case_in_common_have_nothing_to_compare(tmp_path):
    cases = coloured_cases(tmp_path)
    said = said_of(cases, {})
    half = said.only(np.arange(len(said.truth)) < 6)
    other = said.only(np.arange(len(said.truth)) >= 6)
    models = [(name, evaluate(some, 0.05, 0)[0], "") for name, some in (("1", half), ("2", other))]

    page = comparison_page(cases, models, what_changed(half, other))

    assert "no case whose code both know" in page
