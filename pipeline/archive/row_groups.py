"""Row groups → Arrow batches of bounded size, whatever the row groups and layouts.

Memory follows the data pages, not the row groups: pages are streamed through a buffer of 1 MiB and batches are cut by
bytes. What cannot be read is a `DeadLetter` with its range of rows; so is what would not fit into memory, which page
headers say before anything is decoded: a file of some kilobytes may unpack to gigabytes.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hs.pictures.columns import bytes_per_row, decoded_bytes, flat_pictures
from hs.storage.stores import ANYWHERE, Stores
from pipeline.archive.columns import cast, columns_to_read, plain, problem_of_columns, text
from pipeline.archive.footers import RAISED_BY_BYTES, changed_meanwhile, leaves_of, open_archive, reason_of
from pipeline.archive.page_sizes import most_unpacked
from pipeline.values import DeadLetter, Declarations, Layout, RowGroup

_MOST_PAGE_BYTES = 256 << 20  # of one that is stored in less than a quarter; in memory three times as it is decoded
_MOST_VALUE_BYTES = 1 << 20  # of all columns of a row beside its pictures; they travel through every step of a run
_STEP_BYTES = 256 << 20  # a row may repeat a whole dictionary page, or fill a page by itself
_BATCH_BYTES = 4 << 20  # all of it stays in memory until the last picture of the batch is decoded
_BATCH_ROWS = 64  # rows of 20 kB cost a quarter more by 16, and by 128 a sixteenth less
_GROWTH = 4  # 2 reads row groups of 100 rows 6 % more slowly; 16 reads 16 large pictures after one row without any


def read_row_group(source: RowGroup, layout: Layout, stores: Stores = ANYWHERE) -> Iterator[Declarations | DeadLetter]:
    """Batches of one row group, in order; ends with a dead letter for the rows that cannot be read.

    Raises:
        StorageLost: if the storage is away, which says nothing about the rows.
    """
    first_row = 0
    try:
        with open_archive(source.file, stores, source.stamp) as archive:
            file = archive.parquet
            rows = file.metadata.row_group(source.index).num_rows if source.index < file.num_row_groups else 0
            if rows != source.rows:
                yield _unread(source, 0, "changed", f"had {source.rows} rows at the start of the run, now {rows}")
                return
            present = file.schema_arrow
            if problem := problem_of_columns(present, layout.names, [theirs for _, theirs in layout.kept]):
                yield _unread(source, 0, "changed", problem[1])
                return
            columns = columns_to_read(layout, set(present.names))
            leaves = [leaf for column in columns for leaf in leaves_of(file, column)]
            archive.will_look_at(source.index, leaves)
            grown, repeated = most_unpacked(archive, source.index, leaves)
            if grown > _MOST_PAGE_BYTES:
                yield _unread(source, 0, "too_large", f"a page unpacks to {grown} bytes, more than {_MOST_PAGE_BYTES}")
                return
            most_rows = min(_BATCH_ROWS, max(1, _STEP_BYTES // max(repeated, 1)))
            archive.will_read(source.index, leaves)
            for batch in _batches(file, source.index, columns, layout.names.images, most_rows):
                yield from _of_bounded_rows(_declarations(source, first_row, batch, layout))
                first_row += batch.num_rows
    except RAISED_BY_BYTES as error:
        reason, detail = reason_of(error, "bad_page")
        if reason == "bad_page" and changed_meanwhile(source, stores):  # pages are not where they were
            reason, detail = "changed", "it was written again while it was read"
        yield _unread(source, first_row, reason, detail)
        return
    if first_row != source.rows:
        yield _unread(source, first_row, "bad_page", f"the row group ends after {first_row} of {source.rows} rows")


def read_pictures(
    source: RowGroup, rows: set[int], images: str, stores: Stores = ANYWHERE
) -> Iterator[tuple[int, list[bytes]]]:
    """The pictures of some rows of a row group, as (row, pictures); for people to look at after a run."""
    first_row, last_row = 0, max(rows)
    with open_archive(source.file, stores, source.stamp) as archive:
        file = archive.parquet
        archive.will_read(source.index, leaves_of(file, images))
        for batch in _batches(file, source.index, [images], images):
            counts, pictures = flat_pictures(batch.column(images))
            ends = np.cumsum(counts)
            for row in range(batch.num_rows):
                if first_row + row in rows:
                    mine = pictures[int(ends[row] - counts[row]) : int(ends[row])]
                    yield first_row + row, [picture or b"" for picture in mine.to_pylist()]
            first_row += batch.num_rows
            if first_row > last_row:
                return


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


def _declarations(source: RowGroup, first_row: int, batch: pa.RecordBatch, layout: Layout) -> Declarations:
    names, rows = layout.names, batch.num_rows

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
    counts, pictures = flat_pictures(batch.column(names.images))
    return Declarations(source, first_row, pa.RecordBatch.from_pydict(columns), counts, pictures, nulled)


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
    return DeadLetter(source.file, source.index, first_row, source.rows - first_row, reason, detail)
