"""Keeps a worker's memory near what it uses."""

import ctypes

import pyarrow as pa

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of glibc
_LARGE_BYTES = 1 << 19  # more than a small photograph takes: new pages for each would cost half its decoding


def give_back_freed_memory() -> None:
    """Makes large freed blocks go back to the system at once.

    By default glibc keeps an arena for each thread and, after the first request of some megabytes was freed, takes the
    next ones from it; Arrow's own pool keeps what it had too. Together that is twice what is in use.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # other C libraries do without
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)
