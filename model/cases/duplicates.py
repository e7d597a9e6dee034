"""Pictures that are the same, or nearly: what must stay on one side of a split."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_SIDE = 32
_LOW = 8
_CONTRAST = 4.0
_AT_ONCE = 1 << 18  # comparisons, and pairs to be joined: some 20 MB
Pairs = tuple[np.ndarray, np.ndarray]


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
    told = np.flatnonzero(hashes)
    distinct, first = np.unique(hashes[told], return_index=True)

    def pairs() -> Iterator[Pairs]:
        yield node, node[_first_of_each(digests)]
        yield node[told], node[told[_first_of_each(hashes[told])]]
        for left, right in _nearly_equal(distinct, distance):
            yield node[told[first[left]]], node[told[first[right]]]

    component = _components(int(node.max()) + 1, pairs())
    name = np.full(component.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(name, component[node], cases)
    return name[component[node]]


def _first_of_each(values: np.ndarray) -> np.ndarray:
    """Where each value stands for the first time, int [N]."""
    _, first, same = np.unique(values, return_index=True, return_inverse=True)
    return first[same]


def _nearly_equal(hashes: np.ndarray, distance: int) -> Iterator[Pairs]:
    """Positions of hashes, uint64 [N], that differ in at most `distance` bits; each such pair at least once.

    Of `distance` + 1 parts of two such hashes one is the same in both, so only those that share a part are compared
    (Norouzi et al. 2012, 'Fast Search in Hamming Space with Multi-Index Hashing').
    """
    for part in np.array_split(np.arange(64, dtype=np.uint64), distance + 1):
        shared = hashes & np.bitwise_or.reduce(np.uint64(1) << part)
        order = np.argsort(shared, kind="stable")
        for bucket in np.split(order, 1 + np.flatnonzero(np.diff(shared[order]))):
            rows = 1 + _AT_ONCE // max(1, len(bucket))
            for start in range(0, len(bucket), rows):
                # Those before `start` were compared with these in their own turn.
                apart = np.bitwise_count(hashes[bucket[start : start + rows, None]] ^ hashes[bucket[start:]])
                left, right = np.nonzero(apart <= distance)
                yield bucket[start + left], bucket[start + right]


def _components(nodes: int, pairs: Iterable[Pairs]) -> np.ndarray:
    """The connected component of each node, int [nodes]; holds few pairs at a time, however many there are."""
    component = np.arange(nodes)
    waiting, edges = 0, [np.empty((2, 0), component.dtype)]
    for left, right in pairs:
        new = component[np.stack([left, right])]
        # What is joined already need not wait: pictures alike come as very many pairs.
        edges.append(new[:, new[0] != new[1]])
        waiting += edges[-1].shape[1]
        if waiting > _AT_ONCE:
            component = _joined(component, np.concatenate(edges, axis=1))
            waiting, edges = 0, edges[:1]
    return _joined(component, np.concatenate(edges, axis=1))


def _joined(component: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Components, int [nodes], with those at both ends of an edge, int [2, n], made one."""
    shape = (len(component), len(component))
    graph = coo_array((np.ones(edges.shape[1], bool), (edges[0], edges[1])), shape=shape)
    return connected_components(graph, directed=False)[1][component]
