"""Pictures that are read from unpacked pages as they are decoded: a declaration may have more than memory holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.archive.stored_pages import StoredPage

TICKET = np.dtype([("page", "<u4"), ("index", "<u4")])  # where a picture is, in place of its bytes
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredPicture:
    """One picture, where it is; without a page it is null."""

    page: StoredPage | None
    index: int = 0

    @property
    def size(self) -> int:
        """In bytes."""
        return self.page.size(self.index) if self.page else 0

    def as_buffer(self) -> pa.Buffer | None:
        """Reads it."""
        return pa.py_buffer(self.page.read(self.index)) if self.page else None

    def as_py(self) -> bytes | None:
        """Reads it."""
        return self.page.read(self.index) if self.page else None

    def pieces(self) -> Iterator[bytes]:
        """Reads it a megabyte at a time."""
        if self.page:
            for start in range(0, self.size, _PIECE_BYTES):
                yield self.page.read(self.index, start, _PIECE_BYTES)


@dataclass(frozen=True, eq=False)
class StoredPictures:
    """Pictures one after the other, as an Arrow array of them is used: by length, slice and element.

    Attributes:
        tickets: of each picture, TICKET [pictures].
        is_there: bool [pictures], false where a picture is null.
        pages: by number, those of the tickets.
    """

    tickets: np.ndarray
    is_there: np.ndarray
    pages: Mapping[int, StoredPage]

    @staticmethod
    def joined(parts: "Sequence[StoredPictures]") -> "StoredPictures":
        """Those of several rows."""
        tickets = np.concatenate([part.tickets for part in parts])
        is_there = np.concatenate([part.is_there for part in parts])
        return StoredPictures(
            tickets, is_there, {number: page for part in parts for number, page in part.pages.items()}
        )

    def sizes(self) -> list[int]:
        """How many bytes each has."""
        return [picture.size for picture in self]

    def __len__(self) -> int:
        return len(self.tickets)

    def __getitem__(self, part: slice) -> "StoredPictures":
        return StoredPictures(self.tickets[part], self.is_there[part], self.pages)

    def __iter__(self) -> Iterator[StoredPicture]:
        for (page, index), is_there in zip(self.tickets.tolist(), self.is_there.tolist(), strict=True):
            yield StoredPicture(self.pages[page], index) if is_there else StoredPicture(None)

    def __reduce__(self) -> tuple[Callable[..., pa.Array], tuple[list[bytes | None], pa.DataType]]:
        return pa.array, (self.to_pylist(), pa.binary())  # another process has no such pages

    def to_pylist(self) -> list[bytes | None]:
        """Reads them all."""
        return [picture.as_py() for picture in self]
