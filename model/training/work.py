"""The folder where trainings keep what they compute on the way. Several may share one, also at the same time.

WORK/.lock                held by each training that uses the folder; the last one may remove it
WORK/training-KEY.lock    held by the one training whose like would write the same files
WORK/pictures-KEY.lock    held while pictures are looked at, which others then need not do again
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hs.errors import UsageError

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # some network file systems: there nothing is kept apart


@contextmanager
def used(folder: Path) -> Iterator[Callable[[], None]]:
    """Holds a work folder, which is made if it is missing.

    Yields:
        A function that removes it, unless another training holds it, too.
    """
    with _still_there(folder) as lock:

        def remove() -> None:
            with suppress(BlockingIOError):
                _hold(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)

        yield remove


def _still_there(folder: Path) -> IO[str]:
    """The lock of a folder, held."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            lock = open(folder / ".lock", "a+")  # noqa: SIM115  # the caller closes it
            _hold(lock, fcntl.LOCK_SH)
            if os.fstat(lock.fileno()).st_nlink:
                return lock
            lock.close()  # whoever removed the folder was a moment faster


@contextmanager
def only_once(folder: Path, key: str) -> Iterator[None]:
    """Refuses a training whose like is under way.

    Raises:
        UsageError: if there is such a one.
    """
    with open(folder / f"training-{key}.lock", "a+") as lock:
        try:
            _hold(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            by = os.pread(lock.fileno(), 20, 0).decode(errors="replace")
            raise UsageError(f"this training is under way already (process {by}); it was left alone") from None
        os.ftruncate(lock.fileno(), 0)
        os.write(lock.fileno(), str(os.getpid()).encode())
        yield


@contextmanager
def one_at_a_time(lock_file: Path) -> Iterator[None]:
    """Waits for whoever holds a lock, then holds it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with open(lock_file, "a+") as lock:
        _hold(lock, fcntl.LOCK_EX)
        yield


def _hold(lock: IO[str], how: int) -> None:
    try:
        fcntl.flock(lock, how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
