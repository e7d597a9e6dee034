"""Pictures that are nearly the same: found by a hash, borne out by comparing them."""

import base64

import numpy as np

from hs.pictures.looks import LEAST_LIKENESS, MOST_BITS, about_mean

_SIDE = 16  # of a thumbnail
_AT_ONCE = 1024  # thumbnails that are compared with one: 3 MB


def thumbnail_as_text(small: np.ndarray) -> str:
    """A thumbnail for a line of text."""
    return base64.b64encode(small.tobytes()).decode()


def thumbnail_from_text(text: str) -> np.ndarray:
    """What `thumbnail_as_text` was given."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(_SIDE, _SIDE, 3)


def near_duplicates(
    hashes: np.ndarray, thumbnails: np.ndarray, distance: int = MOST_BITS, likeness: float = LEAST_LIKENESS
) -> np.ndarray:
    """Pictures that are nearly the same as one that represents them.

    Each picture in turn goes to the representative that it is most like, or becomes one. So no chain of look-alikes
    holds together what is not alike: sunglasses on white ground are near in hashes, each to the next.

    Args:
        hashes: uint64 [N], perceptual hashes; those that are 0 are like no other.
        thumbnails: uint8 [N, h, w, 3] of each.
        distance: how many of the 64 bits may differ.
        likeness: the least correlation of two thumbnails, each channel about its mean.

    Returns:
        int [N], where the representative of each stands.
    """
    buckets = _Buckets(hashes, distance)
    represented_by = np.arange(len(hashes))
    for place in np.flatnonzero(hashes).tolist():
        near = buckets.near(place)
        if len(near):
            likenesses = _correlations(thumbnails[place], thumbnails, near)
            if likenesses.max() >= likeness:
                represented_by[place] = near[likenesses.argmax()]
                continue
        buckets.add(place)
    return represented_by


class _Buckets:
    """Representatives by parts of their hashes: of `distance` + 1 parts of two near ones, one is the same in both.

    (Norouzi et al. 2012, 'Fast Search in Hamming Space with Multi-Index Hashing'.)
    """

    def __init__(self, hashes: np.ndarray, distance: int) -> None:
        self._hashes, self._distance = hashes, distance
        parts = np.array_split(np.arange(64, dtype=np.uint64), distance + 1)
        shared = [hashes & np.bitwise_or.reduce(np.uint64(1) << part) for part in parts]
        # Room for all that may ever lie in a bucket, one bucket behind the other.
        self._begins = np.stack([_begins(part) for part in shared], axis=1) + np.arange(distance + 1) * len(hashes)
        self._members = np.empty((distance + 1) * len(hashes), np.int32)
        self._filled = np.zeros(len(self._members), np.int32)  # at the beginning of each bucket

    def near(self, place: int) -> np.ndarray:
        """Representatives with a hash near that of a picture, int [n], rising."""
        begins = self._begins[place]
        ends = (begins + self._filled[begins]).tolist()
        some = np.concatenate([self._members[begin:end] for begin, end in zip(begins.tolist(), ends, strict=True)])
        near = some[np.bitwise_count(self._hashes[some] ^ self._hashes[place]) <= self._distance]
        return np.unique(near) if len(near) > 1 else near

    def add(self, place: int) -> None:
        """Makes a picture a representative."""
        begins = self._begins[place]
        self._members[begins + self._filled[begins]] = place
        self._filled[begins] += 1


def _begins(values: np.ndarray) -> np.ndarray:
    """Where the bucket of each value begins where all lie sorted, int [N]."""
    _, bucket, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - count)[bucket]


def _correlations(one: np.ndarray, thumbnails: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How like a thumbnail uint8 [h, w, 3] is to others, int [n]: float32 [n] up to 1."""
    its = about_mean(one[None])[0]
    if len(others) <= _AT_ONCE:
        return about_mean(thumbnails[others]) @ its
    parts = [others[start : start + _AT_ONCE] for start in range(0, len(others), _AT_ONCE)]
    return np.concatenate([about_mean(thumbnails[part]) @ its for part in parts])
