"""Whether there are enough different cases of each HS code, said as early as it can be known."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from hs.errors import UsageError
from hs.pictures.decoding import PictureSize
from hs.pictures.looks import perceptual_hash, thumbnail
from hs.text import counted
from model.cases.groups import Grouping, Pictures, group_cases
from model.cases.reading import Cases, decode_case
from model.training.examples import Examples

_LOOKED_AT_FIRST = 4  # times the fewest that there may be: codes with so many cases are looked at before all others
_SIDE = 64


def check_enough(different: Mapping[str, int], least: int) -> None:
    """Refuses what cannot be learned from, given how many different cases each HS code has.

    Raises:
        UsageError: if there are fewer than two codes, or a code has fewer different cases than `least`.
    """
    if len(different) < 2:
        raise UsageError(f"a classifier needs cases of at least two HS codes, got {', '.join(different) or 'none'}")
    if few := {code: count for code, count in sorted(different.items()) if count < least}:
        raise UsageError(
            f"each HS code needs at least {least} different cases with a readable picture; too few: {_listed(few)}; "
            f"--drop-small-codes {least} trains without them"
        )


def large_enough(cases: Cases, least: int, wanted: int) -> tuple[Cases, dict[str, int]]:
    """Cases without those of small codes, and how many each of these had; what can be known within seconds.

    Only codes of few cases are looked at, to count pictures that are there twice once.

    Args:
        cases: to learn from.
        least: different cases that each code must have.
        wanted: codes with fewer are left out; 0 leaves out none.

    Raises:
        UsageError: if a code that is left has too few.
    """
    counts = dict(sorted(Counter(cases.codes()).items()))
    small = {code: count for code, count in counts.items() if count < wanted}
    kept = {code: count for code, count in counts.items() if code not in small}
    check_enough(kept, least)
    cases = cases.without(small)
    if few := {code for code, count in kept.items() if count < _LOOKED_AT_FIRST * max(least, wanted)}:
        found = _different_at_a_glance(cases.without(set(kept) - few))
        small |= {code: found.get(code, 0) for code in sorted(few) if found.get(code, 0) < wanted}
        kept = {code: found.get(code, 0) if code in few else count for code, count in kept.items() if code not in small}
        check_enough(kept, least)
        cases = cases.without(small)
    return cases, small


def small_codes(examples: Examples, wanted: int) -> dict[str, int]:
    """HS codes with fewer different cases than wanted → how many they have."""
    return {code: count for code, count in different_cases(examples).items() if count < wanted}


def different_cases(examples: Examples) -> dict[str, int]:
    """HS code → how many cases there are, those alike as one."""
    labels, groups = examples.labels, examples.groups
    return {code: len(np.unique(groups[labels == label])) for label, code in enumerate(examples.classes)}


def left_out(small: Mapping[str, int], wanted: int) -> str:
    """A sentence on codes that are not learned."""
    return (
        f"left out: {counted(len(small), 'HS code')} with fewer than {wanted} different cases (--drop-small-codes): "
        f"{_listed(small)}"
    )


def _listed(few: Mapping[str, int]) -> str:
    return ", ".join(f"{code} ({count})" for code, count in few.items())


def _different_at_a_glance(cases: Cases) -> dict[str, int]:
    size, pictures = PictureSize(_SIDE, _SIDE), []
    for number, case in enumerate(cases):
        pictures += decode_case(case, number, size, cases.all_pictures)[0]
    if not pictures:
        return {}
    sources = [picture.source_case for picture in pictures]
    found: Grouping = group_cases(
        Pictures(
            np.unique(sources, return_inverse=True)[1],
            sources,
            [picture.hs_code for picture in pictures],
            [picture.digest for picture in pictures],
            np.array([perceptual_hash(picture.pixels) for picture in pictures], np.uint64),
            np.stack([thumbnail(picture.pixels) for picture in pictures]),
        )
    )
    groups_of: dict[str, set[int]] = {}
    for picture, group in zip(pictures, found.groups.tolist(), strict=True):
        groups_of.setdefault(picture.hs_code, set()).add(group)
    return {code: len(groups) for code, groups in groups_of.items()}
