"""Which rulings a picture is most like, by the features behind novelty: what a classifier was taught by. NumPy only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.training.novelty import principal_directions, unit_rows

DIMENSIONS = 128  # docs/verdicts.md has what was compared
MOST_PRECEDENTS = 100_000  # pictures: 26 MB in the model
NEAREST = 10  # pictures, of which several may be of one case
_AT_ONCE = 4096

FeaturesOf = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Precedents:
    """The pictures of cases that a classifier learned from.

    Attributes:
        directions: float32 [F, D], orthogonal.
        rows: float16 [n, D], of length 1; one for each original picture.
        classes: int [n], the class of each.
        case_ids: the case of each.
    """

    directions: np.ndarray
    rows: np.ndarray
    classes: np.ndarray
    case_ids: tuple[str, ...]

    def nearest(self, features: np.ndarray, count: int) -> np.ndarray:
        """Features float32 [N, F] → the most alike pictures, best first, int [N, min(count, n)]."""
        likeness = unit_rows(features @ self.directions) @ self.rows.astype(np.float32).T
        return np.argsort(-likeness, axis=1, kind="stable")[:, :count]


def look_for_precedents(
    features_of: FeaturesOf,
    pictures: np.ndarray,
    classes: np.ndarray,
    case_ids: Sequence[str],
    most_seen: int,
    dimensions: int = DIMENSIONS,
) -> Precedents:
    """Keeps pictures as precedents; few features are held at a time.

    Args:
        features_of: numbers of pictures int [n] → float32 [n, F].
        pictures: int [n], numbers of the original ones; of more than `MOST_PRECEDENTS` an even choice is kept.
        classes: int [n], the class of each.
        case_ids: the case of each.
        most_seen: how many the directions are drawn from at most, an even choice of all.
        dimensions: as many directions, or as many as there are features.
    """
    kept = np.arange(len(pictures))[:: -(-len(pictures) // MOST_PRECEDENTS)]
    directions = principal_directions(features_of(pictures[kept[:: -(-len(kept) // most_seen)]]), dimensions)
    rows = np.empty((len(kept), directions.shape[1]), np.float16)
    for start in range(0, len(kept), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        rows[some] = unit_rows(features_of(pictures[kept[some]]) @ directions)
    return Precedents(directions, rows, classes[kept], tuple(case_ids[place] for place in kept.tolist()))
