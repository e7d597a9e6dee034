"""What few cases tell of a share, where some belong together."""

import math
from dataclasses import dataclass

import numpy as np

from hs.proportions import Estimate


@dataclass(frozen=True)
class Between:
    """A share and the ends of its 95 % interval."""

    share: float
    low: float
    high: float


def clustered(hits: np.ndarray, of: np.ndarray, groups: np.ndarray) -> Estimate:
    """A share over cases, with as many of them as tell as much if all were independent.

    The variance is that of a ratio of sums over groups (Cochran, 'Sampling techniques', 1977, chapter 6); what follows
    from it takes the place of the number of cases in Wilson's interval. Where all or none are hits, each group counts
    once.

    Args:
        hits: int [N], of each case how many.
        of: int [N], how many there are.
        groups: int [N] from 0, cases that belong together.
    """
    by_group, sizes = np.bincount(groups, hits), np.bincount(groups, of)
    by_group, sizes = by_group[sizes > 0], sizes[sizes > 0]
    share, count = float(by_group.sum() / sizes.sum()), len(sizes)
    effective = float(count)
    if 0 < share < 1 and count > 1:
        variance = float(((by_group - share * sizes) ** 2).sum()) * count / (count - 1) / float(sizes.sum()) ** 2
        effective = min(max(share * (1 - share) / variance, 1.0), float(sizes.sum())) if variance else float(count)
    return Estimate(int(by_group.sum()), int(sizes.sum()), share, effective)


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
