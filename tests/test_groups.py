"""What stays on one side of a split: by content alone, and no chain longer than its pairs bear out."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hs.pictures.looks import perceptual_hash, thumbnail
from model.cases.duplicates import near_duplicates
from model.cases.groups import ALWAYS_JOINED, Pictures, group_cases
from tests.rulings import noise


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))


def saved_again(data: bytes) -> bytes:
    """The same photo, smaller and as a JPEG."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).resize((20, 20), Image.Resampling.BILINEAR).save(out, "JPEG", quality=80)
    return out.getvalue()


def sunglasses(number: int) -> bytes:
    """Two dark glasses in the middle of a white ground: no two alike, all of one silhouette."""
    random = np.random.default_rng(number)
    picture = Image.new("RGB", (60, 80), "white")
    draw = ImageDraw.Draw(picture)
    top, height, colours = 30 + random.integers(-3, 3), 14 + random.integers(0, 8), random.integers(0, 160, (3, 3))
    for left, colour in zip((4, 32), colours, strict=False):
        draw.ellipse((left, top, left + 24, top + height), tuple(colours[2]))
        draw.ellipse((left + 3, top + 3, left + 21, top + height - 3), tuple(colour))
    draw.line((4, top + 4, 56, top + 4), tuple(colours[2]), width=1 + int(random.integers(3)))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def compared(cases: list[tuple[str, str, list[bytes]]]) -> Pictures:
    """(id, HS code, pictures) of each case as they are compared."""
    rows = [
        (number, case_id, code, data) for number, (case_id, code, pictures) in enumerate(cases) for data in pictures
    ]
    pixels = [pixels_of(data) for *_, data in rows]
    return Pictures(
        np.array([number for number, *_ in rows]),
        [case_id for _, case_id, *_ in rows],
        [code for _, _, code, _ in rows],
        [repr(data) for *_, data in rows],
        np.array([perceptual_hash(some) for some in pixels], np.uint64),
        np.stack([thumbnail(some) for some in pixels]),
    )


def together(groups: np.ndarray, case_ids: list[str]) -> set[frozenset[str]]:
    return {frozenset(case_ids[place] for place in np.flatnonzero(groups == one)) for one in np.unique(groups)}


def test_a_picture_that_was_saved_again_is_a_near_duplicate_and_another_is_not():
    originals = [noise(number) for number in range(50)]
    pixels = [pixels_of(data) for data in [*originals, *map(saved_again, originals)]]
    hashes = np.array([perceptual_hash(some) for some in pixels], np.uint64)

    represented_by = near_duplicates(hashes, np.stack([thumbnail(some) for some in pixels]))

    assert represented_by.tolist() == [*range(50), *range(50)]


def test_pictures_of_one_colour_are_like_no_other():
    plain = np.full((2, 24, 24, 3), 200, np.uint8)

    represented_by = near_duplicates(np.array([perceptual_hash(plain[0]), 0], np.uint64), plain)

    assert represented_by.tolist() == [0, 1]


def test_hashes_that_are_near_are_no_duplicates_unless_the_pictures_are():
    thumbnails = np.random.default_rng(0).integers(256, size=(4, 16, 16, 3), dtype=np.uint8)
    thumbnails[2] = thumbnails[0]

    represented_by = near_duplicates(np.array([1, 1, 3, 7], np.uint64), thumbnails)

    assert represented_by.tolist() == [0, 1, 0, 3]


def test_no_chain_is_longer_than_its_pairs_bear_out():
    first, last = (pixels_of(noise(number)).astype(float) for number in (1, 2))
    between = [(first * (1 - share) + last * share).astype(np.uint8) for share in np.linspace(0, 1, 60)]
    hashes = np.array([perceptual_hash(some) for some in between], np.uint64)

    represented_by = near_duplicates(hashes, np.stack([thumbnail(some) for some in between]))

    assert represented_by[0] != represented_by[-1]
    assert len(np.unique(represented_by)) > 3


@pytest.mark.parametrize("distance", [0, 1, 6, 13])
def test_representatives_are_those_of_comparing_each_picture_with_each(distance):
    random = np.random.default_rng(distance)
    first = random.integers(1, 2**64, size=200, dtype=np.uint64)
    turned = np.bitwise_or.reduce(np.uint64(1) << random.integers(64, size=(9, 200), dtype=np.uint64))
    hashes = np.concatenate([first, first ^ turned, np.zeros(9, np.uint64)])
    alike = np.broadcast_to(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), (len(hashes), 4, 4, 3))

    represented_by = near_duplicates(hashes, alike, distance)

    expected: list[int] = []
    for place, each in enumerate(hashes):
        near = [
            one
            for one in sorted(set(expected))
            if each and hashes[one] and (each ^ hashes[one]).bit_count() <= distance
        ]
        expected.append(near[0] if near else place)
    assert represented_by.tolist() == expected


@pytest.mark.parametrize("distinct", [4_000, 40])
def test_looking_for_pictures_alike_takes_little_memory_however_many_are(distinct):
    random = np.random.default_rng(0)
    hashes = np.resize(random.integers(1, 2**64, size=distinct, dtype=np.uint64), 4_000)
    thumbnails = np.resize(random.integers(256, size=(distinct, 4, 4, 3), dtype=np.uint8), (4_000, 4, 4, 3))

    tracemalloc.start()
    represented_by = near_duplicates(hashes, thumbnails)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()

    assert len(np.unique(represented_by)) == distinct
    assert peak_mb < 10


def test_cases_that_share_a_file_or_nearly_the_same_picture_are_one_group():
    a, b, c, d = (noise(number) for number in range(4))
    cases = [
        ("both", "080810", [a, b]),
        ("file", "080810", [b]),
        ("again", "080830", [saved_again(a)]),
        ("other", "080810", [c]),
        ("twice", "080830", [d]),
        ("twice more", "080830", [d]),
    ]
    pictures = compared(cases)

    found = group_cases(pictures)

    ids = pictures.case_ids
    assert together(found.groups, list(ids)) == {
        frozenset({"both", "file", "again"}),
        frozenset({"other"}),
        frozenset({"twice", "twice more"}),
    }
    assert found.sentence == (
        "6 cases in 3 groups: 2 equal files (as both and file), 1 near duplicate (as again and both); "
        "the largest group has 2 of the 3 different cases of 080810"
    )


def test_sixty_sunglasses_on_white_are_sixty_cases():
    pictures = compared([(f"{number}", "900410", [sunglasses(number)]) for number in range(60)])

    found = group_cases(pictures)

    assert len(np.unique(found.groups)) > 50


def test_what_many_cases_share_joins_none_of_them_and_is_told():
    no_picture = noise(999)
    many = ALWAYS_JOINED + 1
    cases = [(f"case {number:02}", "080810", [noise(number), no_picture]) for number in range(many)]

    found = group_cases(compared(cases))

    assert len(np.unique(found.groups)) == many
    assert found.refusals == (
        "080810: 11 cases (as case 00 and case 01) hang together by equal files; more than 5% of the code, "
        "they are left apart",
    )


def test_a_case_that_is_there_many_times_is_one_case():
    cases = [(f"case {number:02}", "080810", [noise(1)]) for number in range(3 * ALWAYS_JOINED)]

    found = group_cases(compared([*cases, ("other", "080810", [noise(2)])]))

    assert len(np.unique(found.groups)) == 2
    assert not found.refusals
    assert "29 equal files (as case 00 and case 01)" in found.sentence


def test_bursts_are_joined_as_they_were_found():
    pictures = compared([(f"{number}", "080810", [noise(number)]) for number in range(6)])

    found = group_cases(pictures, [np.array([0, 3, 4])])

    assert sorted(np.bincount(found.groups).tolist()) == [1, 1, 1, 3]
    assert "2 burst pictures (as 0 and 3)" in found.sentence


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_the_cases_decides_on_no_group(order):
    cases = [(f"{number}", ("080810", "080830")[number % 2], [noise(number // 2)]) for number in range(40)]
    cases += [(f"glasses {number}", "900410", [sunglasses(number)]) for number in range(40)]
    cases += [(f"again {number}", "080810", [saved_again(noise(number))]) for number in range(10)]
    places = np.arange(len(cases))[::-1] if order == "reversed" else np.random.default_rng(1).permutation(len(cases))
    pictures = compared(cases)

    as_written, otherwise = group_cases(pictures), group_cases(compared([cases[place] for place in places]))

    assert otherwise.groups.tolist() == as_written.groups[places].tolist()
    assert otherwise.sentence == as_written.sentence
    assert otherwise.refusals == as_written.refusals
