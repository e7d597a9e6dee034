"""What few cases tell of a precision."""

import math
from dataclasses import dataclass

from hs.proportions import Estimate


@dataclass(frozen=True)
class Between:
    """A share and the ends of its 95 % interval."""

    share: float
    low: float
    high: float


def precision_between(recall: Estimate, right_flagged: Estimate, wrong_share: float) -> Between | None:
    """The precision of a flag, None where it flags nothing.

    Precision follows from the ratio of both shares, whose interval is recovered from theirs (Donner and Zou, 2012,
    'Closed-form confidence intervals for functions of the normal mean and standard deviation').

    Args:
        recall: share of wrong declarations that are flagged.
        right_flagged: share of right ones that are.
        wrong_share: share of wrong ones among all.
    """
    if not recall.share and not right_flagged.share:
        return None
    odds = (1 - wrong_share) / wrong_share
    share = recall.share / (recall.share + odds * right_flagged.share)
    least, most = _ratio(right_flagged, recall)
    return Between(share, 1 / (1 + odds * most), 1 / (1 + odds * least))


def _ratio(above: Estimate, below: Estimate) -> tuple[float, float]:
    (a_low, a_high), (b_low, b_high) = above.interval, below.interval
    a, b = above.share, below.share
    least, most = a_low / b_high, math.inf
    if 2 * b > b_high:
        root = math.sqrt(max(0.0, (a * b) ** 2 - a_low * b_high * (2 * a - a_low) * (2 * b - b_high)))
        least = max(0.0, (a * b - root) / (b_high * (2 * b - b_high)))
    if b_low > 0:
        root = math.sqrt(max(0.0, (a * b) ** 2 - a_high * b_low * (2 * a - a_high) * (2 * b - b_low)))
        most = (a * b + root) / (b_low * (2 * b - b_low))
    return least, most
