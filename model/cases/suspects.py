"""Cases to look at again before a classifier learns from them, and why: what can be told without one.

cases ──► decode, small ──► nothing to see, the same picture under another code
   └────► their codes ────► of an older edition, of none
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np

from hs.codes import HSCode, may_be_one
from hs.editions import Nomenclature, Standing
from hs.pictures.decoding import PictureSize
from hs.pictures.looks import perceptual_hash, thumbnail
from model.cases.duplicates import near_duplicates
from model.cases.groups import together
from model.cases.reading import Cases, Unreadable, decode_case

MOST_OTHERS = 5
_SIZE = PictureSize(64, 64)  # pixels are for hash and thumbnail alone


class Why(StrEnum):
    """Why a case is to be looked at again, the gravest first."""

    CONTRADICTED = "contradicted"
    SAME_PICTURE = "same_picture"
    NEAR_DUPLICATE = "near_duplicate"
    UNREADABLE = "unreadable"
    NEARLY_BLANK = "nearly_blank"
    OLDER_EDITION = "older_edition"
    UNKNOWN_CODE = "unknown_code"


@dataclass(frozen=True)
class Suspect:
    """A case to look at again.

    Attributes:
        number: its position.
        case_id: as written, by strangers.
        hs_code: what it stands under.
        why: the reason.
        recommended: the code that it is likely of, where one is.
        of_code, of_recommended: probabilities of the two, where a classifier says.
        others: up to five ids of cases with the same picture, each with its code.
        detail: more of the reason: what became of a picture, which edition.
    """

    number: int
    case_id: str
    hs_code: str
    why: Why
    recommended: str = ""
    of_code: float | None = None
    of_recommended: float | None = None
    others: tuple[tuple[str, str], ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Seen:
    """What was seen of the pictures of cases; of those that were generated nothing is told.

    Attributes:
        case_ids: of all cases, by position.
        codes: of all cases, by position.
        cases: int [P], the case of each readable picture.
        digests: [P], of its bytes.
        hashes: uint64 [P], 0 for those that are nearly blank.
        thumbnails: uint8 [P, h, w, 3].
        unreadable: position of a case → its pictures that cannot be read.
    """

    case_ids: Sequence[str]
    codes: Sequence[str]
    cases: np.ndarray
    digests: np.ndarray
    hashes: np.ndarray
    thumbnails: np.ndarray
    unreadable: Mapping[int, Sequence[Unreadable]]

    def suspect(self, number: int, why: Why, detail: str = "") -> Suspect:
        """A case by its position."""
        return Suspect(number, self.case_ids[number], self.codes[number], why, detail=detail)


def look_at(cases: Cases, advance: Callable[[int], None]) -> Seen:
    """Reads and decodes all pictures once.

    Args:
        cases: to look at.
        advance: is told how many cases were done.
    """
    ids, codes, numbers, digests, hashes, thumbnails = [], [], [], [], [], []
    unreadable: dict[int, list[Unreadable]] = {}
    for number, case in enumerate(cases):
        advance(1)
        ids.append(case.case_id)
        codes.append(case.hs_code)
        if case.generated:
            continue
        readable, left_out = decode_case(case, number, _SIZE, cases.all_pictures)
        if left_out or not readable:
            unreadable[number] = left_out
        for picture in readable:
            numbers.append(number)
            digests.append(picture.digest)
            hashes.append(perceptual_hash(picture.pixels))
            thumbnails.append(thumbnail(picture.pixels))
    small = np.stack(thumbnails) if thumbnails else np.empty((0, 16, 16, 3), np.uint8)
    facts = (np.array(numbers, int), np.array(digests, str), np.array(hashes, np.uint64), small)
    return Seen(ids, codes, *facts, unreadable)


def nothing_to_see(seen: Seen) -> Iterator[Suspect]:
    """Cases none of whose pictures shows anything: they cannot be read, or have no contrast."""
    showing = set(seen.cases[seen.hashes != 0].tolist())
    blank = set(seen.cases[seen.hashes == 0].tolist())
    for number in sorted((blank | set(seen.unreadable)) - showing):
        faults = [f"{picture.picture}: {picture.reason}" for picture in seen.unreadable.get(number, ())]
        why = Why.NEARLY_BLANK if number in blank else Why.UNREADABLE
        yield seen.suspect(number, why, "; ".join(faults[:MOST_OTHERS]) or ("" if number in blank else "no picture"))


def under_other_codes(seen: Seen) -> Iterator[Suspect]:
    """Cases with a picture, or nearly that picture, that stands under a code that contradicts theirs.

    A code and one under it do not contradict each other: 870829 and 8708290000.
    """
    found: dict[int, Suspect] = {}
    groups = [(Why.SAME_PICTURE, group) for group in together(seen.digests)]
    _, first, file_of = np.unique(seen.digests, return_index=True, return_inverse=True)
    near = near_duplicates(seen.hashes[first], seen.thumbnails[first])
    groups += [(Why.NEAR_DUPLICATE, group) for group in together(near[file_of])]
    for why, places in groups:
        by_code: defaultdict[str, list[int]] = defaultdict(list)
        for number in sorted(set(seen.cases[places].tolist())):
            by_code[seen.codes[number]].append(number)
        for code, numbers in by_code.items():
            others = [other for against in by_code if not may_be_one(code, against) for other in by_code[against]]
            named = tuple((seen.case_ids[other], seen.codes[other]) for other in sorted(others)[:MOST_OTHERS])
            more = f"{len(others) - MOST_OTHERS} more" if len(others) > MOST_OTHERS else ""
            for number in numbers if others else ():
                found.setdefault(number, Suspect(
                    number, seen.case_ids[number], code, why, others=named, detail=more
                ))  # fmt: skip
    yield from found.values()


def of_other_editions(seen: Seen, nomenclature: Nomenclature, day: date) -> Iterator[Suspect]:
    """Cases under a code that is not in force on a day.

    Args:
        seen: the cases.
        nomenclature: the editions that are known.
        day: see above.
    """
    found = {code: _edition_of(code, nomenclature, day) for code in sorted(set(seen.codes))}
    for number, code in enumerate(seen.codes):
        why, detail, recommended = found[code] or (None, "", "")
        if why:
            yield Suspect(number, seen.case_ids[number], code, why, recommended, detail=detail)


def _edition_of(code: str, nomenclature: Nomenclature, day: date) -> tuple[Why, str, str] | None:
    """Why a code is not in force, in words, and its successor where there is one alone."""
    standing: Standing = nomenclature.standing(HSCode(code.rstrip("*")), day)
    if standing.in_force:
        return None
    if standing.existed and standing.known_in:
        now = ", ".join(standing.codes) or "no known code"
        alone = standing.codes[0] if len(standing.codes) == 1 else ""
        return Why.OLDER_EDITION, f"{standing.known_in}; in {standing.edition} {now}", alone
    return Why.UNKNOWN_CODE, f"not in {standing.edition}", ""
