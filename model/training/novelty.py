"""How unlike a picture is to all that a classifier learned from. NumPy only."""

from dataclasses import dataclass

import numpy as np

# docs/verdicts.md has what was compared: features that were learned tell best in few directions, frozen ones in many.
_DIRECTIONS = 32
_DIRECTIONS_OF_FROZEN = 128
_AT_ONCE = 256  # pictures, against 20,000 examples: 20 MB
MOST_EXAMPLES = 20_000  # 10 MB in the model


@dataclass(frozen=True)
class Seen:
    """What a classifier has seen, as numbers from within it: the last features, or marks of an earlier map.

    A picture is as novel as the nearest of these is far from it (Sun et al. 2022, 'Out-of-Distribution Detection with
    Deep Nearest Neighbors'), by the angle between them within the directions in which those of the cases mostly
    lie.

    Attributes:
        directions: float32 [F, D], orthogonal.
        examples: float32 [n, D], of length 1.
    """

    directions: np.ndarray
    examples: np.ndarray

    def novelty(self, features: np.ndarray) -> np.ndarray:
        """Features float32 [N, F] → float32 [N]: 0 as an example, 1 at a right angle to all of them or more."""
        likeness = np.empty(len(features), np.float32)
        for start in range(0, len(features), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            likeness[some] = (unit_rows(features[some] @ self.directions) @ self.examples.T).max(axis=1)
        return np.clip(1 - likeness, 0, 1)


def marks(maps: np.ndarray) -> np.ndarray:
    """Mean and spread of each channel over a map, float [N, h, w, C] → float32 [N, 2 C]: what a picture has, not where.

    What has no place, [N, F], is its own mark.
    """
    places = tuple(range(1, maps.ndim - 1))
    maps = maps.astype(np.float32, copy=False)
    return np.concatenate([maps.mean(axis=places), maps.std(axis=places)], axis=1) if places else maps


def look_at(features: np.ndarray) -> Seen:
    """What was seen, by features that were learned from these very pictures.

    Args:
        features: float32 [n, F], of the pictures that the classifier learned from.
    """
    return _look_at(features, _DIRECTIONS)


def look_at_frozen(features: np.ndarray) -> Seen:
    """What was seen, by features that stayed as they were; float32 [n, F]."""
    return _look_at(features, _DIRECTIONS_OF_FROZEN)


def _look_at(features: np.ndarray, count: int) -> Seen:
    directions = principal_directions(features, count)
    return Seen(directions, unit_rows(features @ directions))


def principal_directions(features: np.ndarray, count: int) -> np.ndarray:
    """The directions in which features float32 [n, F] mostly lie: float32 [F, min(count, F)], orthogonal."""
    # Not about their mean: a blank sheet and goods on white would lie in one direction from it.
    rows = unit_rows(features)
    _, directions = np.linalg.eigh(rows.T @ rows)  # by rising eigenvalue
    return np.ascontiguousarray(directions[:, ::-1][:, :count])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of float [n, F] at a length of 1; a row of noughts stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
