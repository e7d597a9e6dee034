"""Findings → thumbnails of their pictures, read again from the archive in one pass for each row group."""

import base64
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from hs.words import file_words, picture_words
from pipeline.archive.footers import RAISED_BY_BYTES, ArchiveFile, inspect
from pipeline.archive.row_groups import read_pictures
from pipeline.findings.finding import Finding, PictureRecord, SourceRow
from pipeline.values import NOT_SCORED, ColumnNames, DeadLetter, RowGroup

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


def pictures_of(findings: Iterable[Finding], manifest: dict[str, Any], images: str) -> dict[SourceRow, list[Thumbnail]]:
    """The thumbnails of each finding, from the archive as it is now."""
    by_row_group: dict[str, dict[int, dict[int, Finding]]] = defaultdict(lambda: defaultdict(dict))
    for finding in findings:
        by_row_group[finding.source.file][finding.source.row_group][finding.source.row] = finding
    limits, stores = _limits(manifest), _stores(manifest)
    shown: dict[SourceRow, list[Thumbnail]] = {}
    for file, row_groups in by_row_group.items():
        archive_file = _as_audited(file, manifest, stores)
        for row_group, rows in row_groups.items():
            # Until they are read: a page may turn out to be bad halfway.
            shown |= {finding.source: _without_archive(finding.pictures, archive_file) for finding in rows.values()}
            if isinstance(archive_file, ArchiveFile):
                source = RowGroup(file, row_group, archive_file.row_groups[row_group], archive_file.stamp)
                for row, pictures in _reread(source, set(rows), images, limits, stores):
                    shown[rows[row].source] = _thumbnails(pictures, rows[row].pictures, limits)
    return shown


def _limits(manifest: dict[str, Any]) -> PictureLimits:
    pictures = manifest["configuration"]["pictures"]  # of an older run it may lack the newer limits
    return PictureLimits(**pictures | {"formats": tuple(pictures["formats"])})


def _stores(manifest: dict[str, Any]) -> Stores:
    return Stores(StorageSettings(**manifest["configuration"].get("storage", {})))  # an older run has none


def _as_audited(file: str, manifest: dict[str, Any], stores: Stores) -> ArchiveFile | str:
    """An archive file that is still the one that was audited, or a sentence why its pictures cannot be shown."""
    found = inspect(Location(file), ColumnNames(**manifest["configuration"]["columns"]), stores=stores)
    if isinstance(found, DeadLetter):
        return f"The archive file {file_words(found.reason)}."
    audited = {read["path"]: read.get("footer_sha256") for read in manifest["inputs"]}
    if found.footer_digest != audited.get(file):  # its rows may be other declarations by now
        return f"The archive file {file_words('changed')}."
    return found


def _reread(
    source: RowGroup, rows: set[int], images: str, limits: PictureLimits, stores: Stores
) -> Iterator[tuple[int, list[bytes]]]:
    """The pictures of some rows, as far as they can be read."""
    try:
        yield from read_pictures(source, rows, images, stores, _MOST_PICTURES, limits.max_bytes)
    except RAISED_BY_BYTES:
        return


def _without_archive(recorded: Sequence[PictureRecord], archive_file: ArchiveFile | str) -> list[Thumbnail]:
    """What stands in the place of pictures that the archive does not give any more."""
    why = archive_file if isinstance(archive_file, str) else f"The archive file {file_words('bad_page')}."
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
