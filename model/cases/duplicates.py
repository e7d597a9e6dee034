"""Pictures that are the same, or nearly: what must stay on one side of a split."""

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SIDE = 32
_LOW = 8
_CONTRAST = 4.0
_AT_ONCE = 1024


def perceptual_hash(pixels: np.ndarray) -> int:
    """64 bits that stay nearly the same when a picture is scaled, re-encoded or slightly brightened.

    The signs of the 8 x 8 lowest frequencies of a 32 x 32 grey picture against their median, as in pHash
    (Zauner 2010, 'Implementation and Benchmarking of Perceptual Image Hash Functions').

    Args:
        pixels: uint8 [H, W, 3].

    Returns:
        The hash, or 0 for a picture without contrast, which is like no other.
    """
    grey = Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    brightness = np.asarray(grey, np.float64)
    if brightness.std() < _CONTRAST:
        return 0
    low = dctn(brightness, norm="ortho")[:_LOW, :_LOW].ravel()
    bits = low > np.median(low[1:])  # the first is the brightness of the whole
    return int(np.packbits(bits).view(">u8")[0])


def group_alike(cases: np.ndarray, digests: np.ndarray, hashes: np.ndarray, distance: int = 6) -> np.ndarray:
    """Cases that share a picture, or have nearly the same one, as one group.

    >>> hashes = np.array([1, 3, 2**40 - 1], np.uint64)
    >>> group_alike(np.array([0, 1, 2]), np.array([7, 8, 9]), hashes, distance=2).tolist()
    [0, 0, 2]

    Args:
        cases: int [N], the case of each picture.
        digests: [N], what is equal for equal files only.
        hashes: uint64 [N], perceptual hashes; those that are 0 are like no other.
        distance: how many of the 64 bits may differ between nearly equal pictures.

    Returns:
        int [N], the group of each picture, named by its first case.
    """
    _, node = np.unique(cases, return_inverse=True)
    _, first, same = np.unique(digests, return_index=True, return_inverse=True)
    pairs = [np.stack([node, node[first[same]]])]
    for start in range(0, len(hashes), _AT_ONCE):
        apart = np.bitwise_count(hashes[start : start + _AT_ONCE, None] ^ hashes[None, start:])
        told = (hashes[start : start + _AT_ONCE, None] != 0) & (hashes[None, start:] != 0)
        left, right = np.nonzero((apart <= distance) & told)
        pairs.append(np.stack([node[start + left], node[start + right]]))
    edges = np.concatenate(pairs, axis=1)
    nodes = node.max() + 1
    graph = coo_array((np.ones(edges.shape[1], bool), (edges[0], edges[1])), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    name = np.full(component.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(name, component[node], cases)
    return name[component[node]]
