"""Rows of numbers on disk: training reads the batch it needs and holds no more."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class RowFile:
    """A file of rows of one shape and type, one after the other.

    Read with `pread`, not mapped: mapped pages count as memory of the process, and there may be gigabytes of them.

    Attributes:
        path: of the file.
        shape: of one row.
        dtype: of its numbers.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        """How much one row takes."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def append(self, rows: np.ndarray, at: int) -> None:
        """Writes rows behind the first `at`; whatever stood there is cut off.

        Args:
            rows: [n, *shape]; numbers beyond the range of `dtype` become its largest.
            at: how many rows the file keeps.
        """
        if rows.shape[1:] != self.shape:
            raise ValueError(f"rows must have shape {self.shape}, got {rows.shape[1:]}")
        if self.dtype == "float16":  # VGG's activations may pass 65504
            rows = rows.clip(np.finfo(np.float16).min, np.finfo(np.float16).max)
        with open(self.path, "r+b" if self.path.exists() else "w+b") as stream:
            stream.truncate(at * self.row_bytes)
            stream.seek(0, os.SEEK_END)
            stream.write(np.ascontiguousarray(rows, self.dtype).data)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The rows of these numbers, [n, *shape], in their order."""
        out = np.empty((len(rows), *self.shape), self.dtype)
        with open(self.path, "rb", buffering=0) as stream:
            for place, row in zip(out, rows, strict=True):
                if os.preadv(stream.fileno(), [place.data], int(row) * self.row_bytes) != self.row_bytes:
                    raise OSError(f"{self.path} ends before row {row}")
        return out
