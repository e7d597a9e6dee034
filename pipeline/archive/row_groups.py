"""Row groups → Arrow batches of bounded size, whatever the row groups and layouts.

Memory does not follow the row groups: pages are streamed through a buffer of 1 MiB and batches are cut by bytes. Large
pages of pictures are unpacked to a temporary file, where pictures stay until they are decoded. What cannot be read is a
`DeadLetter` with its range of rows; so is what would not fit into memory, which page headers say before anything is
decoded: a file of some kilobytes may unpack to gigabytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs.pictures.columns import bytes_per_row, decoded_bytes, flat_pictures
from hs.storage.stores import ANYWHERE, Stores
from pipeline.archive.columns import cast, columns_to_read, plain, problem_of_columns, text
from pipeline.archive.compact import PageHeaderError
from pipeline.archive.footers import (
    RAISED_BY_BYTES,
    FooterLies,
    OpenArchive,
    changed_meanwhile,
    chunks_of,
    leaves_of,
    open_archive,
    reason_of,
)
from pipeline.archive.page_headers import pages
from pipeline.archive.page_sizes import most_unpacked
from pipeline.archive.stand_in import PictureChunk, StandIn, leaf_of_bytes, picture_chunk
from pipeline.archive.stored_pictures import StoredPicture, StoredPictures
from pipeline.values import DeadLetter, Declarations, Layout, Pictures, RowGroup

_MOST_PAGE_BYTES = 256 << 20  # of one that is stored in less than a quarter; in memory three times as it is decoded
LARGE_PAGE_BYTES = 32_000_000  # pages of pictures up to here are read by Arrow, which needs three times their size
_MOST_ROW_BYTES = 1 << 30  # of pictures; they are decoded one by one, but are those of a single declaration
_MOST_VALUE_BYTES = 1 << 20  # of all columns of a row beside its pictures; they travel through every step of a run
_STEP_BYTES = 256 << 20  # a row may repeat a whole dictionary page, or fill a page by itself
_BATCH_BYTES = 4 << 20  # all of it stays in memory until the last picture of the batch is decoded
_BATCH_ROWS = 64  # rows of 20 kB cost a quarter more by 16, and by 128 a sixteenth less
_PASSED_ROWS = 4096  # in a step over rows of another worker: ids, codes and tickets
_GROWTH = 4  # 2 reads row groups of 100 rows 6 % more slowly; 16 reads 16 large pictures after one row without any


@dataclass(frozen=True)
class _Part:
    """Some rows as they were read.

    Attributes:
        batch: their columns; those of pictures may hold tickets instead.
        counts: int64 [rows], pictures of each.
        pictures: one after the other.
        size: of all pictures, in bytes.
    """

    batch: pa.RecordBatch
    counts: np.ndarray
    pictures: Pictures
    size: int


def read_row_group(source: RowGroup, layout: Layout, stores: Stores = ANYWHERE) -> Iterator[Declarations | DeadLetter]:
    """Batches of one row group, in order; ends with a dead letter for the rows that cannot be read.

    Raises:
        StorageLost: if the storage is away, which says nothing about the rows.
    """
    first_row = source.first_row
    try:
        with open_archive(source.file, stores, source.stamp) as archive:
            file = archive.parquet
            rows = file.metadata.row_group(source.index).num_rows if source.index < file.num_row_groups else 0
            if rows != source.rows:
                yield _unread(
                    source, first_row, "changed", f"had {source.rows} rows at the start of the run, now {rows}"
                )
                return
            present = file.schema_arrow
            if problem := problem_of_columns(present, layout.names, [theirs for _, theirs in layout.kept]):
                yield _unread(source, first_row, "changed", problem[1])
                return
            group = _Group(archive, source.index, layout.names.images)
            columns = columns_to_read(layout, set(present.names))
            archive.will_look_at(source.index, group.leaves_of(columns))
            grown, repeated = group.most_unpacked(columns)
            if grown > _MOST_PAGE_BYTES:
                yield _unread(
                    source, first_row, "too_large", f"a page unpacks to {grown} bytes, more than {_MOST_PAGE_BYTES}"
                )
                return
            most_rows = min(_BATCH_ROWS, max(1, _STEP_BYTES // max(repeated, 1)))
            for part in group.parts(columns, most_rows, first_row, source.end):
                if part.size > _MOST_ROW_BYTES:
                    detail = f"{part.size} bytes of pictures, more than {_MOST_ROW_BYTES}"
                    yield DeadLetter(source.file, source.index, first_row, 1, "too_large", detail)
                else:
                    yield from _of_bounded_rows(_declarations(source, first_row, part, layout))
                first_row += part.batch.num_rows
    except RAISED_BY_BYTES as error:
        reason, detail = reason_of(error, "bad_page")
        if reason == "bad_page" and changed_meanwhile(source, stores):  # pages are not where they were
            reason, detail = "changed", "it was written again while it was read"
        yield _unread(source, first_row, reason, detail)
        return
    if first_row != source.end:
        yield _unread(source, first_row, "bad_page", f"the row group ends after {first_row} of {source.rows} rows")


def read_pictures(
    source: RowGroup,
    rows: set[int],
    images: str,
    stores: Stores = ANYWHERE,
    most: int | None = None,
    most_bytes: int | None = None,
) -> Iterator[tuple[int, list[bytes]]]:
    """The pictures of some rows of a row group, as (row, pictures); for people to look at after a run.

    Args:
        source: the row group.
        rows: which of its rows.
        images: name of the column.
        stores: how the file is reached.
        most: how many pictures of a row; the first ones.
        most_bytes: of a picture; where a larger one would have to be read for it, there are none.
    """
    first_row, last_row = 0, max(rows)
    with open_archive(source.file, stores, source.stamp) as archive:
        group = _Group(archive, source.index, images)
        archive.will_look_at(source.index, group.leaves_of([images]))
        for part in group.parts([images]):
            ends = np.cumsum(part.counts)
            for row in range(part.batch.num_rows):
                if first_row + row in rows:
                    begin, end = int(ends[row] - part.counts[row]), int(ends[row])
                    mine = part.pictures[begin : end if most is None else min(end, begin + most)]
                    yield first_row + row, [_bytes_of(picture, most_bytes) for picture in mine]
            first_row += part.batch.num_rows
            if first_row > last_row:
                return


def reads_in_pieces(path: str, images: str, row_group: int, stores: Stores = ANYWHERE) -> bool:
    """Tells whether large pages of a row group's pictures are read piece by piece; else Arrow holds them whole."""
    with open_archive(path, stores) as archive, suppress(*RAISED_BY_BYTES):
        chunk = picture_chunk(archive, row_group, images)
        return chunk is not None and chunk.can_stand_in()
    return False


def _bytes_of(picture: pa.Scalar | StoredPicture, most: int | None) -> bytes:
    if most is not None and isinstance(picture, StoredPicture) and picture.size > most:
        return b""
    return picture.as_py() or b""


@dataclass(frozen=True)
class _Group:
    """A row group that is open.

    Attributes:
        archive: the file.
        index: of the row group.
        images: name of the column of pictures.
    """

    archive: OpenArchive
    index: int
    images: str

    def leaves_of(self, columns: Sequence[str]) -> list[int]:
        """The positions of the chunks of some columns."""
        return [leaf for column in columns for leaf in leaves_of(self.archive.parquet, column)]

    @cached_property
    def chunk(self) -> PictureChunk | None:
        """That of the pictures; None where its page headers cannot be read."""
        with suppress(PageHeaderError):
            return picture_chunk(self.archive, self.index, self.images)
        return None

    def most_unpacked(self, columns: Sequence[str]) -> tuple[int, int]:
        """How far the pages of some columns unpack, see `page_sizes.most_unpacked`; of pictures what Arrow reads."""
        mine, grown, repeated = leaf_of_bytes(self.archive.parquet, self.images), 0, 0
        leaves = sorted(self.leaves_of(columns))  # as they lie in the file, which may be read through for it
        with suppress(PageHeaderError):
            for leaf, chunk in zip(leaves, self._chunks(leaves), strict=True):
                of_pictures = self.chunk if leaf == mine else None
                found = of_pictures.pages if of_pictures else pages(self.archive.headers, *chunk)
                of_leaf = most_unpacked(found)
                self._compare(leaf, of_leaf[2])
                grown = max(grown, of_leaf[0])
                repeated = max(repeated, of_leaf[0] if of_pictures and self._stands_in() else of_leaf[1])
        return grown, repeated

    def _compare(self, leaf: int, values: int) -> None:
        """Holds the footer against the page headers: whoever believes too low a count loses rows in silence."""
        chunk = self.archive.parquet.metadata.row_group(self.index).column(leaf)
        if values != chunk.num_values:
            raise FooterLies(f"the footer says {chunk.num_values} values of {chunk.path_in_schema}, its pages {values}")

    def _chunks(self, leaves: Sequence[int]) -> Iterator[tuple[int, int]]:
        return chunks_of(self.archive.parquet.metadata.row_group(self.index), leaves)

    def parts(
        self, columns: list[str], most_rows: int = _BATCH_ROWS, first_row: int = 0, end: int | None = None
    ) -> Iterator[_Part]:
        """At most so many rows each, with 4 MiB of pictures or a single row; those from one row to another.

        Of the pictures before the first row no page is unpacked, unless only Arrow can read them.
        """
        stands_in = self._stands_in() or (first_row > 0 and self.chunk is not None and self.chunk.can_stand_in())
        self.archive.will_read(self.index, self.leaves_of(columns))
        if self.chunk and stands_in:
            stand_in = StandIn(self.archive.headers, self.chunk)
            steps = _stored_steps(stand_in, self, columns, most_rows, first_row)
            for step in _between(steps, first_row, end):
                yield from _stored_parts(stand_in, step, self.images)
            return
        batches = _batches(self.archive.parquet, self.index, columns, self.images, most_rows)
        for batch in _between(batches, first_row, end):
            column = batch.column(self.images)
            yield _Part(batch, *flat_pictures(column), decoded_bytes(column) if batch.num_rows == 1 else 0)

    def _stands_in(self) -> bool:
        chunk = self.chunk
        return bool(chunk and chunk.largest_bytes > LARGE_PAGE_BYTES and chunk.can_stand_in())


def _between(batches: Iterator[pa.RecordBatch], first_row: int, end: int | None) -> Iterator[pa.RecordBatch]:
    """The rows of batches from one row to another; what comes after them is not read."""
    at = 0
    for batch in batches:
        begin = max(0, first_row - at)
        wanted = batch[begin : None if end is None else max(begin, end - at)]
        if wanted.num_rows:
            yield wanted
        at += batch.num_rows
        if end is not None and at >= end:
            return


def _stored_steps(
    stand_in: StandIn, group: _Group, columns: list[str], most_rows: int, first_row: int
) -> Iterator[pa.RecordBatch]:
    """Rows with tickets; those before the first that is wanted in few large steps."""
    at, longest = 0, _PASSED_ROWS if most_rows == _BATCH_ROWS else most_rows
    with stand_in.open(group.archive.parquet.metadata) as file:
        begin = min(longest, first_row) or most_rows
        for step in file.iter_batches(begin, row_groups=[group.index], columns=columns, use_threads=False):
            yield step
            at += step.num_rows
            file.reader.set_batch_size(min(longest, first_row - at) if at < first_row else most_rows)


def _stored_parts(stand_in: StandIn, step: pa.RecordBatch, images: str) -> Iterator[_Part]:
    """Rows whose pictures stay in their pages until they are decoded."""
    counts, tickets = flat_pictures(step.column(images))
    ends, first, size = np.cumsum(counts), 0, 0
    mine: list[StoredPictures] = []
    for row in range(step.num_rows):  # each by itself: what a page costs is paid as it is needed
        pictures = stand_in.pictures(tickets[int(ends[row] - counts[row]) : int(ends[row])])
        try:
            of_row = sum(pictures.sizes())
        except RAISED_BY_BYTES:
            if mine:  # those before the page that is damaged are none the worse
                yield _Part(step[first:row], counts[first:row], StoredPictures.joined(mine), size)
            raise
        if mine and size + of_row > _BATCH_BYTES:
            yield _Part(step[first:row], counts[first:row], StoredPictures.joined(mine), size)
            first, size, mine = row, 0, []
        mine.append(pictures)
        size += of_row
    yield _Part(step[first:], counts[first:], StoredPictures.joined(mine), size)


def _batches(
    file: pq.ParquetFile, row_group: int, columns: list[str], images: str, most_rows: int = _BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """At most so many rows each, with 4 MiB of decoded pictures or a single row.

    Rows are read in steps, each as long as the sizes in the one before allow, and at most four times as long as that.
    """
    rows = min(most_rows, _first_step(file, row_group, images))
    for step in file.iter_batches(rows, row_groups=[row_group], columns=columns, use_threads=False):
        size = decoded_bytes(step.column(images))
        yield from _cut(step, images) if size > _BATCH_BYTES else (step,)
        rows = max(1, min(_GROWTH * rows, most_rows, _BATCH_BYTES * step.num_rows // max(size, 1)))
        file.reader.set_batch_size(rows)  # Arrow looks at it before each step


def _first_step(file: pq.ParquetFile, row_group: int, images: str) -> int:
    """How many rows to begin with, from what the footer says."""
    group = file.metadata.row_group(row_group)
    chunks = [group.column(leaf) for leaf in leaves_of(file, images)]
    encoded = max(sum(chunk.total_uncompressed_size for chunk in chunks), 1)
    rows = _BATCH_BYTES * group.num_rows // encoded
    if any("DICTIONARY" in encoding for chunk in chunks for encoding in chunk.encodings):
        rows = _GROWTH * (_BATCH_BYTES // encoded)  # a dictionary is counted once, and each row may repeat all of it
    return max(1, min(_BATCH_ROWS, rows))


def _cut(step: pa.RecordBatch, images: str) -> Iterator[pa.RecordBatch]:
    """Parts of a step with 4 MiB of pictures or a single row."""
    ends, first = np.cumsum(bytes_per_row(step.column(images))), 0
    while first < step.num_rows:
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        yield step.slice(first, last - first)
        first = last


def _declarations(source: RowGroup, first_row: int, part: _Part, layout: Layout) -> Declarations:
    names, batch, rows = layout.names, part.batch, part.batch.num_rows

    def column(theirs: str | None) -> pa.Array:
        return batch.column(theirs) if theirs in batch.schema.names else pa.nulls(rows)

    columns = {
        "declaration_id": text(column(names.declaration_id)),
        "declared_hs_code": plain(column(names.declared_hs_code)),
    }
    nulled = {}
    for ours, theirs in (("item_no", names.item_no), *layout.kept):
        columns[ours], unfitting = cast(column(theirs), layout.type_of[ours])
        if unfitting:
            nulled[ours] = unfitting
    return Declarations(source, first_row, pa.RecordBatch.from_pydict(columns), part.counts, part.pictures, nulled)


def _of_bounded_rows(declarations: Declarations) -> Iterator[Declarations | DeadLetter]:
    """The same, without the rows that hold too much beside their pictures; those are dead letters."""
    columns = declarations.columns
    size = columns.nbytes - columns.column("declared_hs_code").nbytes  # a code is cut when it is judged
    if size <= _MOST_VALUE_BYTES:
        yield declarations
    elif declarations.rows == 1:
        source, row = declarations.source, declarations.first_row
        detail = f"{size} bytes beside the pictures, more than {_MOST_VALUE_BYTES}"
        yield DeadLetter(source.file, source.index, row, 1, "too_large", detail)
    else:
        for half in declarations.halves():
            yield from _of_bounded_rows(half)


def _unread(source: RowGroup, first_row: int, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(source.file, source.index, first_row, source.end - first_row, reason, detail)
