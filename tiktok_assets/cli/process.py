"""Set up the process: no core dumps, and freed memory returned to the system early."""

import ctypes
import os
import sys
from contextlib import suppress

_POLARS_ALLOCATOR_OPTIONS = "narenas:2,tcache:false,dirty_decay_ms:100,muzzy_decay_ms:0"

# Of <malloc.h>; other systems have no such knobs.
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
_MAX_ARENAS, _MMAP_THRESHOLD_BYTES = 2, 128 * 1024


def return_freed_memory_early() -> None:
    """Have the allocators keep little of what was let go of; before Polars is loaded.

    A sync reads pages in waves and by many threads, and what is kept of one wave stands beside the next. Polars'
    allocator keeps a tenth of a second what it may need again, not ten; the C library gives answers back at once.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS_ALLOCATOR_OPTIONS)
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, _MAX_ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)


def disable_core_dumps() -> None:
    """Set the limit of core files to nothing, for child processes too: a crash leaves no memory on disk."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
