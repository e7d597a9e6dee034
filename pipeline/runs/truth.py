"""What is known to be true of a night, and the findings that it speaks of.

The truth is a CSV file with the columns declaration_id, kind and true_hs_code, and item_no where declarations have
several items. A line without an item speaks of the only item that the run has of that declaration: where there are
several, a code or a kind cannot hold for all of them, and the line must say which one it means.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hs.codes import HSCode
from hs.errors import UsageError
from hs.tables import known_code, read_lines
from hs.text import did_you_mean
from pipeline.findings.finding import Finding

Item = tuple[str, int | None]  # declaration_id, item_no
KINDS = ("right", "wrong", "outside", "bad code", "unknown")  # outside: the classifier does not know the code
_WHOLE_NUMBER = re.compile(r"([0-9]+)(?:\.0+)?")  # pandas writes 1.0 where other lines have no item


@dataclass(frozen=True)
class Truth:
    """A line of the truth.

    Attributes:
        place: file and line, for people.
        kind: one of `KINDS`; `wrong` where the declared code is.
        true_hs_code: None where it is not known.
    """

    place: str
    kind: str
    true_hs_code: HSCode | None

    @property
    def is_wrong(self) -> bool:
        """Whether the declared code is wrong, so that the flag should find it."""
        return self.kind == "wrong"


def read_truth(path: Path) -> dict[Item, Truth]:
    """Declaration and item → its line of the truth file.

    Raises:
        UsageError: if the file is missing, lacks a column, names an item twice, or has a kind or a code that does not
            exist or an item that is no whole number.
    """
    truth: dict[Item, Truth] = {}
    for place, line in read_lines(path, ("declaration_id", "kind", "true_hs_code")):
        declaration, item = line["declaration_id"], _item(line.get("item_no", ""), place)
        if (declaration, item) in truth:
            raise UsageError(f"{place}: {_named(declaration, item)} stands there twice")
        if line["kind"] not in KINDS:
            raise UsageError(f"{place}: there is no kind {line['kind']!r}{did_you_mean(line['kind'], KINDS)}")
        code = HSCode(known_code(line["true_hs_code"], place)) if line["true_hs_code"] else None
        truth[declaration, item] = Truth(place, line["kind"], code)
    return truth


def _item(written: str, place: str) -> int | None:
    if not written:
        return None
    number = _WHOLE_NUMBER.fullmatch(written)
    if not number:
        raise UsageError(f"{place}: item_no must be a whole number or empty, got {written!r}")
    return int(number[1])


def _named(declaration: str, item: int | None) -> str:
    return repr(declaration) if item is None else f"item {item} of {declaration!r}"


def matched(findings: Iterable[Finding], truth: Mapping[Item, Truth]) -> list[tuple[Finding, Truth]]:
    """The findings that the truth names, each with its line: that of its item, else that of its declaration.

    Raises:
        UsageError: if a line without an item names several, or no line names any.
    """
    pairs = []
    items_of_line: dict[str, set[int | None]] = defaultdict(set)
    for finding in findings:
        name, item = finding.declaration_id, finding.item_no
        if name is None:
            continue
        if item is not None and (name, item) in truth:
            pairs.append((finding, truth[name, item]))
        elif (name, None) in truth:
            pairs.append((finding, truth[name, None]))
            items_of_line[name].add(item)
    for name, items in items_of_line.items():
        if len(items) > 1:
            place = truth[name, None].place
            raise UsageError(f"{place}: the run has {len(items)} items of {name!r}; name one in a column item_no")
    if not pairs:
        raise UsageError("the truth names none of the run's declarations")
    return pairs
