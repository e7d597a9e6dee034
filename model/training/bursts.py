"""Pictures of one scene: goods that were photographed several times in a row, told by the features of a backbone."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.cluster.hierarchy import linkage

from model.cases.groups import ALWAYS_JOINED, MOST_OF_A_CODE
from model.training.folds import FeaturesOf, cut_alike
from model.training.novelty import unit_rows

# Seen on photos of groceries and on catalogue pictures (docs/evaluation.md): so near to its like, against what pictures
# of its code are to each other, is a picture of the same scene, seldom one of another article.
_NEARER_THAN_ITS_CODE = 0.65
_DIRECTIONS = 128
_FEWEST = 10 * _DIRECTIONS  # pictures from which so many directions can be told
_LOOKED_AT = 20_000
_AT_ONCE = 2_000  # pictures of a code that are compared each with each: 32 MB


def find_bursts(labels: np.ndarray, digests: Sequence[str], features_of: FeaturesOf) -> list[np.ndarray] | None:
    """Finds bursts among the pictures of each code.

    Features are whitened, so that two pictures taken at random have a cosine of about 0. Clusters of a code, by average
    linkage, are bursts where they are nearer than a share of the way from the code's median cosine to 1: goods that all
    look alike need more to be one scene.

    Args:
        labels: int [N], the class of each picture.
        digests: [N], what is equal for equal files only.
        features_of: int [n], numbers of pictures → float32 [n, F].

    Returns:
        int [n] each, the pictures of a burst. None where there are too few pictures to tell.
    """
    _, by_content = np.unique(np.asarray(digests), return_index=True)  # equal files once
    if len(by_content) < _FEWEST:
        return None
    whiten = _whitening(features_of(by_content[:: -(-len(by_content) // _LOOKED_AT)]))
    found = []
    for label in np.unique(labels):
        pictures = by_content[labels[by_content] == label]
        most = max(ALWAYS_JOINED, int(MOST_OF_A_CODE * len(pictures)))
        white = whiten(features_of(pictures))
        for part in cut_alike(white, np.ones(len(white), int), _AT_ONCE):
            found += [pictures[part[members]] for members in _near(white[part], most)]
    return found


def _whitening(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function that turns features float32 [n, F] into directions of length 1 in which all differ equally."""
    rows = unit_rows(features)
    middle = rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))  # by rising variance
    along = vectors[:, ::-1][:, :_DIRECTIONS] / np.sqrt(np.maximum(values[::-1][:_DIRECTIONS], 1e-12))
    return lambda some: unit_rows((unit_rows(some) - middle) @ along.astype(np.float32))


def _near(white: np.ndarray, most: int) -> list[np.ndarray]:
    """Clusters of rows float32 [n, D] that are nearer than usual, none of more than `most`: int [m] each."""
    if len(white) < 2:
        return []
    cosines = (white @ white.T)[np.triu_indices(len(white), 1)]
    usual = float(np.median(cosines))
    farthest = (1 - _NEARER_THAN_ITS_CODE) * (1 - usual)
    clusters = {row: [row] for row in range(len(white))}
    tree = linkage(np.maximum(1 - cosines, 0), "average")  # the nearest first
    for number, (left, right, distance, size) in enumerate(tree):
        if distance > farthest:
            break
        if size <= most and left in clusters and right in clusters:
            clusters[len(white) + number] = clusters.pop(int(left)) + clusters.pop(int(right))
    return [np.array(sorted(rows)) for rows in clusters.values() if len(rows) > 1]
