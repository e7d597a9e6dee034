"""The log of an attempt, and what libraries write to stderr behind Python's back."""

import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

_MOST_NATIVE_BYTES = 1_000_000  # a picture can make libtiff write as much


@contextmanager
def attempt_log(
    path: Path, log_format: str, attempt_id: str, console: Console, run_id: Callable[[], str | None] = lambda: None
) -> Iterator[None]:
    """Everything to the attempt's log file; our own lines also to stderr where it is no terminal.

    Args:
        path: of the log file.
        log_format: `text`, or `json` for one object a line.
        attempt_id: stands on every line of JSON.
        console: stderr.
        run_id: gives what stands on every line of JSON as well, once it is known.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    formatter = _JsonLines(attempt_id, run_id) if log_format == "json" else lines
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_stderr = logging.StreamHandler()
    for handler in (to_file, to_stderr):
        handler.setFormatter(formatter)
    to_stderr.setLevel(logging.WARNING if console.is_terminal else logging.INFO)
    root, ours = logging.getLogger(), logging.getLogger("hs_audit")
    ours.setLevel(logging.INFO)
    root.addHandler(to_file)
    ours.addHandler(to_stderr)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # what is wrong with a picture stands in its finding
            yield
    finally:
        logging.captureWarnings(False)
        ours.removeHandler(to_stderr)
        root.removeHandler(to_file)
        to_file.close()


class _JsonLines(logging.Formatter):
    def __init__(self, attempt_id: str, run_id: Callable[[], str | None]) -> None:
        super().__init__()
        self._attempt_id, self._run_id = attempt_id, run_id

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object a line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "run_id": self._run_id(),
            "attempt_id": self._attempt_id,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


@contextmanager
def native_output(path: Path) -> Iterator[None]:
    """Sends what libraries write to file descriptor 2 to a file, its first megabyte; Python's own stderr stays.

    libtiff, libjpeg and gRPC write there from C, hundreds of lines a night; the file goes where it stays empty.
    """
    kept, (read_end, write_end) = os.dup(2), os.pipe()
    python = sys.stderr
    if _is_descriptor_2(python):
        sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
    drain = threading.Thread(target=_drain, args=(read_end, path), daemon=True)
    drain.start()
    os.dup2(write_end, 2)
    os.close(write_end)  # 2 is the only end left here, so that the reader sees the end once 2 is put back
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = python
        os.close(kept)
        drain.join(timeout=5)  # a child that lives on holds the other end


def _is_descriptor_2(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # a stand-in without a file
        return False


def _drain(read_end: int, path: Path) -> None:
    """Reads to the end, whether or not there is room: a full pipe would hold up whoever writes."""
    left = _MOST_NATIVE_BYTES
    with open(read_end, "rb", buffering=0) as pipe, open(path, "wb", buffering=0) as out:
        while data := pipe.read(65536):
            with suppress(OSError):  # a full disk is told elsewhere
                out.write(data[:left])
            left = max(0, left - len(data))
    if left == _MOST_NATIVE_BYTES:
        path.unlink()
