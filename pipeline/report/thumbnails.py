"""Findings → their pictures as the page shows them, read again from the archive."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hs.html import shortened
from hs.pictures.decoding import Picture, PictureLimits, PictureStatus
from hs.pictures.shrinking import Shrunk, shrink
from hs.words import LANGUAGES, catalogue, in_languages, picture_words
from pipeline.findings.evidence import Audited, pictures_again
from pipeline.findings.finding import Finding, PictureRecord, SourceRow
from pipeline.values import NOT_SCORED

_MOST_PICTURES = 4
_PAGE_BYTES, _ENTRY_BYTES = 40_000_000, 48_000  # of JPEG: 200 entries stay under 15 MB of page, 2,000 under 60 MB
_SIDES = (160, 640)  # the longer side, pixels


Words = dict[str, str]  # language → what is said in it


@dataclass(frozen=True)
class Thumbnail:
    """A picture as the page shows it.

    Attributes:
        words: language → what became of it; None for a picture that was read and classified.
        shown: a small JPEG; None where there is nothing to show.
    """

    words: Words | None
    shown: Shrunk | None = None


def room_of(findings: int) -> int:
    """How many bytes of JPEG a page of so many findings has room for."""
    return min(findings * _ENTRY_BYTES, _PAGE_BYTES)


def pictures_of(
    findings: Collection[Finding], manifest: dict[str, Any], taken: int = 0
) -> dict[SourceRow, list[Thumbnail]]:
    """The pictures of each finding, from the archive as it is now.

    Args:
        findings: those of a page.
        manifest: of their run.
        taken: of the page's room, by others.
    """
    audited = Audited.of(manifest)
    room = (room_of(len(findings)) - taken) // max(len(findings), 1)
    return {
        finding.source: _without_archive(finding.pictures, pictures)
        if isinstance(pictures, str)
        else _thumbnails(pictures, finding.pictures, audited.limits, room)
        for finding, pictures in pictures_again(findings, audited, _MOST_PICTURES)
    }


def _without_archive(recorded: Sequence[PictureRecord], why: str) -> list[Thumbnail]:
    """What stands in the place of pictures that the archive does not give any more."""
    return [
        Thumbnail(
            dict.fromkeys(LANGUAGES, why)
            if picture.status == PictureStatus.OK
            else _words(picture.status, picture.detail)
        )
        for picture in recorded[:_MOST_PICTURES]
    ]


def _words(status: str, detail: str | None) -> Words:
    return in_languages(lambda language: shortened(picture_words(status, detail, language)))


def _thumbnails(
    pictures: list[bytes], recorded: Sequence[PictureRecord], limits: PictureLimits, room: int
) -> list[Thumbnail]:
    found, first = dict(enumerate(pictures)), recorded[:_MOST_PICTURES]
    return [_thumbnail(found.get(i, b""), record, limits, room // len(first)) for i, record in enumerate(first)]


def _thumbnail(data: bytes, recorded: PictureRecord, limits: PictureLimits, room: int) -> Thumbnail:
    words = _words(recorded.status, recorded.detail)
    if recorded.status not in (PictureStatus.OK, NOT_SCORED):
        return Thumbnail(words)
    if hashlib.sha256(data).hexdigest() != recorded.sha256:
        return Thumbnail(in_languages(lambda language: catalogue(language)["page"]["picture_changed"]))
    shown = shrink(data, limits, room, _SIDES)
    if isinstance(shown, Picture):
        return Thumbnail(_words(shown.status, shown.detail))
    said = None if recorded.status == PictureStatus.OK else words
    return Thumbnail(said, shown)
