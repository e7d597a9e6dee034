"""What became of an attempt, also where nothing was published: `_logs/ATTEMPT.json`."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hs.errors import AuditError, NotPublished
from hs.files import write_whole
from pipeline.versions import versions

_log = logging.getLogger("outcome")  # not of hs_audit: its lines also go to stderr, which says this anyway
_log.setLevel(logging.INFO)


def now() -> datetime:
    """The time, in the zone of this machine."""
    return datetime.now(UTC).astimezone()


@dataclass
class AttemptRecord:
    """The record of one attempt; it is written when the attempt ends, however it ends, and only once.

    Attributes:
        path: of the JSON file.
        attempt_id: of the attempt.
        run_date: the night.
        so_far: gives what is known while it runs: the run's id, the step, and counts.
        told: are told of the record, too; one that cannot write costs a warning.
    """

    path: Path
    attempt_id: str
    run_date: date
    so_far: Callable[[], dict[str, Any]]
    told: Sequence[Callable[[dict[str, Any]], None]] = ()
    started_at: datetime = field(default_factory=now)
    _ended: threading.Lock = field(default_factory=threading.Lock)

    def end(self, exit_code: int, sentence: str) -> None:
        """Writes the record.

        Args:
            exit_code: that the program ends with.
            sentence: that it says.
        """
        if not self._ended.acquire(blocking=False):  # the thread that ends a run which does not stop ends it, too
            return
        ended_at = now()
        record = {
            "attempt_id": self.attempt_id,
            "run_date": self.run_date.isoformat(),
            "status": _STATUS_OF.get(exit_code, "not published"),
            "exit_code": exit_code,
            "sentence": sentence,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "ended_at": ended_at.isoformat(timespec="milliseconds"),
            "seconds": round((ended_at - self.started_at).total_seconds(), 3),
            **self.so_far(),
            "versions": versions(),
        }
        _log.info(sentence)
        for tell in (self._write, *self.told):
            try:
                tell(record)
            except OSError as error:  # what became of the night does not depend on its record
                _log.warning("%s cannot be written: %s", error.filename or self.path, error.strerror)

    def _write(self, record: dict[str, Any]) -> None:
        write_whole(self.path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def recorded(record: AttemptRecord) -> Iterator[None]:
    """Ends the record, and the log, with whatever ends the block.

    Raises:
        NotPublished: in place of an error of the system, such as a full disk.
    """
    try:
        yield
    except AuditError as error:
        record.end(error.exit_code, str(error))
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        refused = NotPublished(f"{error.strerror or error}{where}; nothing was published")
        record.end(refused.exit_code, str(refused))
        raise refused from error
    except Exception as error:
        record.end(1, f"a bug: {type(error).__name__}: {error}")
        raise


# 3 is published, too: with more missing than limits.warn_unscored_share.
_STATUS_OF = {0: "published", 1: "bug", 3: "published", 130: "interrupted"}
