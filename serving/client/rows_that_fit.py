"""How many pictures a request may hold, after the server ran out of memory.

Each refusal halves what fits. Memory that others took for a while comes back: after 64 answers at the size that fits,
one request alone tries twice as many, and what becomes of it counts for all. A memory that stays small is so asked in
vain by one request in 65.
"""

import math
import threading

_ANSWERS_BEFORE_TRIAL = 64  # a trial is as long as two requests: in vain it costs 3 % at most


class RowsThatFit:
    """Shared by all threads of a client."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._fit: float = math.inf
        self._trial = 0
        self._answers = 0

    def take(self, rows: int) -> int:
        """How many of so many rows to send in the next request."""
        with self._changing:
            if rows <= self._fit:
                return rows
            if self._answers < _ANSWERS_BEFORE_TRIAL:
                return int(self._fit)
            self._answers = 0  # already now: those that are sent before this one is answered do not try as well
            self._trial = int(min(rows, 2 * self._fit))
            return self._trial

    def answered(self, rows: int) -> None:
        """So many rows were answered."""
        with self._changing:
            if rows == self._trial:
                self._fit, self._trial = max(self._fit, rows), 0
            self._answers += rows >= self._fit  # the rest of a batch says nothing of the size that fits

    def refused(self, rows: int) -> None:
        """So many rows were too many for the server's memory."""
        with self._changing:
            if rows <= self._fit:  # else it was a trial, or under way already when another was refused
                self._fit = max(1, rows // 2)
            self._trial = self._answers = 0
