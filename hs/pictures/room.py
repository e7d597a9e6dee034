"""Room in memory: pictures that together would need too much are decoded one after the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hs.pictures.work import TooCostly


class Room:
    """Bytes that may be in use at once, by all threads of a process."""

    def __init__(self) -> None:
        self._in_use = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, needed: int, most: int) -> Iterator[None]:
        """Waits until there is room.

        Args:
            needed: bytes, estimated.
            most: bytes that may be in use.

        Raises:
            TooCostly: if there never will be.
        """
        if needed > most:
            raise TooCostly(f"{needed // 1_000_000} MB of memory to decode")
        with self._changed:
            self._changed.wait_for(lambda: self._in_use + needed <= most)
            self._in_use += needed
        try:
            yield
        finally:
            with self._changed:
                self._in_use -= needed
                self._changed.notify_all()


ROOM = Room()
