"""Whether a matter that officers settled still holds for what a later night says of it."""

from datetime import UTC, datetime

import pytest

from pipeline.findings.settled import Matter
from tests.findings import finding, read

DECIDED_AT = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recommended_now", "probability", "holds"),
    [
        ("0808300000", 0.6, True),  # as then
        ("0808300000", 0.99, True),
        ("080830", 0.99, True),  # the same code, as a classifier of fewer digits says it
        ("0808400000", 0.5, True),
        ("0808400000", 0.7, False),
        ("0808100000", 0.99, True),  # the declared code: the classifier has learned that the officer was right
        ("080810", 0.99, True),
    ],
)
def test_a_matter_holds_until_another_code_than_the_declared_one_is_recommended_with_more(
    recommended_now, probability, holds
):
    matter = Matter("I1", "0808100000", True, DECIDED_AT, ("0808300000", 0.6), {})
    best = {"hs_code": recommended_now, "probability": probability, "description": None}
    (found,) = read(finding(1, 0.5, recommendations=[best]))

    assert matter.still_holds(found) == holds


def test_what_nothing_was_recommended_for_then_is_raised_by_any_other_code():
    matter = Matter("I1", "0808100000", True, DECIDED_AT, None, {})
    none, other, declared = read(
        *(
            finding(row, 0.5, recommendations=[{"hs_code": code, "probability": 0.5, "description": None}] * bool(code))
            for row, code in enumerate((None, "0808400000", "0808100000"))
        )
    )

    assert [matter.still_holds(each) for each in (none, other, declared)] == [True, False, True]
