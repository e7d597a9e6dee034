"""Why, in words: the sentences of the catalogues in `catalogues/`, one file for each language.

The words recommend a review and accuse nobody: good faith is presumed.
"""

import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files

from hs.codes import HSCode, may_be_one
from hs.verdicts import Reason, Verdict

LANGUAGES = ("en", "ko")

_MOST_NAMED = 10  # successors of a code


@cache
def catalogue(language: str = "en") -> dict[str, dict[str, str]]:
    """Section → name → sentence."""
    return tomllib.loads((files("hs") / "catalogues" / f"{language}.toml").read_text(encoding="utf-8"))


def in_languages(say: Callable[[str], str]) -> dict[str, str]:
    """Language → what is said in it.

    >>> in_languages(lambda language: level_name(4, language))
    {'en': 'heading', 'ko': '호'}
    """
    return {language: say(language) for language in LANGUAGES}


def counted_words(count: int, noun: str, language: str = "en") -> str:
    """A number and its noun, one of `[counted]`.

    >>> counted_words(1, "row"), counted_words(1200, "row"), counted_words(1200, "row", "ko")
    ('1 row', '1,200 rows', '1,200행')
    """
    one, *others = catalogue(language)["counted"][noun].split("|")
    return (one if count == 1 or not others else others[0]).format(n=f"{count:,}")


def level_name(level: int, language: str = "en") -> str:
    """What a level is called.

    >>> level_name(4)
    'heading'
    """
    return catalogue(language)["levels"][str(level)]


def promise_words(right_flagged: float, at_most: float) -> str:
    """What thresholds promise to those who declare rightly.

    >>> promise_words(0.0045, 0.0078)
    'on held-out cases 0.45% of right declarations are flagged, at 90 % confidence at most 0.78%'
    """
    share, most = f"{right_flagged:.2%}", f"{at_most:.2%}"
    return f"on held-out cases {share} of right declarations are flagged, at 90 % confidence at most {most}"


def verdict_words(verdict: Verdict, language: str = "en") -> str:
    """A verdict as officers read it.

    >>> verdict_words(Verdict.DIFFERS)
    'Recommend review'
    """
    return catalogue(language)["verdicts"][verdict]


def explain(
    reason: Reason,
    declared: HSCode | None = None,
    differs_at: int | None = None,
    recommended: Sequence[HSCode] = (),
    language: str = "en",
    edition: str | None = None,
    successors: Sequence[HSCode] = (),
) -> str:
    """Says why a declaration got its verdict, in one sentence.

    >>> explain(Reason.DIFFERS, HSCode("870829"), 2, [HSCode("392690")])
    'The pictures speak for another chapter (first 2 digits), such as 3926.90; recommend review.'
    >>> explain(Reason.DIFFERS)
    'The pictures speak for another code; recommend review.'
    >>> explain(Reason.LOW_CONFIDENCE, HSCode("870829"), None, [HSCode("392690")]).partition(": ")[2]
    '3926.90 is likelier, but the declared code not so unlikely that a review would be recommended for it.'
    >>> explain(Reason.RENUMBERED, edition="HS 2017", successors=[HSCode("870822"), HSCode("870829")])
    'The pictures speak for the goods that have the declared code in HS 2017; on that date it is 8708.22 or 8708.29.'

    Args:
        reason: of the finding.
        declared: the declared code as read.
        differs_at: from how many digits on it differs.
        recommended: codes that the pictures speak for, best first; the first that contradicts the declared one is
            named, and the best where it does.
        language: one of `LANGUAGES`.
        edition: that the declared code is read in.
        successors: what it stands for in the edition in force.
    """
    words = catalogue(language)
    part = words["parts"]["code"]
    if declared is not None and differs_at is not None:
        prefix = declared.digits[:differs_at]
        others = [str(code) for code in recommended if code.digits[:differs_at] != prefix[: code.level]]
        form = words["parts"]["such_as" if others else "level"]
        part = form.format(level=level_name(differs_at, language), digits=differs_at, code=others[0] if others else "")
    earlier = "earlier_edition" if reason is Reason.OLDER_EDITION else "another_edition"
    more = ["…"] if len(successors) > _MOST_NAMED else []
    codes = words["parts"]["or"].join([*map(str, successors[:_MOST_NAMED]), *more])
    leads = declared is not None and recommended and not may_be_one(declared.digits, recommended[0].digits)
    return words["reasons"][reason].format(
        part=part,
        leaning=words["parts"]["leaning"].format(code=recommended[0]) if leads else "",
        edition=edition or words["parts"][earlier],
        successors=words["parts"]["successors"].format(codes=codes) if codes else "",
    )


def column_words(name: str, language: str = "en") -> str:
    """What a passed-through column is called; one of the archive's own has its own name.

    >>> column_words("duty_rate"), column_words("duty_rate", "ko"), column_words("ship_name", "ko")
    ('Duty rate (%)', '세율(%)', 'Ship name')
    """
    return catalogue(language)["columns"].get(name, _plain(name).capitalize())


def picture_words(status: str, detail: str | None = None, language: str = "en") -> str:
    """Says what became of a picture.

    >>> picture_words("not_a_picture", "PDF")
    'Not a picture (PDF)'
    """
    words = catalogue(language)["pictures"].get(status, _plain(status))
    return f"{words} ({detail})" if detail else words


def repair_words(repair: str, language: str = "en") -> str:
    """Says what was repaired in a declared code, or found lost.

    >>> repair_words("decimal_dropped,leading_zero")
    'the decimals of a number were dropped, a lost leading zero was put back'
    """
    repairs = catalogue(language)["repairs"]
    return ", ".join(repairs.get(name, _plain(name)) for name in repair.split(","))


def file_words(reason: str, language: str = "en") -> str:
    """Says what is wrong with a file, to stand after its name.

    >>> file_words("file_missing")
    'is no longer there'
    """
    words = catalogue(language)["files"]
    return words.get(reason) or words["unknown"].format(reason=_plain(reason))


def _plain(name: str) -> str:
    return name.replace("_", " ")
