"""Room in memory: pictures that together would need too much are decoded one after the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hs.pictures.work import TooCostly


class Room:
    """Bytes that may be in use at once, by all threads of a process."""

    def __init__(self) -> None:
        self._held: dict[threading.Thread, int] = {}
        self._given_up: set[threading.Thread] = set()
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
        me = threading.current_thread()
        with self._changed:
            self._changed.wait_for(lambda: self._in_use() + needed <= most or self._lost() + needed > most)
            if self._in_use() + needed > most or me in self._given_up:
                raise TooCostly(f"{needed // 1_000_000} MB of memory to decode, beside pictures that were given up")
            self._held[me] = needed
        try:
            yield
        finally:
            with self._changed:
                del self._held[me]
                self._changed.notify_all()

    def give_up(self, thread: threading.Thread) -> None:
        """Waits no longer for what a thread holds, which is in use until it ends; nor does it get any more."""
        with self._changed:
            self._given_up = {one for one in self._given_up if one.is_alive()} | {thread}
            self._changed.notify_all()

    def _in_use(self) -> int:
        return sum(self._held.values())

    def _lost(self) -> int:
        return sum(self._held.get(thread, 0) for thread in self._given_up)


ROOM = Room()
