"""What the benchmarks work on: pictures that they draw, archives of them, and the stand-in for a GPU as a process."""

import io
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

_ROW_GROUP_ROWS = 4096
# A GPU has a machine of its own: the stand-in shall not take ours to find new pages for each request.
_KEEPS_ITS_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
IMAGES = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def draw(width: int, height: int, count: int, image_format: str = "JPEG") -> list[bytes]:
    """Pictures as detailed as photographs: 20 kB at 350 x 350, 5 MB at 12 megapixels."""
    random = np.random.default_rng(width)
    drawn = []
    for _ in range(count):
        coarse = random.integers(0, 255, (max(2, height // 12), max(2, width // 12), 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(out, image_format, quality=88)
        drawn.append(out.getvalue())
    return drawn


def write_archive(path: Path, pictures: Sequence[bytes], rows: int, repeats: float = 0.0, first: int = 0) -> Path:
    """One declaration for each picture, these again and again; each is a file of its own by its last bytes.

    Args:
        path: of the Parquet file.
        pictures: to take in turn.
        rows: how many declarations.
        repeats: share of the declarations whose picture is a file that came earlier, up to 1,000 rows before.
        first: number of the first declaration, where there are several files.
    """
    random = np.random.default_rng(0)
    numbers: list[int] = []
    for row in range(rows):
        again = row > 0 and random.random() < repeats
        numbers.append(numbers[row - int(random.integers(1, min(row, 1000) + 1))] if again else first + row)
    # Behind the end of a JPEG or PNG nobody looks: a file that is new to SHA-256, of the same pixels.
    images = [[{"bytes": pictures[n % len(pictures)] + b"%d" % n, "path": "a.jpg"}] for n in numbers]
    table = pa.table(
        {
            "declaration_id": [f"D{number}" for number in range(first, first + rows)],
            "declared_hs_code": ["870829"] * rows,
            "images": pa.array(images, IMAGES),
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Small pages, as docs/operations.md asks for; and pictures are compressed already.
    pq.write_table(
        table, path, row_group_size=_ROW_GROUP_ROWS, write_batch_size=16, use_dictionary=False, compression="none"
    )
    return path


@dataclass
class Gpu:
    """The stand-in as a process.

    Attributes:
        address: for gRPC.
        http_port: for JSON; 0 for none.
        counted: what it answered, once it has ended.
    """

    address: str
    http_port: int = 0
    counted: dict[str, float] = field(default_factory=dict)

    @property
    def pictures_per_s(self) -> float:
        """From the first request to the last answer."""
        return self.counted["pictures"] / (self.counted["ended_at"] - self.counted["began_at"])


@contextmanager
def gpu(
    per_picture_ms: float, per_request_ms: float = 3.0, queue: int = 64, http: bool = False, side: int = 224
) -> Iterator[Gpu]:
    """Starts the stand-in for pictures of `side` pixels; when the context ends, `counted` has what it answered."""
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        path, port = Path(folder) / "grpc.sock", _free_port() if http else 0
        costs = [f"--per-request-ms={per_request_ms}", f"--per-picture-ms={per_picture_ms}", f"--queue={queue}"]
        what = [f"--socket={path}", f"--http-port={port}", f"--side={side}"]
        command = [sys.executable, "-m", "benchmarks.stand_in", *what, *costs]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | _KEEPS_ITS_MEMORY)
        assert process.stdout is not None
        process.stdout.readline()  # "ready": it listens
        running = Gpu(f"unix:{path}", port)
        try:
            yield running
        finally:
            process.terminate()
            running.counted = json.loads(process.communicate()[0])


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
