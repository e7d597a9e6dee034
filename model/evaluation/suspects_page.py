"""The page of `check cases`: the cases to look at again, with their pictures."""

from collections import Counter
from collections.abc import Sequence

from hs.html import template
from model.cases.reading import Cases
from model.cases.suspects import Suspect, Why
from model.evaluation.gallery import shown_cases
from model.evaluation.page import class_name

_MOST_SHOWN = 48  # of each part: a page stays below 2 MB
_MOST_CODES = 200
_PARTS = {
    "contradicted": (Why.CONTRADICTED,),
    "copies": (Why.SAME_PICTURE, Why.NEAR_DUPLICATE),
    "empty": (Why.UNREADABLE, Why.NEARLY_BLANK),
}
_NOT_IN_FORCE = (Why.OLDER_EDITION, Why.UNKNOWN_CODE)


def suspects_page(cases: Cases, found: Sequence[Suspect], notes: Sequence[str], asked: bool) -> str:
    """The page as HTML.

    Args:
        cases: that were checked.
        found: those to look at again, in the order in which they are shown.
        notes: sentences on what a classifier says of all cases.
        asked: whether one was asked.
    """
    parts = {name: [one for one in found if one.why in whys] for name, whys in _PARTS.items()}
    shown = shown_cases(cases, {one.number for some in parts.values() for one in some[:_MOST_SHOWN]})
    codes = Counter((one.hs_code, one.detail) for one in found if one.why in _NOT_IN_FORCE)
    taken_for = Counter((one.hs_code, one.recommended) for one in parts["contradicted"])
    labels = {code for one in found for code in (one.hs_code, one.recommended) if code}
    return template("model", "suspects.html").render(
        cases=cases.path.name,
        count=cases.count,
        suspected=len({one.number for one in found}),
        notes=notes,
        asked=asked,
        parts=parts,
        shown=shown,
        most=_MOST_SHOWN,
        codes=sorted(codes.items())[:_MOST_CODES],
        more_codes=max(0, len(codes) - _MOST_CODES),
        taken_for=[(*pair, often) for pair, often in taken_for.most_common(12) if often > 1],
        names={label: class_name(label) for label in labels},
    )
