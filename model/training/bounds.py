"""What few cases bear out about a share of all."""

from scipy.stats import beta


def at_most(hits: float, of: float, confidence: float = 0.9) -> float:
    """The most that a share may be, by Clopper and Pearson (1934): larger ones give as few hits too seldom.

    >>> round(at_most(0, 45), 3), round(at_most(5, 100), 3), at_most(3, 3)
    (0.05, 0.091, 1.0)

    Args:
        hits: of the cases; a fraction, too, where cases are counted by halves.
        of: how many cases there are; of none nothing is known.
        confidence: how often such a bound holds, at least.
    """
    return 1.0 if hits >= of else float(beta.ppf(confidence, hits + 1, of - hits))
