"""How unlike a picture is to all that a classifier learned from. NumPy only."""

from dataclasses import dataclass

import numpy as np

_DIRECTIONS = 32  # of 32, 64, 128 and all of them these told unknown goods best (docs/verdicts.md)
_AT_ONCE = 256  # pictures, against 20,000 examples: 20 MB
MOST_EXAMPLES = 20_000  # 2.6 MB in the model


@dataclass(frozen=True)
class Seen:
    """What a classifier has seen, as the features of its last layer but one.

    A picture is as novel as the nearest of these is far from it (Sun et al. 2022, 'Out-of-Distribution Detection with
    Deep Nearest Neighbors'), by the angle between them within the directions in which features of the cases mostly
    lie; docs/verdicts.md has what was compared.

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
            likeness[some] = (_unit(features[some] @ self.directions) @ self.examples.T).max(axis=1)
        return np.clip(1 - likeness, 0, 1)


def look_at(features: np.ndarray) -> Seen:
    """What was seen.

    Args:
        features: float32 [n, F], of the pictures that the classifier learned from.
    """
    unit = _unit(features)
    _, directions = np.linalg.eigh(unit.T @ unit)  # by rising eigenvalue
    directions = np.ascontiguousarray(directions[:, ::-1][:, :_DIRECTIONS])
    return Seen(directions, _unit(features @ directions))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
