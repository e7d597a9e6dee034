"""The pages of an evaluation in a browser: nothing runs, nothing leaves, nothing is cut off, in light and dark."""

from dataclasses import replace
from pathlib import Path

import pytest

from model.cases.suspects import Suspect, Why
from model.evaluation.changes import pictures_of_changes, what_changed
from model.evaluation.gallery import error_gallery
from model.evaluation.page import comparison_page, evaluation_page
from model.evaluation.summary import evaluate
from model.evaluation.suspects_page import suspects_page
from model.training.curves import Curve, HeldOut
from tests.browser.axe import look_in, violations
from tests.browser.chromium import Desk
from tests.evaluated import TABLE, coloured_cases, said_of

HOSTILE = [
    "<img src=x onerror=\"document.title='run'\">",
    "</style><script>document.title='run'</script>",
    "08\u202e0180\x00",
    "M" * 100_000,
    "javascript:document.title='run'",
    "{{7*7}}",
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of one model, that of two, and that of cases to look at again; with cases of hostile names."""
    folder = tmp_path_factory.mktemp("evaluated")
    cases = coloured_cases(folder, each=4, ids=HOSTILE)
    other = dict(zip(TABLE.labels, (*TABLE.labels[1:], TABLE.labels[0]), strict=True))
    codes = list(cases.codes())
    first = said_of(cases, {number: other[codes[number]] for number in range(6)})
    second = said_of(cases, {7: other[codes[7]]}, sure=0.9)
    curves = (
        Curve(HOSTILE[0], "head", (1.2, 0.8)),
        Curve("part 1 of 2 held out", "blocks", (0.9, 0.4), (HeldOut(2, 0.7, 0.8),)),
        Curve("all", "blocks", (0.5,)),
    )
    measured = [evaluate(said, 0.05, 0) for said in (first, second)]
    changes = what_changed(first, second)
    models = [("1 old", measured[0][0], "one.html"), ("2 new", measured[1][0], "one.html")]
    gallery = error_gallery(cases, first, measured[0][0])
    made = {
        "one": evaluation_page("old, version 1", cases, first, measured[0], gallery, curves),
        "two": comparison_page(cases, models, changes, pictures_of_changes(cases, changes)),
    }
    suspects = [
        Suspect(number, case.case_id, case.hs_code, Why.CONTRADICTED, other[case.hs_code], 0.01, 0.9)
        for number, case in enumerate(cases)
    ]
    suspects += [replace(one, why=Why.NEAR_DUPLICATE, others=((HOSTILE[1], TABLE.labels[0]),)) for one in suspects]
    suspects += [replace(suspects[0], why=why, detail=HOSTILE[0]) for why in (Why.UNREADABLE, Why.UNKNOWN_CODE)]
    made["suspects"] = suspects_page(cases, suspects, [HOSTILE[1]], asked=True)
    for name, page in made.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two", "suspects"])
def test_axe_finds_no_violation_on_a_page_that_asks_for_nothing(browser: Desk, pages, axe: str, name, scheme):
    browser.complaints(), browser.requests()
    look_in(browser, scheme)
    browser.open(pages[name])

    complaints, requests = browser.complaints(), browser.requests()
    found = violations(browser, axe)

    look_in(browser, "")
    assert (found, complaints, requests) == ([], [], [])


@pytest.mark.parametrize("name", ["one", "two", "suspects"])
def test_hostile_names_are_text(browser: Desk, pages, name):
    browser.open(pages[name])

    named = browser.texts(".case")

    assert HOSTILE[0] in named
    assert HOSTILE[1] in named
    assert "08[U+202E]0180[U+0000]" in named or "08[U+202E]0180" in " ".join(named)
    assert any("(100,000 characters)" in text for text in named)
    assert browser.driver.title.endswith("cases.parquet")
    assert not browser.all("img[src=x], script")


@pytest.mark.parametrize("name", ["one", "two", "suspects"])
def test_no_picture_is_broken_and_nothing_is_wider_than_the_page(browser: Desk, pages, name):
    browser.open(pages[name])

    broken = browser.run("return [...document.images].filter((one) => !one.naturalWidth).length")

    assert len(browser.all(".cases img")) >= 6
    assert broken == 0
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run(
        "return [...document.querySelectorAll('.cases > li')].every((one) => one.scrollWidth <= one.clientWidth)"
    )
