"""What a storage says of a file, and by what it is known again."""

from dataclasses import dataclass

from hs.storage.location import Location


@dataclass(frozen=True)
class Stamp:
    """By what a file is known again.

    Attributes:
        size_bytes: of the file.
        version: its ETag or generation where the storage has one, else when it was modified, in ns since 1970.
    """

    size_bytes: int
    version: str


@dataclass(frozen=True)
class FileFacts:
    """What a storage says of a file.

    Attributes:
        location: where it is.
        stamp: by what it is known again.
        modified_s: seconds since 1970; 0 where the storage does not say.
    """

    location: Location
    stamp: Stamp
    modified_s: float


class ChangedSince(OSError):
    """A file is no longer the one that it was at the start."""


class BucketMissing(FileNotFoundError):
    """There is no such bucket or container, so that no file can be in it."""
