"""A file of findings, opened where it lies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from hs.storage.location import Location
from hs.storage.stores import Stores


@contextmanager
def opened(part: Path | Location, stores: Stores) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read.

    Raises:
        OSError, pyarrow.ArrowException: if it cannot be read.
        StorageLost: if its storage stayed away.
    """
    with stores.open_input(Location.parse(part)) as stream:
        yield pq.ParquetFile(stream)
