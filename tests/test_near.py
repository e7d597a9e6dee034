"""Near hashes, found by their quarters."""

import numpy as np

from hs.pictures.near import QUARTERS, SAME_WITHIN, NearHashes


def test_each_near_pair_is_found_once_and_no_other():
    random = np.random.default_rng(5)
    ours = random.integers(0, 2**64 - 1, 300, np.uint64)
    changed = [
        sum(1 << int(bit) for bit in random.choice(64, random.integers(0, 9), replace=False)) for _ in range(900)
    ]
    others = ours[random.integers(0, 300, 900)] ^ np.array(changed, np.uint64)

    found = [
        triple
        for quarter in range(QUARTERS)
        for pairs in NearHashes(ours, quarter).near(others)
        for triple in zip(*(values.tolist() for values in pairs), strict=True)
    ]

    apart = np.bitwise_count(ours[:, None] ^ others)
    wanted = [(mine, its, int(apart[mine, its])) for mine, its in np.argwhere(apart <= SAME_WITHIN).tolist()]
    assert len(wanted) > 600
    assert sorted(found) == wanted
