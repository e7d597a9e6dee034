"""Findings → thumbnails of their pictures, read again from the archive."""

import base64
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs.words import picture_words
from pipeline.findings.evidence import Audited, pictures_again
from pipeline.findings.finding import Finding, PictureRecord, SourceRow
from pipeline.values import NOT_SCORED

_MOST_PICTURES = 4
_SIDE = 224  # of a thumbnail, pixels
_QUALITY = 55  # even noise takes less than 40 kB of the page


@dataclass(frozen=True)
class Thumbnail:
    """A picture as the page shows it.

    Attributes:
        words: what became of it.
        uri: a small JPEG as a data URI; None where there is nothing to show.
        width, height: of the JPEG, pixels.
    """

    words: str
    uri: str | None = None
    width: int = 0
    height: int = 0


def pictures_of(findings: Iterable[Finding], manifest: dict[str, Any]) -> dict[SourceRow, list[Thumbnail]]:
    """The thumbnails of each finding, from the archive as it is now."""
    audited = Audited.of(manifest)
    return {
        finding.source: _without_archive(finding.pictures, pictures)
        if isinstance(pictures, str)
        else _thumbnails(pictures, finding.pictures, audited.limits)
        for finding, pictures in pictures_again(findings, audited, _MOST_PICTURES)
    }


def _without_archive(recorded: Sequence[PictureRecord], why: str) -> list[Thumbnail]:
    """What stands in the place of pictures that the archive does not give any more."""
    return [
        Thumbnail(why if picture.status == PictureStatus.OK else picture_words(picture.status, picture.detail))
        for picture in recorded[:_MOST_PICTURES]
    ]


def _thumbnails(pictures: list[bytes], recorded: Sequence[PictureRecord], limits: PictureLimits) -> list[Thumbnail]:
    found = dict(enumerate(pictures))
    return [_thumbnail(found.get(i, b""), record, limits) for i, record in enumerate(recorded[:_MOST_PICTURES])]


def _thumbnail(data: bytes, recorded: PictureRecord, limits: PictureLimits) -> Thumbnail:
    words = picture_words(recorded.status, recorded.detail)
    if recorded.status not in (PictureStatus.OK, NOT_SCORED):
        return Thumbnail(words)
    if hashlib.sha256(data).hexdigest() != recorded.sha256:
        return Thumbnail("The picture was changed after the run.")
    # Squashed, and stretched again below: no decoder but the audit's own makes pixels of a hostile file.
    picture = decode(data, PictureSize(_SIDE, _SIDE), limits)
    if picture.pixels is None:
        return Thumbnail(picture_words(picture.status, picture.detail))
    width, height = _fitted(data)
    return Thumbnail(words, _data_uri(picture.pixels, width, height), width, height)


def _fitted(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that was decoded, made to fit a thumbnail; square where that is unknown."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            # TIFF excepted: Pillow has turned its size already.
            lying = picture.format != "TIFF" and picture.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    except Exception:  # Pillow's plugins raise nearly anything on hostile files
        return _SIDE, _SIDE
    if lying:
        width, height = height, width
    scale = _SIDE / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _data_uri(pixels: np.ndarray, width: int, height: int) -> str:
    """Squashed pixels, uint8 [H, W, 3], as a JPEG of their true shape."""
    out = io.BytesIO()
    Image.fromarray(pixels).resize((width, height)).save(out, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
