"""Why, in words: one plain sentence for each reason, picture status, repair and unreadable file.

The words recommend a review and accuse nobody: good faith is presumed.
"""

from collections.abc import Sequence

from pipeline.rules.declared_codes import DECIMAL_DROPPED, DIGITS_LOST, LEADING_ZERO, TRAILING_ZERO_LOST
from pipeline.rules.hs_codes import HSCode
from pipeline.rules.verdicts import Reason, Verdict

LEVEL_NAMES = {2: "chapter", 4: "heading", 6: "subheading", 8: "national code", 10: "national code"}

VERDICTS = {
    Verdict.DIFFERS: "Recommend review",
    Verdict.UNSURE: "Unsure",
    Verdict.AGREES: "Agrees",
    Verdict.CANNOT_JUDGE: "Cannot judge",
}

_REASONS = {
    Reason.NO_PICTURE: "The declaration has no picture.",
    Reason.UNREADABLE: "None of the pictures could be read.",
    Reason.NOT_SCORED: "The pictures could be read, but the classifier gave no answer for them.",
    Reason.CODE_MALFORMED: "The declared code cannot be read as an HS code without guessing.",
    Reason.CODE_UNKNOWN: "The declared code is not in the nomenclature.",
    Reason.SURE_OF_OTHERS: "The classifier is sure of goods that it knows, but does not know the declared code.",
    Reason.OUTSIDE_SCOPE: "The classifier has learned no goods of the declared chapter.",
    Reason.UNKNOWN_GOODS: "The pictures show nothing that the classifier recognises.",
    Reason.PICTURES_DISAGREE: "Some pictures speak for the declared code, others against it; recommend review.",
    Reason.LOW_CONFIDENCE: "The pictures speak neither clearly for the declared code nor clearly against it.",
    Reason.LOOK_ALIKE: "The pictures speak for goods that look like those of the declared code.",
    Reason.DIFFERS: "The pictures speak for another {part}; recommend review.",
    Reason.AGREES: "The pictures speak for the declared code.",
}

_PICTURES = {
    "ok": "Read and classified",
    "not_scored": "Read, but the classifier gave no answer",
    "empty": "The picture has no bytes",
    "not_a_picture": "Not a picture",
    "format_not_allowed": "A format that is not read here",
    "truncated": "The picture is cut short",
    "too_many_bytes": "The file is larger than the limit",
    "too_many_pixels": "More pixels than the limit",
    "decoder_error": "The picture is broken",
}

_REPAIRS = {
    LEADING_ZERO: "a lost leading zero was put back",
    DECIMAL_DROPPED: "the decimals of a number were dropped",
    DIGITS_LOST: "the last digits were lost in a number with an exponent",
    TRAILING_ZERO_LOST: "a zero after the dot seems to be lost",
}

_FILES = {
    "file_missing": "is no longer there",
    "not_permitted": "may not be read",
    "changed": "was changed after the run",
    "empty_file": "has no bytes",
    "encrypted": "is encrypted",
    "not_parquet": "is no Parquet file",
    "truncated": "is cut short",
    "bad_footer": "has a broken footer",
    "bad_page": "has broken pages",
    "column_missing": "lacks a column",
    "column_type": "has a column of a wrong type",
    "duplicate_column": "has a column twice",
}


def explain(
    reason: Reason,
    declared: HSCode | None = None,
    differs_at: int | None = None,
    recommended: Sequence[HSCode] = (),
) -> str:
    """Says why a declaration got its verdict, in one sentence.

    >>> explain(Reason.DIFFERS, HSCode("870829"), 2, [HSCode("392690")])
    'The pictures speak for another chapter (first 2 digits), such as 3926.90; recommend review.'
    >>> explain(Reason.DIFFERS)
    'The pictures speak for another code; recommend review.'

    Args:
        reason: of the finding.
        declared: the declared code as read.
        differs_at: from how many digits on it differs.
        recommended: codes that the pictures speak for, best first; the first that contradicts the declared one is
            named.
    """
    if declared is None or differs_at is None:
        return _REASONS[reason].format(part="code")
    prefix = declared.digits[:differs_at]
    others = [code for code in recommended if code.digits[:differs_at] != prefix[: code.level]]
    part = f"{LEVEL_NAMES[differs_at]} (first {differs_at} digits)"
    return _REASONS[reason].format(part=f"{part}, such as {others[0]}" if others else part)


def picture_words(status: str, detail: str | None = None) -> str:
    """Says what became of a picture.

    >>> picture_words("not_a_picture", "PDF")
    'Not a picture (PDF)'
    """
    words = _PICTURES.get(status, _plain(status))
    return f"{words} ({detail})" if detail else words


def repair_words(repair: str) -> str:
    """Says what was repaired in a declared code, or found lost.

    >>> repair_words("decimal_dropped,leading_zero")
    'the decimals of a number were dropped, a lost leading zero was put back'
    """
    return ", ".join(_REPAIRS.get(name, _plain(name)) for name in repair.split(","))


def file_words(reason: str) -> str:
    """Says what is wrong with a file, to stand after its name.

    >>> file_words("file_missing")
    'is no longer there'
    """
    return _FILES.get(reason, f"cannot be read: {_plain(reason)}")


def _plain(name: str) -> str:
    return name.replace("_", " ")
