"""A Parquet file → how large the pages of its pictures are, from the page headers alone.

pyarrow streams a file page by page, so its largest page decides how much memory reading takes, yet it tells no page's
size. The headers stand between the pages: they are read, the pages are skipped, and a large file costs small reads.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from hs.storage.stores import ANYWHERE, Stores
from hs.text import in_a_line
from pipeline.archive.compact import PageHeaderError
from pipeline.archive.footers import chunks_of, leaves_of, open_archive
from pipeline.archive.page_headers import Page, PageKind, pages

_HONEST_GROWTH = 4  # pictures hardly shrink when they are packed again; pages of ids and codes are small


@dataclass(frozen=True)
class PageSize:
    """The size of one page.

    Attributes:
        uncompressed_bytes, compressed_bytes: without the header.
        row_group: where it is.
        has_checksum: whether the writer stored a CRC, without which overwritten bytes pass in silence.
        is_dictionary: whether it holds the values that others point to.
    """

    uncompressed_bytes: int
    compressed_bytes: int
    row_group: int
    has_checksum: bool
    is_dictionary: bool = False


def largest_data_page(path: str, images: str, stores: Stores = ANYWHERE) -> PageSize | None:
    """The page with the most uncompressed bytes in all row groups and leaves of a column.

    Dictionary pages count: they are held in memory while the pages that refer to them are read, and a writer can make
    them just as large.

    Args:
        path: of a Parquet file, or its URI.
        images: name of the top-level column.
        stores: how it is reached.

    Returns:
        The page, or None where the column is absent or has none.

    Raises:
        PageHeaderError: if the file is not what its format says.
    """
    return max(page_sizes(path, images, stores), key=lambda page: page.uncompressed_bytes, default=None)


def most_unpacked(found: Iterable[Page]) -> tuple[int, int, int]:
    """How far some pages unpack, in bytes, and how many values they have.

    Arrow allocates what a header says before it looks at the page, however small the file is.

    Returns:
        The largest page that unpacks to more than four times what is stored, and the largest of these and of the
        dictionary pages, which each row may repeat; the values of all data pages.
    """
    grown, repeated, values = 0, 0, 0
    for page in found:
        if page.kind in (PageKind.DATA, PageKind.DATA_V2):
            values += page.values
        if page.uncompressed_bytes > _HONEST_GROWTH * page.compressed_bytes:
            grown = max(grown, page.uncompressed_bytes)
        if page.kind is PageKind.DICTIONARY:
            repeated = max(repeated, page.uncompressed_bytes)
    return grown, max(grown, repeated), values


def page_sizes(path: str, images: str, stores: Stores = ANYWHERE) -> Iterator[PageSize]:
    """The sizes of all pages of a top-level column, in the order of the file.

    Raises:
        PageHeaderError: if the file is not what its format says.
    """
    try:
        with open_archive(path, stores) as archive:
            leaves = leaves_of(archive.parquet, images)
            for row_group in range(archive.parquet.num_row_groups):
                for start, end in chunks_of(archive.parquet.metadata.row_group(row_group), leaves):
                    for page in pages(archive.headers, start, end):
                        yield _size(page, row_group)
    except (pa.ArrowException, OSError) as error:
        raise PageHeaderError(in_a_line(error)) from error


def _size(page: Page, row_group: int) -> PageSize:
    checked, is_dictionary = page.checksum is not None, page.kind is PageKind.DICTIONARY
    return PageSize(page.uncompressed_bytes, page.compressed_bytes, row_group, checked, is_dictionary)
