"""How far counts of one night lie from those of the nights before, and how far chance alone puts so few.

The population stability index (PSI) of shares p and q is the sum of (p - q) ln(p / q), the divergence of Kullback and
Leibler both ways; above 0.25 one customarily speaks of a major shift. The Jensen-Shannon distance (Endres and
Schindelin 2003), between 0 and 1, is told beside it: it does not hang on shares near 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.01  # of a night: how likely chance alone takes any of what is compared beyond its bound
_DRAWS = 1999  # with the night itself 2,000
_MOST = 500_000_000  # earlier cases: NumPy draws from fewer than 1e9


@dataclass(frozen=True)
class Shift:
    """How far counts have moved.

    Attributes:
        psi: population stability index.
        chance: the PSI that chance alone exceeds in `LEVEL` of nights, all that is compared in one taken together.
        jensen_shannon: distance, 0 to 1.
        moved: what of the counts adds most to `psi`.
        was, now: its share, earlier and now.
    """

    psi: float
    chance: float
    jensen_shannon: float
    moved: str
    was: float
    now: float


def shift(now: Mapping[str, int], nights: Sequence[Mapping[str, int]], compared: int) -> Shift | None:
    """How far a night has moved from earlier ones; None where either has nothing to count.

    The bound is that of a permutation test: which of all the cases are this night's is drawn 1,999 times, which needs
    nothing but the counts, as such draws are multivariate hypergeometric. The level is shared among all that is
    compared (Bonferroni). Cases come in lots, so that real nights differ more than such draws: the bound is multiplied
    by how much more the earlier ones did (`dispersion`).

    Args:
        now: what → how many.
        nights: the same of each earlier night.
        compared: how many such counts are compared of one night.
    """
    names = sorted({*now, *(name for night in nights for name in night)})
    table = np.array([[night.get(name, 0) for name in names] for night in (now, *nights)], np.int64)
    mine, before = table[0], table[1:].sum(axis=0)
    if not mine.sum() or not before.sum():
        return None
    parts, was, is_ = _parts(mine, before), before / before.sum(), mine / mine.sum()
    most = int(np.argmax(parts))
    bound = dispersion(table[1:]) * _by_chance(mine, before, LEVEL / compared)
    return Shift(float(parts.sum()), bound, _jensen_shannon(is_, was), names[most], float(was[most]), float(is_[most]))


def dispersion(nights: np.ndarray) -> float:
    """How much more nights differ than draws of single cases would, at least 1.

    That is the chi-square of each night against all by its degrees of freedom, as Rao and Scott (1981) correct tests on
    clustered cases; of the nights the median, so that one that broke says nothing of the others.

    Args:
        nights: int [nights, k], counts.
    """
    nights = nights[nights.sum(axis=1) > 0][:, nights.sum(axis=0) > 0]
    if len(nights) < 2 or nights.shape[1] < 2:
        return 1.0
    sizes, freedom = nights.sum(axis=1, keepdims=True), nights.shape[1] - 1
    expected = sizes * nights.sum(axis=0) / nights.sum()
    squares = ((nights - expected) ** 2 / expected).sum(axis=1) / (freedom * (1 - sizes[:, 0] / nights.sum()))
    middle = (1 - 2 / (9 * freedom)) ** 3  # of chi-square by its degrees of freedom (Wilson and Hilferty 1931)
    return max(1.0, float(np.median(squares)) / middle)


def _by_chance(mine: np.ndarray, before: np.ndarray, level: float) -> float:
    """The PSI that so many cases, drawn from all of them, exceed with a probability of at most `level`."""
    before = before // (1 + before.sum() // _MOST)  # fewer cases: a bound that is a little wide
    drawn = np.random.default_rng(0).multivariate_hypergeometric(mine + before, mine.sum(), _DRAWS, method="marginals")
    found = np.sort(_parts(drawn, mine + before - drawn).sum(axis=1))
    return float(found[-max(int(level * (_DRAWS + 1)), 1)])


def _parts(mine: np.ndarray, before: np.ndarray) -> np.ndarray:
    """What each count adds to the PSI, float [..., k]; half a case more of each, as the logarithm of 0 is none."""
    now, was = (side + 0.5 for side in (mine, before))
    now, was = (side / side.sum(axis=-1, keepdims=True) for side in (now, was))
    parts: np.ndarray = (now - was) * np.log(now / was)
    return parts


def _jensen_shannon(now: np.ndarray, was: np.ndarray) -> float:
    between = _bits((now + was) / 2) - (_bits(now) + _bits(was)) / 2
    return float(np.sqrt(max(between, 0.0)))


def _bits(shares: np.ndarray) -> float:
    """The entropy of shares."""
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
