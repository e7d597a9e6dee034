"""Cases, the rulings that the classifier learns from: Parquet files → pictures with their HS codes.

A case has `case_id`, `hs_code` (text) and `images` list<struct<bytes, path>>.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.pictures import PictureLimits, PictureSize, decode
from pipeline.rules.declared_codes import parse_declared_code
from pipeline.rules.errors import UsageError

_ROWS = 32


@dataclass(frozen=True)
class CasePicture:
    """One readable picture of a case.

    Attributes:
        case: position of the case; pictures of one case stay on one side of a split.
        hs_code: what customs decided, digits only.
        pixels: uint8 [H, W, 3].
    """

    case: int
    hs_code: str
    pixels: np.ndarray


@dataclass(frozen=True)
class CaseFile:
    """A Parquet file of cases.

    Attributes:
        path: of the file.
        cases: how many it has.
        digest: SHA-256 of the file, `sha256:` and 64 hex digits.
    """

    path: Path
    cases: int
    digest: str

    @classmethod
    def open(cls, path: Path) -> "CaseFile":
        """Checks a file of cases.

        Raises:
            UsageError: if it is missing, is no Parquet file, or lacks a column.
        """
        try:
            with pq.ParquetFile(path) as file:
                missing = {"hs_code", "images"} - set(file.schema_arrow.names)
                cases = file.metadata.num_rows
        except FileNotFoundError as error:
            raise UsageError(f"{path} does not exist") from error
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{path} is not a readable Parquet file: {error}") from error
        if missing:
            raise UsageError(
                f"{path} has no column {', '.join(sorted(missing))}; cases need case_id, hs_code and images"
            )
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return cls(path, cases, f"sha256:{digest}")

    def pictures(self, size: PictureSize, unreadable: Counter[str] | None = None) -> Iterator[CasePicture]:
        """Reads and decodes one picture after the other.

        Args:
            size: of the pixels.
            unreadable: counts pictures that are left out, by reason.

        Raises:
            UsageError: if a case has a code that is no HS code; the message names the row.
        """
        limits = PictureLimits()
        for row, case in enumerate(self._rows()):
            hs_code = _checked_code(case["hs_code"], self.path, row)
            for image in case["images"] or ():
                picture = decode((image or {}).get("bytes") or b"", size, limits)
                if picture.pixels is not None:
                    yield CasePicture(row, hs_code, picture.pixels)
                elif unreadable is not None:
                    unreadable[picture.status] += 1

    def _rows(self) -> Iterator[dict]:
        with pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS, columns=["hs_code", "images"], use_threads=False):
                yield from batch.to_pylist()


def _checked_code(written: object, path: Path, row: int) -> str:
    parsed = parse_declared_code(written if isinstance(written, str | int | float) else None)
    if parsed.code is None:
        raise UsageError(f"{path}, row {row}: hs_code {written!r} is not an HS code")
    return parsed.code.digits
