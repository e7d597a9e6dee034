"""The pictures of findings, read again from the archive as it was audited, in one pass for each row group."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hs.pictures.decoding import PictureLimits, PictureSize, PictureStatus, decode
from hs.pictures.looks import Look
from hs.storage.location import Location
from hs.storage.settings import StorageSettings
from hs.storage.stores import Stores
from hs.words import file_words
from pipeline.archive.footers import RAISED_BY_BYTES, ArchiveFile, inspect
from pipeline.archive.row_groups import read_pictures
from pipeline.findings.finding import Finding
from pipeline.values import ColumnNames, DeadLetter, RowGroup

_LOOKED_AT = PictureSize(64, 64)  # twice the side of what a look is made of


@dataclass(frozen=True)
class Audited:
    """An archive as a run audited it.

    Attributes:
        columns: our names → the archive's.
        footers: path of a file → SHA-256 of its footer.
        limits: what a picture may cost.
        stores: how the files are reached.
    """

    columns: ColumnNames
    footers: Mapping[str, str | None]
    limits: PictureLimits
    stores: Stores

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Audited":
        """What a manifest says of it."""
        configuration = manifest["configuration"]
        pictures = configuration["pictures"]  # of an older run it may lack the newer limits
        return cls(
            ColumnNames(**configuration["columns"]),
            {read["path"]: read.get("footer_sha256") for read in manifest["inputs"]},
            PictureLimits(**pictures | {"formats": tuple(pictures["formats"])}),
            Stores(StorageSettings(**configuration.get("storage", {}))),  # an older run has none
        )

    def file(self, path: str) -> ArchiveFile | str:
        """A file that is still the one that was audited, or a sentence why its pictures cannot be had."""
        found = inspect(Location(path), self.columns, stores=self.stores)
        if isinstance(found, DeadLetter):
            return f"The archive file {file_words(found.reason)}."
        if found.footer_digest != self.footers.get(path):  # its rows may be other declarations by now
            return f"The archive file {file_words('changed')}."
        return found


def pictures_again(
    findings: Iterable[Finding], audited: Audited, most: int | None = None
) -> Iterator[tuple[Finding, list[bytes] | str]]:
    """The bytes of the pictures of each finding, or a sentence why they cannot be had; in the order of the archive.

    Whether they are those that the audit saw is for the caller to look at: `PictureRecord.sha256` says.

    Args:
        findings: of one run.
        audited: its archive.
        most: how many pictures of a finding; the first ones.
    """
    by_row_group: dict[str, dict[int, dict[int, Finding]]] = defaultdict(lambda: defaultdict(dict))
    for finding in findings:
        by_row_group[finding.source.file][finding.source.row_group][finding.source.row] = finding
    for path, row_groups in by_row_group.items():
        file = audited.file(path)
        for index, rows in row_groups.items():
            if isinstance(file, str):
                yield from ((finding, file) for finding in rows.values())
            else:
                yield from _of_row_group(RowGroup(path, index, file.row_groups[index], file.stamp), rows, audited, most)


def _of_row_group(
    source: RowGroup, rows: dict[int, Finding], audited: Audited, most: int | None
) -> Iterator[tuple[Finding, list[bytes] | str]]:
    unread = dict(rows)
    try:
        for row, pictures in read_pictures(
            source, set(rows), audited.columns.images, audited.stores, most, audited.limits.max_bytes
        ):
            yield unread.pop(row), pictures
    except RAISED_BY_BYTES:
        pass  # a page may turn out to be bad halfway
    for finding in unread.values():
        yield finding, f"The archive file {file_words('bad_page')}."


def seen(finding: Finding, pictures: list[bytes]) -> dict[str, bytes]:
    """SHA-256 → bytes of the pictures that the audit could read, each file once; what was changed since is left out."""
    found = {hashlib.sha256(data).hexdigest(): data for data in pictures}
    return {sha256: found[sha256] for sha256 in readable(finding) if sha256 in found}


def readable(finding: Finding) -> dict[str, None]:
    """SHA-256 of each picture that the audit could read, each file once, in their order."""
    return {picture.sha256: None for picture in finding.pictures if picture.status == PictureStatus.OK}


def look_of(data: bytes, limits: PictureLimits) -> Look | None:
    """How a picture looks; None where it cannot be decoded."""
    pixels = decode(data, _LOOKED_AT, limits).pixels
    return None if pixels is None else Look.of(pixels)
