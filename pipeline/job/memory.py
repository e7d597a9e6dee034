"""Keeps a worker's memory near what it uses."""

import ctypes

import pyarrow as pa

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # malloc.h of glibc
_LARGE_BYTES = 1 << 19  # more than a small photograph takes: new pages for each would cost half its decoding


def give_back_freed_memory() -> None:
    """Makes large freed blocks go back to the system at once.

    By default glibc keeps an arena for each thread and, after the first request of some megabytes was freed, takes the
    next ones from it; Arrow's default pool keeps what it had, too. Together that is twice what is in use.

    Of Arrow's pools jemalloc uses its pages again without keeping many: reading costs a quarter of what it does with
    glibc's. What Arrow allocates by itself, as in writing Parquet, comes from a pool that only the environment
    variable `ARROW_DEFAULT_MEMORY_POOL` can change; by default that takes 2 MB at once, 15 MB in all.
    """
    if "jemalloc" in pa.supported_memory_backends():
        pa.jemalloc_set_decay_ms(0)
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    else:
        pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # other C libraries do without
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_ARENA_MAX, 1)
