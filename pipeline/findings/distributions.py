"""What a night is compared with later ones by, beside what its manifest counts anyway: counts in fixed bins.

A bin goes by its lower bound as text. Bounds are never changed: they stand in manifests that others keep.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hs.codes import LEVELS
from hs.pictures.decoding import Original

PROBABILITY, NOVELTY = "declared_probability", "novelty"
FORMATS, SIZES = "picture_formats", "picture_pixels"
COLUMNS = [*(f"declared_probability_{level}" for level in LEVELS), "novelty"]

# A classifier is mostly sure: narrow where most of its probabilities are.
_BOUNDS = {
    PROBABILITY: (0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999),
    NOVELTY: tuple(place / 20 for place in range(20)),
}

_MOST = 1 << 50  # of anything: what is damaged may say more than fits into 64 bits

Counts = Mapping[str, Mapping[str, int]]
"""What is counted → bin → how many."""


def binned(findings: pa.RecordBatch) -> Iterator[tuple[str, Counter[str]]]:
    """Counts of a batch of findings: of the declared code at the deepest level that is judged, and of novelty."""
    deepest = pc.coalesce(*(findings.column(f"declared_probability_{level}") for level in reversed(LEVELS)))
    for name, values in ((PROBABILITY, deepest), (NOVELTY, findings.column("novelty"))):
        bounds = _BOUNDS[name]
        places = np.searchsorted(bounds, values.drop_null().to_numpy(zero_copy_only=False), side="right") - 1
        yield name, Counter({f"{bounds[place]:g}": count for place, count in Counter(places.tolist()).items()})


def bins_of(original: Original) -> tuple[tuple[str, str], tuple[str, str]]:
    """The format of a picture, and its pixels by powers of two.

    >>> bins_of(Original("JPEG", 640, 480))
    (('picture_formats', 'JPEG'), ('picture_pixels', '262144'))
    """
    pixels = original.width * original.height
    return (FORMATS, original.format), (SIZES, str(1 << (pixels.bit_length() - 1)))


def of_pictures(counts: Mapping[tuple[str, str], int]) -> Counts:
    """What the workers counted of pictures, among what else they counted."""
    return {
        name: {which: count for (what, which), count in counts.items() if what == name} for name in (FORMATS, SIZES)
    }


def counts_in(manifest: Mapping[str, Any]) -> Counts:
    """All that nights are compared by.

    Raises:
        ValueError: if the manifest does not have it, as one of an older hs-audit, or it is no counts.
    """
    try:
        chapters = {chapter: of["declarations"] for chapter, of in manifest["coverage_by_chapter"].items()}
        found = {name: manifest[name] for name in ("verdicts", "reasons", "pictures")} | {"chapters": chapters}
        counts = found | manifest["distributions"]
        whole = all(
            isinstance(count, int) and 0 <= count < _MOST for bins in counts.values() for count in bins.values()
        )
    except KeyError as missing:
        raise ValueError(f"it has no {missing.args[0]}") from None
    except (AttributeError, TypeError) as error:
        raise ValueError("its counts are none") from error
    if not whole:
        raise ValueError("its counts are none")
    return counts
